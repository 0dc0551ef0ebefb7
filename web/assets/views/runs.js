// All runs: a table to filter, search and walk through.

import { get, query } from "../api.js";
import { button, fill, h, sync, text } from "../parts/dom.js";
import { empty } from "../parts/empty.js";
import { count, retime, when } from "../parts/format.js";
import { step } from "../parts/keys.js";
import { badge, rebadge } from "../parts/states.js";
import { failure } from "../parts/toast.js";
import { project } from "../store/project.js";

/** @typedef {import('../types').Run} Run */

/** How often the table is read again while the page is visible, in milliseconds. */
const EVERY = 5_000;

/**
 * @param {HTMLElement} root
 * @param {import('../types').Address} address
 * @param {import('../types').Shell} shell
 * @param {HTMLElement} head
 * @returns {import('../types').View}
 */
export function runs(root, address, shell, head) {
  let limit = 50;
  let turn = 0;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let timer;
  const filter = { status: address.query.get("status") ?? "", agent: address.query.get("agent") ?? "", q: address.query.get("q") ?? "", user_id: address.query.get("user") ?? "" };

  const states = h("div", { class: "choice", role: "group", "aria-label": "State" }, ...["", "running", "waiting", "idle"].map((status) =>
    button(status ? status.charAt(0).toUpperCase() + status.slice(1) : "All", () => change({ status }), { data: { status }, "aria-pressed": "false" })));
  const agents = h("select", { "aria-label": "Agent", on: { change: () => change({ agent: agents.value }) } }, h("option", { value: "" }, "All agents"));
  const user = h("input", { type: "text", class: "who", placeholder: "All users", "aria-label": "User", value: filter.user_id, maxlength: 128, on: { change: () => change({ user_id: user.value.trim() }) } });
  const search = h("input", { type: "search", placeholder: "Title or session", "aria-label": "Filter by title or session", value: filter.q, on: { input: () => change({ q: search.value.trim() }, 200) } });
  fill(head, states, agents, user, search);

  const body = h("tbody");
  const table = h("table", "runs", h("thead", null, h("tr", null, ...["State", "Title", "Agent", "User", "Session", "Last turn", "Events"].map((name) => h("th", name === "Events" ? "num" : null, name)))), body);
  const note = h("div");
  const more = button("Show more", () => {
    limit = Math.min(limit + 50, 200);
    void refresh();
  }, { hidden: true });
  root.append(h("div", "pad", table, note, more));

  /** @param {Partial<typeof filter>} next @param {number} [wait] */
  function change(next, wait = 0) {
    Object.assign(filter, next);
    history.replaceState(null, "", query("/runs", { status: filter.status, agent: filter.agent, q: filter.q, user: filter.user_id }));
    mark();
    later(wait);
  }

  function mark() {
    for (const node of states.querySelectorAll("button")) node.setAttribute("aria-pressed", String(node.dataset.status === filter.status));
  }

  /** @param {number} wait */
  function later(wait) {
    clearTimeout(timer);
    timer = setTimeout(() => void refresh(), wait);
  }

  async function refresh() {
    const mine = (turn += 1);
    try {
      const page = await get(query("/v1/runs", { ...filter, limit }));
      if (mine !== turn) return;
      show(page.runs);
      more.hidden = !page.next_cursor || limit >= 200;
    } catch (error) {
      if (mine !== turn) return;
      if (!body.childElementCount) fill(note, failure(error, () => void refresh()));
    }
    if (!document.hidden) later(EVERY);
  }

  /** @param {Run[]} list */
  function show(list) {
    sync(body, list, (run) => run.run_id, line);
    table.hidden = !list.length;
    if (list.length) note.replaceChildren();
    else if (Object.values(filter).some(Boolean)) fill(note, empty("runs", "No run fits", "Change the filter above."));
    else fill(note, empty("runs", "No runs yet", "Every conversation is a run with a journal. Start one in Chat, or from a terminal:", `curl -s ${location.origin}/agent -H 'content-type: application/json' -d '{"query": "what time is it?"}'`));
  }

  /** @param {Run} run */
  function line(run) {
    const mark = badge(run.status);
    const link = h("a", { href: `/runs/${run.run_id}` });
    const at = when(run.touched_at);
    const events = h("td", "num");
    const el = h("tr", null, h("td", null, mark), h("td", "wide", link), h("td", null, run.agent), h("td", null, run.user_id), h("td", null, h("code", null, run.session_id)), h("td", null, at), events);
    el.addEventListener("click", (event) => {
      if (event.target instanceof Element && !event.target.closest("a") && !getSelection()?.toString()) shell.go(`/runs/${run.run_id}`);
    });
    const update = (/** @type {Run} */ next) => {
      text(link, next.title || next.session_id);
      rebadge(mark, next.status);
      retime(at, next.touched_at);
      text(events, count(next.events));
    };
    update(run);
    return { el, update };
  }

  const onVisible = () => !document.hidden && later(0);
  document.addEventListener("visibilitychange", onVisible);
  project().then(({ agents: all }) => {
    agents.append(...all.map(({ name }) => h("option", { value: name }, name)));
    agents.value = filter.agent;
  }, () => {});
  mark();
  void refresh();

  return {
    title: "Runs",
    leave() {
      turn += 1;
      clearTimeout(timer);
      document.removeEventListener("visibilitychange", onVisible);
    },
    key: (event) => step(event, body, "a"),
  };
}
