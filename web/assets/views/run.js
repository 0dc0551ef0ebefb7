// A run: totals, the time line by the one grammar, the raw journal, and what one may do with it. `?at=17` shows it as it
// was at that position.

import { path, post, query } from "../api.js";
import { axis } from "../parts/axis.js";
import { card } from "../parts/approval.js";
import { button, copier, fill, frame, h, sync, text } from "../parts/dom.js";
import { forkRun, replay } from "../parts/forking.js";
import { count, duration, line, money, plain, plural, precise, tokens, usageText, when } from "../parts/format.js";
import { icon } from "../parts/icons.js";
import { journal } from "../parts/journal.js";
import { step } from "../parts/keys.js";
import { inputs, row, stepRow } from "../parts/row.js";
import { chatAddress } from "../parts/sessions.js";
import { badge, rebadge } from "../parts/states.js";
import { failure, toast, toastError } from "../parts/toast.js";
import { tree } from "../parts/tree.js";
import { turnDetail } from "../parts/turndetail.js";
import { Feed } from "../store/feed.js";
import { RunState, words } from "../store/run.js";

/** @typedef {import('../types').Turn} Turn */

/** How many of the last turns are open at first. */
const OPEN = 5;

/**
 * @param {HTMLElement} root
 * @param {import('../types').Address} address
 * @param {import('../types').Shell} shell
 * @param {HTMLElement} head
 * @returns {import('../types').View}
 */
export function run(root, address, shell, head) {
  const id = address.parts[1] ?? "";
  let at = Number(address.query.get("at")) || 0;
  let raw = false;
  let first = true;
  /** The turns that are folded. @type {Set<number>} */
  const folded = new Set();

  const feed = new Feed(frame(draw), (error) => fill(note, failure(error, error.status === 404 ? undefined : () => feed.follow(id))));
  const note = h("div", null, h("p", "line dim", "Opening…"));
  const title = h("h2", "run-title");
  const state = badge("idle");
  const about = h("dl", "facts");
  const sums = h("dl", "sums");
  const ticks = h("span", "ticks");
  const scale = h("div", { class: "scale", "aria-hidden": "true" }, h("span", null, "Step"), h("span", "in", "In"), h("span", null, "Out"), ticks,
    h("span", "num", "Time"), h("span", "num tokens", "Tokens"), h("span", "num cost", "Cost"), h("span", null, "State"));
  const rows = h("div", { class: "timeline", role: "group", "aria-label": "Time line" });
  const asks = h("div", "decisions");
  const list = journal((seq) => move(seq), (seq) => again(seq - 1, seq));
  const family = tree(id);
  const seat = h("input", { type: "range", min: 1, max: 1, value: 1, "aria-label": "Position in the journal", on: { input: () => move(Number(seat.value)) } });
  const place = h("span", "num dim small");
  const now = button("Now", () => move(0), { class: "small", hidden: true });
  const time = h("div", "travel", button("One event back", () => travel(-1), { class: "quiet" }, icon("left")), seat, button("One event forward", () => travel(1), { class: "quiet" }, icon("right")), place, now);

  const back = h("a", { class: "button", href: "/chat" }, icon("chat"), h("span", null, "Chat"));
  const stop = button("Cancel", cancel, { hidden: true }, icon("stop"), h("span", null, "Cancel"));
  const flip = button("Journal", () => turnOver(), { "aria-pressed": "false" }, h("span", null, "Journal"));
  fill(head, back, flip, button("Fork from here", fork, {}, icon("fork"), h("span", null, "Fork")), button("Check by replay", () => void replay("runs", id, at || null), {}, icon("check"), h("span", null, "Replay")), stop);
  const table = h("div", { class: "run", hidden: true }, h("header", null, h("div", "line", title, state), about, sums), time, asks, h("section", { class: "grid", "aria-label": "Steps" }, scale, rows), list.el, family.el);
  root.append(h("div", "pad", note, table));
  head.hidden = true;

  function turnOver() {
    raw = !raw;
    flip.setAttribute("aria-pressed", String(raw));
    draw();
  }

  /** Returns the run as it was at the chosen position. */
  function shown() {
    if (!at || at >= feed.state.seq) return feed.state;
    const past = new RunState();
    for (const entry of feed.entries) {
      if (entry.seq > at) break;
      past.apply(entry);
    }
    return past;
  }

  /** @param {number} seq 0: now */
  function move(seq) {
    at = seq >= feed.state.seq ? 0 : Math.max(0, seq);
    history.replaceState(null, "", query(`/runs/${id}`, { at: at || null }));
    draw();
  }

  /** @param {number} by */
  function travel(by) {
    move(Math.max(1, (at || feed.state.seq) + by));
  }

  function draw() {
    const [start] = feed.entries;
    if (start?.kind === "workflow") {
      // An execution is a run, and has a view of its own.
      shell.go(path("workflows", start.name, id), true);
      return;
    }
    if (!feed.current && !feed.state.turns.length) return;
    note.replaceChildren();
    head.hidden = false;
    table.hidden = false;
    const run = shown();
    const ended = at ? (feed.entries.find((entry) => entry.seq === run.seq)?.at ?? null) : null;
    const clock = ended ? Date.parse(ended) : Date.now();
    if (first && feed.current) {
      first = false;
      const wanted = Number(/^#turn-(\d+)$/.exec(location.hash)?.[1] ?? 0);
      run.turns.slice(0, -OPEN).forEach((turn) => turn.id !== wanted && folded.add(turn.id));
      if (wanted) requestAnimationFrame(() => rows.querySelector(`[data-turn="${wanted}"]`)?.scrollIntoView({ block: "start" }));
    }
    header(run);
    seat.max = String(feed.state.seq);
    seat.value = String(at || feed.state.seq);
    text(place, `${at || feed.state.seq} of ${feed.state.seq}`);
    now.hidden = !at;
    table.classList.toggle("past", Boolean(at));
    const shared = axis(run.turns, clock);
    fill(ticks, ...shared.ticks.map((tick) => {
      const node = h("span", "num", tick.ms ? duration(tick.ms) : "0");
      node.style.setProperty("--at", String(tick.at));
      return node;
    }));
    rows.parentElement?.toggleAttribute("hidden", raw);
    list.el.hidden = !raw;
    if (raw) list.show(feed.entries, at);
    else sync(rows, run.turns.flatMap((turn) => lines(turn, shared, clock)), (item) => item.key, make);
    const open = at ? [] : run.questions;
    sync(asks, open, (step) => step.call, (step) => {
      const { el } = card({
        run: id, call: step.call, kind: step.asked?.kind ?? "approval", tool: step.name, input: step.input,
        question: step.asked?.question ?? "", preview: step.asked?.preview, deadline: step.asked?.deadline ?? 0,
      });
      return { el, update() {} };
    });
    stop.hidden = !feed.state.busy;
    family.update({ events: feed.state.seq, over: !feed.state.busy, mapRuns: [] });
    back.href = chatAddress({ session_id: feed.state.session, user_id: feed.state.user });
  }

  /** @param {RunState} run */
  function header(run) {
    const name = line(words(run.turns.at(-1)?.message), 90) || run.session;
    text(title, name);
    shell.title(name);
    rebadge(state, run.open?.state ?? (run.busy ? "queued" : (run.turns.at(-1)?.state ?? "idle")));
    const stamp = `${run.agent} ${run.user} ${run.session} ${feed.entries[0]?.at}`;
    if (about.dataset.stamp !== stamp) {
      about.dataset.stamp = stamp;
      /** @type {[string, Node | string][]} */
      const facts = [["Agent", run.agent], ["User", run.user], ["Session", h("a", { href: chatAddress({ session_id: run.session, user_id: run.user }) }, h("code", null, run.session))]];
      if (feed.entries[0]) facts.push(["Began", when(feed.entries[0].at)]);
      if (run.forked) facts.push(["Forked from", h("span", null, h("a", { href: `/runs/${run.forked.from}?at=${run.forked.at}` }, h("code", null, `${run.forked.from.slice(0, 8)} at ${run.forked.at}`)), " · ", h("a", { href: `${path("runs", id)}?with=${run.forked.from}` }, "Side by side"))]);
      facts.push(["Run", h("span", null, h("code", { title: id }, id.slice(0, 8)), " ", copier("Copy", () => id))]);
      fill(about, ...facts.map(([name, value]) => h("div", null, h("dt", null, name), h("dd", null, value))));
    }
    const steps = run.turns.flatMap((turn) => turn.steps);
    const sum = steps.reduce((sum, { usage }) => ({ input: sum.input + (usage?.input ?? 0), output: sum.output + (usage?.output ?? 0), cache_read: sum.cache_read + (usage?.cache_read ?? 0), cache_write: sum.cache_write + (usage?.cache_write ?? 0) }), { input: 0, output: 0, cache_read: 0, cache_write: 0 });
    /** @type {[string, string, string][]} */
    const totals = [
      ["Turns", count(run.turns.length), ""], ["Model calls", count(steps.filter((step) => step.kind === "model").length), ""],
      ["Tool calls", count(steps.filter((step) => step.kind === "tool").length), ""], ["Tokens", count(tokens(sum)), usageText(sum)],
      ["Cost", money(steps.reduce((sum, step) => sum + (step.cost ?? 0), 0)), ""],
      ["At work", duration(steps.reduce((sum, step) => sum + (step.took ?? 0), 0)), "The time of all model and tool calls"],
    ];
    sync(sums, totals, ([name]) => name, (total) => {
      const value = h("dd", "num");
      const el = h("div", null, h("dt", null, total[0]), value);
      const update = (/** @type {[string, string, string]} */ [, now, more]) => {
        text(value, now);
        value.title = more;
      };
      update(total);
      return { el, update };
    });
  }

  /** @typedef {{ key: string, turn: Turn, step?: import('../types').Step, cameIn: string, from: number, to: number }} Line */

  /** Returns the rows of a turn: itself, then its calls unless it is folded. @param {Turn} turn @param {import('../parts/axis.js').Axis} shared @param {number} clock @returns {Line[]} */
  function lines(turn, shared, clock) {
    const own = { key: `t${turn.id}`, turn, cameIn: "", from: 0, to: shared.at(turn, turn.ended ?? clock) };
    if (folded.has(turn.id)) return [own];
    const came = inputs(turn.steps, words(turn.message));
    return [own, ...turn.steps.map((step, index) => ({
      key: `c${step.call}`, turn, step, cameIn: came[index] ?? "", from: shared.at(turn, step.began ?? step.at),
      to: shared.at(turn, step.ended ?? (step.state === "asking" ? (step.began ?? step.at) : clock)),
    }))];
  }

  /** @param {Line} item @returns {import('../types').Part<Line>} */
  function make(item) {
    if (!item.step) return turnRow(item);
    const part = stepRow({ ...item, step: item.step }, () => id, 1, (step) => again(step.call - 1, step.replySeq ?? step.call));
    return { el: part.el, update: (next) => next.step && part.update({ ...next, step: next.step }) };
  }

  /** @param {Line} item @returns {import('../types').Part<Line>} */
  function turnRow(item) {
    let { turn } = item;
    const made = row("turn", "Turn", 0, () => [again(turn.id - 1), ...turnDetail(turn, feed.state)]);
    made.el.dataset.turn = String(turn.id);
    const fold = button("Fold", () => {
      if (!folded.delete(turn.id)) folded.add(turn.id);
      draw();
    }, { class: "quiet fold" }, icon("down"));
    made.el.prepend(fold);
    const update = (/** @type {Line} */ next) => {
      ({ turn } = next);
      const steps = turn.steps;
      const closed = folded.has(turn.id);
      fold.setAttribute("aria-expanded", String(!closed));
      fold.setAttribute("aria-label", closed ? "Show its steps" : "Hide its steps");
      made.el.classList.toggle("folded", closed);
      const usage = steps.reduce((sum, step) => sum + tokens(step.usage), 0);
      made.show({
        cameIn: line(words(turn.message)), cameOut: turn.why ?? plain(line(words(steps.findLast((step) => words(step.reply))?.reply))),
        took: turn.ended === null ? null : turn.ended - turn.at, since: turn.ended === null && turn.state === "running" ? turn.at : null,
        tokens: usage, usage: plural(steps.length, "call"), cost: steps.reduce((sum, step) => sum + (step.cost ?? 0), 0), state: turn.state, from: next.from, to: next.to,
      });
      made.head.title = `Began ${precise(turn.at)}`;
    };
    update(item);
    return { el: made.el, update };
  }

  async function cancel() {
    try {
      await post(path("v1", "runs", id, "cancel"), {});
      toast("Cancelled");
    } catch (error) {
      toastError(error);
    }
  }

  async function fork() {
    try {
      const made = await post(path("v1", "runs", id, "fork"), at ? { at } : {});
      toast(`Forked at ${at || feed.state.seq}`);
      shell.go(chatAddress(made));
    } catch (error) {
      toastError(error);
    }
  }

  /** What one may do from an entry: fork and replay. @param {number} before the position before it @param {number} [after] its own */
  function again(before, after) {
    const go = async (/** @type {number} */ at) => {
      const to = await forkRun(id, at);
      if (to) shell.go(to);
    };
    return h("div", "actions",
      before > 0 ? button("Fork before this", () => void go(before), { class: "small", title: "A new session that has what happened before, and does this anew" }, icon("fork"), h("span", null, "Fork before this")) : null,
      after ? button("Fork after this", () => void go(after), { class: "small", title: "A new session that has all up to here" }, icon("fork"), h("span", null, "Fork after this")) : null,
      button("Replay to here", () => void replay("runs", id, after ?? before), { class: "small" }, icon("check"), h("span", null, "Replay to here")));
  }

  // What runs grows on the axis.
  const pulse = setInterval(() => feed.state.open && !at && !document.hidden && draw(), 500);
  feed.follow(id);

  return {
    title: "Run",
    leave() {
      clearInterval(pulse);
      family.close();
      head.hidden = false;
      feed.close();
    },
    go(next) {
      if (next.parts[1] !== id) return false;
      at = Number(next.query.get("at")) || 0;
      draw();
      return true;
    },
    key(event) {
      if (event.key === "[") travel(-1);
      else if (event.key === "]") travel(1);
      else if (event.key === "r") turnOver();
      else return step(event, table, raw ? ".journal summary" : ".row .head");
      return true;
    },
  };
}
