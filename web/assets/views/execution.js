// An execution: the graph with what goes on in each state, the state that was chosen, a time line of visits and the
// history, live; and what one may do with it.

import { path, post } from "../api.js";
import { card, facts as known } from "../parts/approval.js";
import { button, copier, fill, frame, h, sync, text } from "../parts/dom.js";
import { forkExecution, replay } from "../parts/forking.js";
import { brief, count, duration, plural, precise, when } from "../parts/format.js";
import { graph, parse, statusWord } from "../parts/graph.js";
import { icon } from "../parts/icons.js";
import { section } from "../parts/json.js";
import { step } from "../parts/keys.js";
import { badge, rebadge } from "../parts/states.js";
import { failure, toast, toastError } from "../parts/toast.js";
import { tree } from "../parts/tree.js";
import { visitsOf } from "../store/lines.js";
import { Watch } from "../store/execution.js";

/** @typedef {import('../types').Execution} Execution */
/** @typedef {import('../types').HistoryEvent} HistoryEvent */
/** @typedef {import('../store/lines.js').Visit} Visit */

/** How many rows of the time line and of the history are drawn. */
const ROWS = 500;

/** The resource of a Task that asks a person. */
const APPROVAL = "arn:aws:states:::bedplate:approval.waitForTaskToken";

/**
 * @param {HTMLElement} root
 * @param {import('../types').Address} address
 * @param {import('../types').Shell} shell
 * @param {HTMLElement} head
 * @returns {import('../types').View}
 */
export function execution(root, address, shell, head) {
  let [, name = ""] = address.parts;
  const id = address.parts[2] ?? "";
  let chosen = address.query.get("state") ?? "";
  shell.title(name);
  const watch = new Watch(id, frame(draw), (error) => {
    if (!watch.now) fill(note, failure(error, () => void watch.read()));
  });
  /** @type {import('../parts/graph.js').Graph | null} */
  let drawn = null;
  let pinned = "";

  const note = h("div", null, h("p", "line dim", "Opening…"));
  const state = badge("RUNNING");
  const about = h("dl", "facts");
  const end = h("div");
  const asks = h("div", "decisions");
  const place = h("div");
  const panel = h("section", { class: "panel", "aria-label": "State" });
  const visits = h("div", { class: "visits", role: "group", "aria-label": "Time line" });
  const list = h("ol", "journal history");
  const more = button("Read more of the history", () => void watch.further(), { hidden: true });
  const stop = button("Stop", () => act("stop", "Stopped"), { hidden: true }, icon("stop"), h("span", null, "Stop"));
  const redrive = button("Redrive", () => act("redrive", "It goes on"), { hidden: true, title: "Go on from the states that failed" }, icon("redrive"), h("span", null, "Redrive"));
  const family = tree(id);
  const title = h("h2", "run-title", name);
  const whole = h("a", { class: "button", href: path("workflows", name) }, "Workflow");
  const all = h("div", { class: "execution", hidden: true }, h("header", null, h("div", "line", title, state), about), end, asks,
    h("div", "flow", place, h("aside", null, panel)), family.el, h("h2", null, "Time line"), visits, h("h2", null, "History"), list, more);
  root.append(h("div", "pad", note, all));
  fill(head, whole, button("Replay", () => void replay("executions", id, null), { title: "Run it again against its own journal, and compare" }, icon("check"), h("span", null, "Replay")), stop, redrive);

  /** @param {"stop" | "redrive"} what @param {string} said */
  async function act(what, said) {
    stop.disabled = redrive.disabled = true;
    try {
      await post(path("v1", "executions", id, what), {});
      toast(said);
    } catch (error) {
      toastError(error);
    }
    stop.disabled = redrive.disabled = false;
    void watch.read();
  }

  function draw() {
    const now = watch.now;
    if (!now) return;
    note.replaceChildren();
    all.hidden = false;
    header(now);
    if (pinned !== now.revision) {
      pinned = now.revision;
      const machine = parse(now.definition);
      drawn = machine ? graph(machine, choose) : null;
      fill(place, drawn?.el);
    }
    drawn?.show(now.states);
    drawn?.choose(chosen);
    questions(now);
    family.update({ events: now.events, over: now.ended_at !== null, mapRuns: now.map_runs });
    detail(now);
    line(now);
    history();
  }

  /** @param {Execution} now */
  function header(now) {
    rebadge(state, now.status);
    // A child of a map run is listed under that; its workflow is the one that the Map stands in.
    const own = now.workflow.split("/")[0] ?? name;
    if (name !== own) {
      name = own;
      globalThis.history.replaceState(null, "", path("workflows", name, id));
      text(title, name);
      whole.href = path("workflows", name);
    }
    shell.title(`${name} · ${state.textContent}`);
    stop.hidden = now.status !== "RUNNING";
    redrive.hidden = !now.redrivable;
    const stamp = `${now.status} ${now.ended_at} ${now.events} ${now.redrives} ${now.error}`;
    if (about.dataset.stamp === stamp) return;
    about.dataset.stamp = stamp;
    /** @type {[string, Node | string][]} */
    const facts = [["Execution", h("span", null, h("code", { title: now.arn }, now.name.slice(0, 36)), " ", copier("Copy ARN", () => now.arn))], ["Began", when(now.started_at)]];
    if (now.ended_at) facts.push(["Took", duration(Date.parse(now.ended_at) - Date.parse(now.started_at))]);
    facts.push(["Events", count(now.events)]);
    if (now.redrives) facts.push(["Redriven", plural(now.redrives, "time")]);
    if (now.parent) facts.push(["Started by", h("a", { href: path("runs", now.parent) }, h("code", null, now.parent.slice(0, 8)))]);
    if (now.forked_from) {
      facts.push(["Forked from", h("span", null, h("a", { href: path("workflows", name, now.forked_from.id) }, h("code", null, now.forked_from.id.slice(0, 8))), ` after position ${now.forked_from.at} · `,
        h("a", { href: `${path("workflows", name, id)}?with=${now.forked_from.id}` }, "Side by side"))]);
    }
    fill(about, ...facts.map(([name, value]) => h("div", null, h("dt", null, name), h("dd", null, value))));
    fill(end, now.error !== null && now.status !== "RUNNING" ? h("div", { class: "outcome bad", role: "status" }, icon("warn"), h("div", null, h("p", "strong", now.error), now.cause ? h("p", null, now.cause) : null,
      now.redrivable ? h("p", "dim", "Redrive goes on from the states that failed; what was done is not done again.") : null)) : null);
  }

  /** @param {Execution} now */
  function questions(now) {
    sync(asks, now.tasks.filter((task) => task.resource === APPROVAL), (task) => task.call, (task) => {
      const input = Object.fromEntries(Object.entries(task.input ?? {}).filter(([, value]) => value !== task.token));
      const { el } = card({ run: id, call: task.call, kind: "approval", source: "workflow", tool: task.state, input, question: String(input.question ?? input.message ?? `May ${task.state} go on?`), preview: input.preview ?? known(input), deadline: task.deadline ? Date.parse(task.deadline) : 0 });
      return { el, update() {} };
    });
  }

  /** @param {string} next */
  function choose(next) {
    chosen = next;
    globalThis.history.replaceState(null, "", `${path("workflows", name, id)}?state=${encodeURIComponent(next)}`);
    draw();
  }

  /** @param {Execution} now */
  function detail(now) {
    const at = chosen ? now.states[chosen] : undefined;
    const own = chosen ? watch.history.filter((event) => watch.of.get(event.id) === chosen) : [];
    const stamp = chosen ? `${chosen} ${at?.status} ${own.at(-1)?.id} ${at?.last_at}` : `${now.status}`;
    if (panel.dataset.stamp === stamp) return;
    panel.dataset.stamp = stamp;
    if (!chosen) {
      fill(panel, h("h3", null, "The execution"), section("Input", now.input), now.output === undefined ? null : section("Output", now.output), h("p", "dim small", "Choose a state to see its input, output and events."));
      return;
    }
    const whole = button("Whole execution", () => {
      chosen = "";
      globalThis.history.replaceState(null, "", path("workflows", name, id));
      draw();
    }, { class: "quiet small" });
    if (!at) {
      fill(panel, h("div", "line", h("h3", null, chosen), whole), h("p", "dim", "Not entered in this execution."));
      return;
    }
    const numbers = [plural(at.entered, "visit"), at.retried ? `${at.retried} tried again` : "", at.failed ? `${at.failed} failed` : "", at.caught ? `${at.caught} caught` : ""].filter(Boolean).join(" · ");
    const last = visitsOf(watch.history, watch.of, now).findLast(({ state }) => state === chosen);
    fill(panel, h("div", "line", h("h3", null, chosen), h("span", { class: `tag${at.status === "failed" ? " bad" : ""}` }, statusWord(at.status)), whole), h("p", "dim small", numbers, at.deadline ? h("span", null, " · given up ", when(at.deadline)) : null, at.next_try_at && at.status === "retrying" ? h("span", null, " · tried again ", when(at.next_try_at)) : null),
      last ? h("div", "actions", ...again(last)) : null,
      at.error ? h("p", "wrong", h("strong", null, at.error), at.cause ? `: ${at.cause}` : "") : null,
      "input" in at ? section("Input", at.input) : null, "output" in at ? section("Output", at.output) : null,
      at.truncated ? h("p", "dim small", "A long payload is in the history below.") : null,
      h("section", "value", h("h4", null, "Events"), h("ol", "journal history-own", ...own.slice(-50).map((event) => item(event).el))));
  }

  /** @param {Execution} now */
  function line(now) {
    const found = visitsOf(watch.history, watch.of, now);
    const over = now.ended_at ? Date.parse(now.ended_at) : null;
    const began = Date.parse(now.started_at);
    const last = over ?? Date.now();
    const span = Math.max(1, last - began);
    sync(visits, found.slice(-ROWS), (visit) => visit.id, (visit) => {
      const bar = h("i");
      const took = h("span", "num");
      const word = h("span", "dim");
      const row = h("button", { type: "button", class: "head", on: { click: () => choose(visit.state) } }, h("span", null, visit.state), h("span", "bar", bar), took, word);
      const el = h("div", "visit", row, ...again(visit, true));
      const update = (/** @type {Visit} */ next) => {
        visit = next;
        el.dataset.status = next.status;
        bar.style.setProperty("--from", String(Math.min(1, (next.from - began) / span)));
        bar.style.setProperty("--span", String(Math.max(0, ((next.to ?? last) - next.from) / span)));
        text(took, next.to === null && over === null ? "" : duration((next.to ?? last) - next.from));
        text(word, statusWord(next.status));
      };
      update(visit);
      return { el, update };
    });
  }

  /** What one may do from a visit: its buttons. @param {Visit} visit @param {boolean} [small] */
  function again(visit, small = false) {
    const fork = () => forkExecution({ workflow: watch.now?.workflow ?? name, id, state: visit.state, seq: visit.seq, input: visit.inputText }, shell.go);
    const back = () => void replay("executions", id, visit.seq);
    const props = { class: small ? "quiet small" : "small" };
    // A child of a map run has no workflow of its own that a fork could belong to.
    const alone = watch.now?.workflow.includes("/");
    return [alone ? null : button(`Fork from ${visit.state}`, fork, props, icon("fork"), small ? null : h("span", null, "Fork from here")), button(`Replay up to ${visit.state}`, back, props, icon("check"), small ? null : h("span", null, "Replay to here"))].filter((node) => node !== null);
  }

  function history() {
    sync(list, watch.history.slice(-ROWS), (event) => event.id, item);
    more.hidden = !watch.more;
  }

  /** @param {HistoryEvent} event */
  function item(event) {
    const fold = h("details", { on: { toggle: () => {
      if (fold.open && fold.childElementCount === 1) fold.append(h("div", "actions indent", button("Replay to here", () => void replay("executions", id, event.seq), { class: "small" })), section("Details", { id: event.id, previous_event_id: event.previous_event_id, seq: event.seq, branch: event.branch, ...unpacked(event.details) }));
    } } }, h("summary", null, h("span", "num dim", event.id), h("span", { class: "num dim", title: precise(Date.parse(event.at)) }, `+${duration(Date.parse(event.at) - Date.parse(watch.now?.started_at ?? event.at)) || "0 ms"}`), h("span", null, event.type), h("span", "dim", event.state ?? watch.of.get(event.id) ?? "", " ", brief(event.details?.error, 120))));
    return { el: h("li", null, fold), update() {} };
  }

  watch.start();
  return {
    title: name,
    leave() {
      watch.close();
      family.close();
    },
    go(next) {
      if (next.parts[2] !== id) return false;
      chosen = next.query.get("state") ?? "";
      draw();
      return true;
    },
    key: (event) => step(event, all, ".visits .head, .history summary"),
  };
}

/** Returns details with the payloads that are texts of JSON as values. @param {Record<string, any> | null} details */
function unpacked(details) {
  /** @type {Record<string, any>} */
  const all = {};
  for (const [name, value] of Object.entries(details ?? {})) {
    const payload = ["input", "output", "parameters"].includes(name) && typeof value === "string";
    all[name] = payload ? (parse(value) ?? value) : value;
  }
  return all;
}
