// The time axis that the bars of a run share: every turn begins at its zero, all have one scale, and the time that only
// waits for a person is left out, because it would make everything else invisible.

/** @typedef {import('../types').Turn} Turn */
/** @typedef {import('../types').Step} Step */

/** @typedef {{ length: number, at(turn: Turn, time: number): number, ticks: { at: number, ms: number }[] }} Axis */

/** Returns the spans of a turn in which it only waits for a person. @param {Turn} turn @param {number} now @returns {[number, number][]} */
export function waits(turn, now) {
  const asked = turn.steps.filter((step) => step.asked).map((step) => /** @type {[number, number]} */ ([step.asked?.at ?? 0, step.asked?.answered?.at ?? step.ended ?? now]));
  const busy = turn.steps.flatMap((step) => spans(step, now));
  // What is left of each wait when the work beside it is taken away.
  let rest = merge(asked);
  for (const [from, to] of busy) rest = rest.flatMap(([a, b]) => /** @type {[number, number][]} */ ([[a, Math.min(b, from)], [Math.max(a, to), b]]).filter(([x, y]) => y > x));
  return rest;
}

/** @param {Step} step @param {number} now @returns {[number, number][]} */
function spans(step, now) {
  if (step.began === null) return [];
  const end = step.ended ?? (step.state === "asking" ? step.began : now);
  return [[step.began, end]];
}

/** @param {[number, number][]} spans */
function merge(spans) {
  /** @type {[number, number][]} */
  const merged = [];
  for (const [from, to] of spans.toSorted((a, b) => a[0] - b[0])) {
    const last = merged.at(-1);
    if (last && from <= last[1]) last[1] = Math.max(last[1], to);
    else merged.push([from, to]);
  }
  return merged;
}

/** Returns how much of a turn lies before `time`, without the waiting. @param {Turn} turn @param {number} time @param {[number, number][]} idle */
function worked(turn, time, idle) {
  const waited = idle.reduce((sum, [from, to]) => sum + Math.max(0, Math.min(to, time) - from), 0);
  return Math.max(0, time - turn.at - waited);
}

/** @param {Turn[]} turns @param {number} now @returns {Axis} */
export function axis(turns, now) {
  const idle = new Map(turns.map((turn) => [turn.id, waits(turn, now)]));
  const spent = turns.map((turn) => worked(turn, turn.ended ?? now, idle.get(turn.id) ?? []));
  const length = Math.max(10, ...spent);
  const unit = nice(length / 4);
  const ticks = [];
  for (let ms = 0; ms <= length * 0.94; ms += unit) ticks.push({ at: ms / length, ms });
  return { length, ticks, at: (turn, time) => Math.min(1, worked(turn, time, idle.get(turn.id) ?? []) / length) };
}

/** Returns the round number of milliseconds at or above `ms`. @param {number} ms */
function nice(ms) {
  const steps = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000, 15_000, 30_000, 60_000, 120_000, 300_000, 600_000];
  return steps.find((step) => step >= ms) ?? Math.ceil(ms / 3_600_000) * 3_600_000;
}
