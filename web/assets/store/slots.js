// Rows of costs by time as slots of a chart: every step between the first and the last, also those without a call.

/** @typedef {import('../types').CostRow} CostRow */

/** @type {Record<string, number>} */
const LENGTH = { minute: 60_000, hour: 3_600_000, day: 86_400_000 };

const day = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short", timeZone: "UTC" });
const hour = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit", timeZone: "UTC" });
const full = new Intl.DateTimeFormat("en-GB", { weekday: "short", day: "numeric", month: "short", hour: "2-digit", minute: "2-digit", timeZone: "UTC" });
const fullDay = new Intl.DateTimeFormat("en-GB", { weekday: "short", day: "numeric", month: "short", year: "numeric", timeZone: "UTC" });

/** Returns when a step of a row begins; the API writes days, hours and minutes as the beginning of a time. @param {string} said */
export function startOf(said) {
  const text = said.replace(/Z$/, "");
  return Date.parse(text.length === 10 ? `${text}T00:00:00Z` : text.length === 13 ? `${text}:00:00Z` : `${text}:00Z`);
}

/**
 * Returns the steps of `unit` from one time to another; all are in UTC, as the API cuts them.
 * @param {string} from
 * @param {string} to
 * @param {string} unit
 */
export function slots(from, to, unit) {
  const length = LENGTH[unit] ?? 86_400_000;
  const end = Date.parse(to);
  const all = [];
  for (let at = Math.floor(Date.parse(from) / length) * length; at < end; at += length) {
    const label = unit === "day" ? day.format(at) : at % 86_400_000 === 0 && unit === "hour" ? day.format(at) : hour.format(at);
    all.push({ at, step: at / length, label, full: unit === "day" ? fullDay.format(at) : `${full.format(at)} UTC` });
  }
  return all;
}

/** After how many steps a label may come, so that labels are round times. @type {Record<string, number[]>} */
export const ROUND = { minute: [1, 2, 5, 10, 15, 30, 60], hour: [1, 2, 3, 6, 12, 24, 48, 96, 168], day: [1, 2, 3, 5, 7, 10, 14, 30] };

/** The name of what is not among the largest. */
export const OTHERS = "Others";

/**
 * Returns a series for each of the largest values of `by`, and one for all others together.
 * @param {CostRow[]} rows by time and `by`
 * @param {{ at: number }[]} steps
 * @param {string} unit
 * @param {string} by
 * @param {(row: CostRow) => number} measure
 * @param {number} most
 * @returns {import('../types').Series[]}
 */
export function series(rows, steps, unit, by, measure, most) {
  const place = new Map(steps.map(({ at }, index) => [at, index]));
  /** @type {Map<string, { total: number, values: number[] }>} */
  const found = new Map();
  for (const row of rows) {
    const name = by ? (row[by] ?? "–") : "All";
    const one = found.get(name) ?? { total: 0, values: steps.map(() => 0) };
    const slot = place.get(startOf(row[unit]));
    if (slot !== undefined) one.values[slot] = (one.values[slot] ?? 0) + measure(row);
    one.total += measure(row);
    found.set(name, one);
  }
  const sorted = [...found].toSorted(([a, x], [b, y]) => y.total - x.total || a.localeCompare(b));
  const large = sorted.slice(0, sorted.length > most ? most - 1 : most);
  const rest = sorted.slice(large.length);
  /** @type {import('../types').Series[]} */
  const all = large.map(([name, { values }]) => ({ id: name, label: name, values }));
  if (rest.length) all.push({ id: OTHERS, label: `${OTHERS} (${rest.length})`, values: steps.map((_, slot) => rest.reduce((sum, [, { values }]) => sum + (values[slot] ?? 0), 0)) });
  return all;
}
