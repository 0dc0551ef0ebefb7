// A turn of a conversation: what the person said, the steps behind the answer, decisions, the answer, how it ended.

import { path, post } from "../api.js";
import { words } from "../store/run.js";
import { card } from "./approval.js";
import { button, copier, fill, h, sync, text } from "./dom.js";
import { count, duration, money, plural, tokens, usageText } from "./format.js";
import { icon } from "./icons.js";
import { markdown } from "./markdown.js";
import { inputs, stepRow } from "./row.js";
import { ADVICE, stateWord } from "./states.js";
import { toastError } from "./toast.js";

/** @typedef {import('../types').Turn} Turn */
/** @typedef {import('../types').Step} Step */
/** @typedef {{ kind: "work", id: string, steps: Step[], came: string[], over: boolean } | { kind: "text", id: string, text: string, live: boolean } | { kind: "ask", id: string, step: Step }} Segment */

/**
 * @param {Turn} turn
 * @param {() => string} run the run's id
 * @returns {import('../types').Part<Turn>}
 */
export function turnPart(turn, run) {
  const said = h("div", "said", ...spoken(turn));
  const segments = h("div", "segments");
  const end = h("div", "end");
  const foot = h("footer", "dim small");
  const el = h("article", { class: "turn", "aria-label": "Turn", data: { turn: String(turn.id) } }, h("div", "user", said), h("div", "reply", segments, end, foot));
  let stamp = "";
  let over = false;
  /** @param {Turn} now */
  const update = (now) => {
    // A turn that is over does not change; a long conversation has hundreds of them.
    if (over) return;
    over = now.ended !== null;
    sync(segments, cut(now), (segment) => segment.id, (segment) => draw(segment, run));
    el.classList.toggle("live", now.ended === null);
    const next = `${now.state} ${now.cancelling} ${now.ended}`;
    if (next === stamp) return;
    stamp = next;
    fill(end, ...ending(now, run()));
    fill(foot, ...totals(now, run()));
  };
  update(turn);
  return { el, update };
}

/** @param {Turn} turn */
function spoken(turn) {
  return turn.message.content.map((block) => {
    if (block.type === "text") return h("p", null, block.text ?? "");
    return h("p", "dim", `[${block.type}${block.media_type ? ` ${block.media_type}` : ""}]`);
  });
}

/** Cuts a turn into what is shown one below the other: steps, decisions, text. @param {Turn} turn @returns {Segment[]} */
function cut(turn) {
  /** @type {Segment[]} */
  const segments = [];
  const came = inputs(turn.steps, words(turn.message));
  /** @type {Extract<Segment, { kind: "work" }> | null} */
  let work = null;
  /** @type {Segment[]} */
  let asks = [];
  const close = () => {
    segments.push(...asks);
    asks = [];
    work = null;
  };
  turn.steps.forEach((step, index) => {
    if (!work) {
      work = { kind: "work", id: `w${step.call}`, steps: [], came: [], over: turn.ended !== null };
      segments.push(work);
    }
    work.steps.push(step);
    work.came.push(came[index] ?? "");
    if (step.asked) asks.push({ kind: "ask", id: `q${step.call}`, step });
    if (step.kind !== "model") return;
    const said = step.reply ? words(step.reply) : spokenSoFar(step);
    if (!said) return;
    close();
    segments.push({ kind: "text", id: `t${step.call}`, text: said, live: !step.reply && step.ended === null });
  });
  close();
  return segments;
}

/** @param {Step} step */
function spokenSoFar(step) {
  return [...(step.live?.values() ?? [])].filter((block) => block.kind === "text").map((block) => block.text).join("\n\n");
}

/** @param {Segment} segment @param {() => string} run @returns {import('../types').Part<any>} */
function draw(segment, run) {
  if (segment.kind === "work") return workPart(segment, run);
  if (segment.kind === "ask") {
    const part = card(asked(segment.step, run()));
    return { el: part.el, update: (/** @type {any} */ next) => part.update(asked(next.step, run())) };
  }
  const el = h("div", "prose");
  const update = (/** @type {any} */ next) => {
    markdown(el, next.text);
    el.classList.toggle("writing", next.live);
  };
  update(segment);
  return { el, update };
}

/** @param {Step} step @param {string} run @returns {import('./approval.js').Ask} */
function asked(step, run) {
  const ask = /** @type {import('../types').Asked} */ (step.asked);
  return {
    run, call: step.call, kind: ask.kind, tool: step.name, input: step.input, question: ask.question, preview: ask.preview,
    deadline: ask.deadline, answered: ask.answered, outcome: step.outcome ?? (step.ended === null ? undefined : step.state),
  };
}

/** The steps behind a piece of the answer: a fold that is open while a tool works, and closed when the turn is over. @param {Extract<Segment, { kind: "work" }>} segment @param {() => string} run */
function workPart(segment, run) {
  const label = h("span");
  const rows = h("div", "rows");
  const summary = h("summary", null, icon("right"), label);
  const el = h("details", "work", summary, rows);
  let touched = false;
  summary.addEventListener("click", () => (touched = true));
  const update = (/** @type {typeof segment} */ next) => {
    text(label, doing(next));
    el.classList.toggle("live", next.steps.some((step) => step.ended === null && step.state !== "asking"));
    if (!touched) el.open = !next.over && next.steps.some((step) => step.kind === "tool");
    sync(rows, next.steps.map((step, index) => ({ step, cameIn: next.came[index] ?? "" })), (item) => item.step.call, (item) => stepRow(item, run, 0));
  };
  update(segment);
  return { el, update };
}

/** @param {Extract<Segment, { kind: "work" }>} segment */
function doing({ steps }) {
  const now = steps.find((step) => step.ended === null);
  if (now?.state === "asking") return `Waiting for a decision on ${now.name}`;
  if (now?.kind === "tool") return `Using ${now.name}…`;
  if (now) {
    const later = now.retryAt && now.retryAt > Date.now();
    if (later) return `The model did not answer; trying again (attempt ${now.attempt})`;
    const last = [...(now.live?.values() ?? [])].at(-1)?.kind;
    return last === "text" ? "Writing…" : last === "reasoning" ? "Reasoning…" : "Thinking…";
  }
  const tools = [...new Set(steps.filter((step) => step.kind === "tool").map((step) => step.name))];
  const spent = steps.reduce((sum, step) => sum + (step.took ?? 0), 0);
  const answered = steps.some((step) => step.reply) ? "Answered" : "No answer";
  return [tools.length ? `Used ${tools.join(", ")}` : answered, plural(steps.length, "step"), duration(spent)].join(" · ");
}

/** @param {Turn} turn @param {string} run @returns {Node[]} */
function ending(turn, run) {
  if (turn.state === "queued") return [h("p", "line", icon("runs"), "Queued: it begins when the turn before it is over.", button("Withdraw", () => withdraw(turn, run), { class: "small" }))];
  if (turn.ended === null) return turn.cancelling ? [h("p", "line", icon("stop"), "Stopping…")] : [];
  if (turn.state === "completed") return [];
  const bad = !["cancelled", "interrupted"].includes(turn.state);
  return [h("div", bad ? "outcome bad" : "outcome", icon(bad ? "warn" : "stop"), h("div", null,
    h("p", "strong", stateWord(turn.state)),
    turn.why && turn.why !== turn.state ? h("p", null, turn.why) : null,
    ADVICE[turn.state] ? h("p", "dim", ADVICE[turn.state]) : null,
  ))];
}

/** Takes back a turn that waits. @param {Turn} turn @param {string} run */
async function withdraw(turn, run) {
  try {
    await post(path("v1", "runs", run, "cancel"), { turn: turn.id });
  } catch (error) {
    toastError(error);
  }
}

/** @param {Turn} turn @param {string} run */
function totals(turn, run) {
  if (turn.ended === null) return [];
  const used = turn.steps.reduce((sum, step) => sum + tokens(step.usage), 0);
  const cost = turn.steps.reduce((sum, step) => sum + (step.cost ?? 0), 0);
  const usage = turn.steps.reduce((sum, { usage }) => ({ input: sum.input + (usage?.input ?? 0), output: sum.output + (usage?.output ?? 0) }), { input: 0, output: 0 });
  const answered = turn.steps.map((step) => words(step.reply)).filter(Boolean).join("\n\n");
  return [
    h("span", "num", duration(turn.ended - turn.at)),
    used ? h("span", { class: "num", title: usageText(usage) }, `${count(used)} tokens`) : null,
    cost ? h("span", "num", money(cost)) : null,
    h("a", { href: `/runs/${run}#turn-${turn.id}` }, "Time line"),
    answered ? copier("Copy", () => answered) : null,
  ].filter((node) => node !== null);
}
