// Numbers, money and times as people read them: aligned, with units, and no digit more than means something.

import { h } from "./dom.js";

const grouped = new Intl.NumberFormat("en");
const exact = new Intl.DateTimeFormat("en-GB", {
  year: "numeric", month: "short", day: "numeric", hour: "2-digit", minute: "2-digit", second: "2-digit",
  fractionalSecondDigits: 3, timeZoneName: "short",
});
const day = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short", year: "numeric" });
const clock = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit" });

/** Returns a span of time with its unit. @param {number | null | undefined} ms */
export function duration(ms) {
  if (ms === null || ms === undefined || !Number.isFinite(ms)) return "";
  if (ms < 1000) return `${Math.round(ms)} ms`;
  const seconds = ms / 1000;
  if (seconds < 10) return `${seconds.toFixed(1)} s`;
  if (seconds < 60) return `${Math.round(seconds)} s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return join(minutes, "min", Math.round(seconds % 60), "s");
  const hours = Math.floor(minutes / 60);
  if (hours < 48) return join(hours, "h", minutes % 60, "min");
  return `${Math.round(hours / 24)} days`;
}

/** @param {number} big @param {string} unit @param {number} small @param {string} part */
function join(big, unit, small, part) {
  return small ? `${big} ${unit} ${small} ${part}` : `${big} ${unit}`;
}

/** Returns a count: exact up to 9,999, then in thousands. @param {number | null | undefined} count */
export function count(count) {
  if (count === null || count === undefined) return "";
  if (count < 10_000) return grouped.format(count);
  if (count < 1_000_000) return `${(count / 1000).toFixed(count < 100_000 ? 1 : 0)} k`;
  return `${(count / 1_000_000).toFixed(1)} M`;
}

/** Returns `3 turns`. @param {number} number @param {string} word */
export function plural(number, word) {
  return `${count(number)} ${word}${number === 1 ? "" : "s"}`;
}

/** Returns money in US dollars, with two digits that mean something. @param {number | null | undefined} dollars */
export function money(dollars) {
  if (!dollars) return "$0";
  if (dollars < 0.0001) return "<$0.0001";
  if (dollars < 0.0995) return `$${dollars.toPrecision(2).replace(/0+$/, "")}`;
  if (dollars < 1000) return `$${dollars.toFixed(2)}`;
  return `$${grouped.format(Math.round(dollars))}`;
}

/** @param {import('../types').Usage | null | undefined} usage */
export function tokens(usage) {
  return usage ? usage.input + usage.output + (usage.cache_read ?? 0) + (usage.cache_write ?? 0) : 0;
}

/** @param {import('../types').Usage | null | undefined} usage */
export function usageText(usage) {
  if (!usage) return "";
  const cached = (usage.cache_read ?? 0) + (usage.cache_write ?? 0);
  const parts = [`${count(usage.input)} in`, `${count(usage.output)} out`];
  if (cached) parts.push(`${count(cached)} cached`);
  return parts.join(" · ");
}

/** Returns the time relative to now. @param {number} at */
export function relative(at) {
  const ahead = at > Date.now();
  const seconds = Math.abs(Date.now() - at) / 1000;
  const word = (/** @type {string} */ span) => (ahead ? `in ${span}` : `${span} ago`);
  if (seconds < 10) return ahead ? "in a moment" : "just now";
  if (seconds < 60) return word(`${Math.round(seconds / 10) * 10} s`);
  if (seconds < 3600) return word(`${Math.round(seconds / 60)} min`);
  if (seconds < 86_400) return word(`${Math.round(seconds / 3600)} h`);
  if (seconds < 7 * 86_400) return word(`${Math.round(seconds / 86_400)} d`);
  return day.format(at);
}

/** Returns the time to the millisecond. @param {number} at */
export function precise(at) {
  return exact.format(at);
}

/** Returns hours and minutes. @param {number} at */
export function hour(at) {
  return clock.format(at);
}

/** Makes a relative time that keeps itself up to date and shows the exact one on hover. @param {number | string} at */
export function when(at) {
  const ms = typeof at === "string" ? Date.parse(at) : at;
  const node = h("time", { datetime: new Date(ms).toISOString(), title: precise(ms), data: { at: String(ms) } });
  node.textContent = relative(ms);
  return node;
}

/** Gives a time element another time. @param {HTMLElement} node @param {number | string} at */
export function retime(node, at) {
  const ms = typeof at === "string" ? Date.parse(at) : at;
  if (node.dataset.at === String(ms)) return;
  node.dataset.at = String(ms);
  node.title = precise(ms);
  node.textContent = relative(ms);
}

setInterval(() => {
  for (const node of document.querySelectorAll("time[data-at]")) {
    const shown = relative(Number(/** @type {HTMLElement} */ (node).dataset.at));
    if (node.textContent !== shown) node.textContent = shown;
  }
}, 10_000);

/** Returns a line of Markdown without its marks, for places where it is only a glimpse. @param {string} text */
export function plain(text) {
  return text.replace(/^\s*(#{1,6}\s+|[-*+]\s+|>\s+)/, "").replace(/(\*\*|__|`|~~)/g, "").replace(/(^|[\s(])\*([^*\s][^*]*)\*/g, "$1$2").replace(/!?\[([^\]]*)\]\([^)]*\)/g, "$1");
}

/** Returns the first line of a text. @param {string} text @param {number} [most] */
export function line(text, most = 200) {
  const first = text.trim().split("\n", 1)[0] ?? "";
  return first.length > most ? `${first.slice(0, most - 1)}…` : first;
}

/** Returns a JSON value on one line, as short as it can be read: `order_id: MA-10198, reason: damaged`. @param {any} value @param {number} [most] @returns {string} */
export function brief(value, most = 200) {
  if (value === null || value === undefined) return "";
  if (typeof value === "string") return line(value, most);
  if (Array.isArray(value)) return line(value.map((part) => brief(part, most)).join(", "), most);
  if (typeof value !== "object") return String(value);
  return line(Object.entries(value).map(([name, part]) => `${name}: ${brief(part, most)}`).join(", "), most);
}
