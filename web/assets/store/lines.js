// A run as lines that can be laid beside another run's: what came in, what came out, and how it went. And how two such
// lists belong together when one run is a fork of the other.

import { cameOut, inputs } from "../parts/row.js";
import { answer, words } from "./run.js";

/** @typedef {import('../types').HistoryEvent} HistoryEvent */
/** @typedef {import('../types').Execution} Execution */
/** @typedef {{ id: number, seq: number, branch: number, state: string, from: number, to: number | null, status: string, input?: any, inputText?: string, output?: any, error?: string, cause?: string }} Visit */
/** @typedef {{ seq: number, kind: string, name: string, level: number, input: any, output: any, status: string, brief?: string, from: number, took: number | null }} Line */
/** @typedef {{ left: Line | null, right: Line | null, mark: "same" | "differs" | "left" | "right", shared: boolean }} Pair */

/** How many lines are compared one with each; beyond that they are paired in order. */
const MOST = 600;

/** @param {any} text */
function parsed(text) {
  if (typeof text !== "string") return undefined;
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

/**
 * Returns the visits of states that a history tells of.
 * @param {HistoryEvent[]} history
 * @param {Map<number, string>} of the state that each event belongs to
 * @param {Execution} now
 * @returns {Visit[]}
 */
export function visitsOf(history, of, now) {
  /** @type {Visit[]} */
  const found = [];
  /** The visit that is under way in a state of a branch. @type {Map<string, Visit>} */
  const open = new Map();
  for (const event of history) {
    const own = of.get(event.id) ?? "";
    const key = `${event.branch ?? 0} ${own}`;
    const at = Date.parse(event.at);
    if (event.type.endsWith("StateEntered")) {
      const visit = { id: event.id, seq: event.seq, branch: event.branch ?? 0, state: own, from: at, to: null, status: "running", input: parsed(event.details?.input), inputText: event.details?.input };
      found.push(visit);
      open.set(key, visit);
      continue;
    }
    const visit = open.get(key) ?? found.findLast(({ state, to }) => state === own && to === null);
    if (!own || !visit) continue;
    if (event.type.endsWith("StateExited")) Object.assign(visit, { to: at, status: visit.status === "failed" ? "caught" : "done", output: parsed(event.details?.output) });
    else if (/(Failed|TimedOut)$/.test(event.type)) Object.assign(visit, { status: "failed", error: event.details?.error ?? visit.error, cause: event.details?.cause ?? visit.cause });
    else if (/Scheduled$/.test(event.type)) visit.status = "running";
    else if (event.type.endsWith("Aborted")) Object.assign(visit, { to: at, status: "aborted" });
    if (visit.to !== null) open.delete(key);
  }
  const over = now.ended_at !== null;
  for (const visit of found.filter(({ to }) => to === null)) {
    if (over) visit.status = visit.status === "failed" ? "failed" : "aborted";
    else visit.status = now.states[visit.state]?.status ?? visit.status;
  }
  return found;
}

/** Returns an execution as lines. @param {import('./execution.js').Watch} watch @returns {Line[]} */
export function ofExecution(watch) {
  const now = watch.now;
  if (!now) return [];
  return visitsOf(watch.history, watch.of, now).map((visit) => ({
    seq: visit.seq, kind: "workflows", name: visit.state, level: visit.branch ? 1 : 0, input: visit.input, status: visit.status,
    output: visit.output === undefined && visit.error ? { Error: visit.error, Cause: visit.cause ?? null } : visit.output, from: visit.from, took: visit.to === null ? null : visit.to - visit.from,
  }));
}

/** Returns an agent's run as lines. @param {import('./run.js').RunState} run @returns {Line[]} */
export function ofRun(run) {
  return run.turns.flatMap((turn) => {
    const asked = words(turn.message);
    const came = inputs(turn.steps, asked);
    /** @type {Line} */
    const own = { seq: turn.id, kind: "turn", name: "Turn", level: 0, input: asked, output: turn.why ?? undefined, status: turn.state, from: turn.at, took: turn.ended === null ? null : turn.ended - turn.at };
    return [own, ...turn.steps.map((step, index) => ({
      seq: step.call, kind: step.kind, name: step.kind === "model" ? `Model · ${step.name}` : step.name, level: 1,
      input: step.kind === "model" ? came[index] : (step.malformed ?? step.input), output: step.error ?? (step.kind === "tool" ? (step.output ? answer(step.output) : undefined) : step.reply?.content.map(({ type, text, name, input }) => (type === "tool_use" ? { calls: name, input } : (text ?? type)))),
      brief: cameOut(step), status: step.state, from: step.at, took: step.took,
    }))];
  });
}

/** @param {Line} one @param {Line} other */
function alike(one, other) {
  return one.name === other.name && one.status === other.status && JSON.stringify(one.input) === JSON.stringify(other.input) && JSON.stringify(one.output) === JSON.stringify(other.output);
}

/**
 * Lays two lists of lines side by side: what was copied by its position, what came after by its name. What stands at the
 * cut itself was begun again.
 * @param {Line[]} left the original
 * @param {Line[]} right the fork
 * @param {number} cut the last position that was copied
 * @returns {Pair[]}
 */
export function align(left, right, cut) {
  /** @type {Pair[]} */
  const pairs = [];
  const pair = (/** @type {Line | null} */ one, /** @type {Line | null} */ other, /** @type {boolean} */ shared) => pairs.push({
    left: one, right: other, shared, mark: !one ? "right" : !other ? "left" : alike(one, other) ? "same" : "differs",
  });
  const before = new Map(right.filter(({ seq }) => seq < cut).map((line) => [line.seq, line]));
  for (const line of left.filter(({ seq }) => seq < cut)) {
    pair(line, before.get(line.seq) ?? null, true);
    before.delete(line.seq);
  }
  for (const line of before.values()) pair(null, line, true);
  const one = left.filter(({ seq }) => seq >= cut);
  const other = right.filter(({ seq }) => seq >= cut);
  let [i, j] = [0, 0];
  for (const [a, b] of common(one, other)) {
    while (i < a) pair(one[i++] ?? null, null, false);
    while (j < b) pair(null, other[j++] ?? null, false);
    pair(one[i++] ?? null, other[j++] ?? null, false);
  }
  while (i < one.length) pair(one[i++] ?? null, null, false);
  while (j < other.length) pair(null, other[j++] ?? null, false);
  return pairs;
}

/** Returns the longest list of places at which two lists have the same names in the same order. @param {Line[]} one @param {Line[]} other @returns {[number, number][]} */
function common(one, other) {
  if (one.length > MOST || other.length > MOST) {
    return one.slice(0, other.length).flatMap((line, index) => (line.name === other[index]?.name ? [/** @type {[number, number]} */ ([index, index])] : []));
  }
  const wide = other.length + 1;
  const length = new Uint16Array((one.length + 1) * wide);
  for (let i = one.length - 1; i >= 0; i -= 1) {
    for (let j = other.length - 1; j >= 0; j -= 1) {
      const [down, right] = [length[(i + 1) * wide + j] ?? 0, length[i * wide + j + 1] ?? 0];
      length[i * wide + j] = one[i]?.name === other[j]?.name ? 1 + (length[(i + 1) * wide + j + 1] ?? 0) : Math.max(down, right);
    }
  }
  /** @type {[number, number][]} */
  const found = [];
  for (let i = 0, j = 0; i < one.length && j < other.length;) {
    if (one[i]?.name === other[j]?.name) found.push([i++, j++]);
    else if ((length[(i + 1) * wide + j] ?? 0) >= (length[i * wide + j + 1] ?? 0)) i += 1;
    else j += 1;
  }
  return found;
}
