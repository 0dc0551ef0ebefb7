// Model calls as they end: a table that grows at its head, and beside it the whole of the one that is open.

import { get, path, query } from "../api.js";
import { button, fill, frame, h, sync, text } from "../parts/dom.js";
import { empty } from "../parts/empty.js";
import { filterBar } from "../parts/filters.js";
import { count, duration, money, plural, retime, usageText, when } from "../parts/format.js";
import { icon } from "../parts/icons.js";
import { step } from "../parts/keys.js";
import { marks, recordDetail, who } from "../parts/record.js";
import { failure, toastError } from "../parts/toast.js";
import { Calls } from "../store/calls.js";
import { filterOf } from "../store/usage.js";

/** @typedef {import('../types').CallRecord} CallRecord */

/** How often the table is drawn at most, in milliseconds. */
const EVERY = 250;

/** The columns: class and name. @type {[string | null, string][]} */
const COLUMNS = [["state", ""], ["at", "When"], ["who", "Who"], ["route", "Route"], ["model", "Model"], ["num tokens", "Tokens"], ["num cost", "Cost"], ["num first", "First token"], ["num whole", "Whole"], ["marks", ""]];

/**
 * @param {HTMLElement} root
 * @param {import('../types').Address} address
 * @param {import('../types').Shell} shell
 * @returns {import('../types').View}
 */
export function traffic(root, address, shell) {
  const state = read(address.query);
  let held = false;
  /** The calls that are shown; new ones wait while somebody reads further down. @type {CallRecord[]} */
  let list = [];
  let opened = 0;

  const bar = filterBar({ filter: state.filter, from: state.from, changed: (filter, from) => change({ filter, from, call: "" }) });
  const errors = button("Errors", () => {
    const { error, ...rest } = state.filter;
    bar.show(error ? rest : { ...rest, error: "any" }, state.from);
    change({ filter: error ? rest : { ...rest, error: "any" }, call: "" });
  }, { class: "small", "aria-pressed": "false" });
  const live = button("Live", () => hold(!held), { class: "small live", "aria-pressed": "true", title: "Show calls as they end" }, h("i"), h("span", null, "Live"));
  const body = h("tbody");
  const table = h("table", "calls", h("thead", null, h("tr", null, ...COLUMNS.map(([kind, name]) => h("th", kind, name)))), body);
  const fresh = button("New calls", () => {
    hold(false);
    scroller()?.scrollTo({ top: 0 });
    show(true);
  }, { class: "fresh primary small", hidden: true });
  const note = h("div", null, h("p", "line dim", "Opening…"));
  const more = button("Show more", async () => {
    more.disabled = true;
    await calls.more().catch(toastError);
    more.disabled = false;
    show(true);
  }, { hidden: true });
  const panel = h("aside", { class: "call-panel", "aria-label": "Call", hidden: true, tabindex: "-1" });
  const main = h("div", "pad", h("div", "filter-line", bar.el, h("div", "actions", errors, live)), fresh, table, note, more);
  root.append(h("div", "beside", main, panel));

  const scroller = () => main;
  const calls = new Calls(paced(), (error) => {
    list = [];
    table.hidden = true;
    more.hidden = true;
    fill(note, failure(error, () => begin()));
  });

  /** Returns what shows new calls: at once, and in a flood at most every so often. */
  function paced() {
    let last = 0;
    /** @type {ReturnType<typeof setTimeout> | undefined} */
    let timer;
    const draw = frame(() => {
      last = performance.now();
      show(false);
    });
    return () => {
      clearTimeout(timer);
      const wait = last + EVERY - performance.now();
      if (wait <= 0) draw();
      else timer = setTimeout(draw, wait);
    };
  }

  /** @param {URLSearchParams} search */
  function read(search) {
    return { filter: filterOf(search), from: search.get("from") ?? "7d", to: search.get("to") ?? "", call: search.get("call") ?? "" };
  }

  /** Returns the address of what is shown, with a call that is open. @param {string} [call] */
  function here(call = state.call) {
    return query("/models", { from: state.from === "7d" ? "" : state.from, to: state.to, ...state.filter, call });
  }

  /** @param {Partial<typeof state>} next */
  function change(next) {
    Object.assign(state, next);
    history.replaceState(null, "", here());
    begin();
    void panelOf(state.call);
  }

  function begin() {
    list = [];
    errors.setAttribute("aria-pressed", String("error" in state.filter));
    live.hidden = Boolean(state.to);
    calls.open({ ...state.filter, from: state.from, to: state.to });
  }

  /** @param {boolean} on */
  function hold(on) {
    held = on;
    live.setAttribute("aria-pressed", String(!on));
    show(!on);
  }

  /** Shows what there is; new calls wait while the reader is further down, so that nothing moves. @param {boolean} all */
  function show(all) {
    if (!calls.read) return;
    live.classList.toggle("lost", !calls.live && !state.to);
    const now = calls.list;
    const newest = list[0]?.id;
    const reads = held || (scroller()?.scrollTop ?? 0) > 40;
    const coming = newest && reads && !all ? now.filter(({ id }) => id > newest).length : 0;
    list = coming ? now.slice(coming) : now;
    fresh.hidden = !coming;
    text(fresh, `${plural(coming, "new call")}`);
    sync(body, list, ({ id }) => id, row);
    table.hidden = !list.length;
    more.hidden = !calls.older;
    if (list.length) note.replaceChildren();
    else if (Object.keys(state.filter).length) fill(note, empty("models", "No call fits", "Take a filter away, or choose a longer time above. Calls that fit appear here as they end."));
    else fill(note, empty("models", "No calls yet", "Every model call appears here when it ends, with its route, tokens, cost and times. Send one with any client of OpenAI, Anthropic or Bedrock:",
      `curl -s ${location.origin}/v1/chat/completions -H 'content-type: application/json' -d '{"model": "default", "messages": [{"role": "user", "content": "Hello"}]}'`));
  }

  /** @param {CallRecord} call */
  function row(call) {
    const at = when(call.at);
    const bad = call.outcome === "error";
    const word = { ok: "Answered", error: "Failed", cancelled: "Left by the client" }[call.outcome];
    const mark = h("span", { class: `badge ${bad ? "bad" : "quiet"}`, title: word }, h("i", { "aria-hidden": "true" }), h("span", "hear-only", word));
    const link = h("a", null, at);
    const cells = [
      mark, link, who(call), call.route, call.model ?? "–", call.usage.input + call.usage.output === 0 && call.error ? "–" : h("span", { title: usageText(call.usage) }, count(call.usage.input + (call.usage.cache_read ?? 0) + (call.usage.cache_write ?? 0)), h("span", "dim", " → "), count(call.usage.output)),
      call.cost_usd === null ? "–" : money(call.cost_usd), call.first_token_ms === null ? "–" : duration(call.first_token_ms), duration(call.total_ms),
      h("span", "marks-line", ...marks(call).map(([name, kind, title]) => h("span", { class: `tag ${kind}`, title }, name))),
    ];
    const el = h("tr", { data: { id: call.id } }, ...cells.map((cell, index) => h("td", COLUMNS[index]?.[0] ?? null, cell)));
    if (!call.model) el.classList.add("none");
    el.addEventListener("click", (event) => {
      if (event.target instanceof Element && !event.target.closest("a") && !getSelection()?.toString()) toggle(call.id);
    });
    const update = (/** @type {CallRecord} */ next) => {
      retime(at, next.at);
      const to = here(next.id);
      if (link.getAttribute("href") !== to) link.href = to;
      el.setAttribute("aria-selected", String(next.id === state.call));
    };
    update(call);
    return { el, update };
  }

  /** @param {string} id */
  function toggle(id) {
    Object.assign(state, { call: state.call === id ? "" : id });
    history.replaceState(null, "", here());
    void panelOf(state.call);
  }

  /** @param {string} id */
  async function panelOf(id) {
    const mine = (opened += 1);
    for (const line of body.querySelectorAll("tr")) line.setAttribute("aria-selected", String(line.dataset.id === id));
    panel.hidden = !id;
    if (!id) return panel.replaceChildren();
    const close = button("Close", () => toggle(id), { class: "quiet", title: "Close (Esc)" }, icon("close"));
    const head = (/** @type {string} */ title) => h("header", null, h("h2", null, title), close);
    if (!panel.childElementCount) fill(panel, head("Call"), h("p", "dim", "Opening…"));
    try {
      const call = calls.known.get(id)?.payload ? calls.known.get(id) : await get(path("v1", "records", id));
      if (mine !== opened) return;
      fill(panel, head(call.model ?? call.route), ...recordDetail(call, (param, value) => bar.with(param, value)));
      panel.scrollTop = 0;
      shell.say(`Call of ${call.route}, ${call.outcome}`);
    } catch (error) {
      if (mine === opened) fill(panel, head("Call"), failure(error, () => void panelOf(id)));
    }
  }

  main.addEventListener("scroll", () => !fresh.hidden && main.scrollTop <= 40 && !held && show(true), { passive: true });
  begin();
  void panelOf(state.call);
  return {
    title: "Models",
    leave() {
      opened += 1;
      calls.close();
    },
    go(next) {
      const before = JSON.stringify([state.filter, state.from, state.to]);
      Object.assign(state, read(next.query));
      bar.show(state.filter, state.from);
      if (JSON.stringify([state.filter, state.from, state.to]) !== before) begin();
      void panelOf(state.call);
      return true;
    },
    key(event) {
      if (event.key === "Escape" && state.call) {
        toggle(state.call);
        return true;
      }
      return step(event, body, "tr a");
    },
  };
}
