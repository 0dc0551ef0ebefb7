// A JSON value as text that can be read: indented, with quiet colours for names, texts and numbers.

import { copier, h } from "./dom.js";

/** How many characters are coloured; beyond them a value is plain text, which stays fast. */
const COLOURED = 60_000;

const TOKEN = /("(?:[^"\\]|\\.)*")(\s*:)?|\b(true|false|null)\b|(-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?)/g;

/** @param {any} value */
export function pretty(value) {
  return JSON.stringify(value, null, 2) ?? "";
}

/** Lays out a text of JSON as `pretty` does a value; its numbers, names and texts stay as they are written. @param {string} text valid JSON */
export function laidOut(text) {
  const tokens = text.match(/"[^"\\]*(?:\\.[^"\\]*)*"|[{}[\],:]|[^\s{}[\],:"]+/g) ?? [];
  const opens = (/** @type {string | undefined} */ token) => token === "{" || token === "[";
  const closes = (/** @type {string | undefined} */ token) => token === "}" || token === "]";
  let deep = 0;
  const line = (/** @type {number} */ by) => `\n${"  ".repeat((deep += by))}`;
  return tokens.map((token, index) => {
    if (opens(token)) return closes(tokens[index + 1]) ? token : token + line(1);
    if (closes(token)) return opens(tokens[index - 1]) ? token : line(-1) + token;
    return token === "," ? token + line(0) : token === ":" ? ": " : token;
  }).join("");
}

/** Says what is wrong with a text that is to be JSON, with its line and column; null when nothing is. @param {string} text */
export function jsonFault(text) {
  try {
    JSON.parse(text);
    return null;
  } catch (error) {
    const said = error instanceof Error ? error.message : String(error);
    const at = /position (\d+)/.exec(said)?.[1];
    const before = text.slice(0, at ? Number(at) : text.length).split("\n");
    const what = said.replace(/^JSON\.parse: /, "").replace(/ (in JSON )?at position.*$/, "").replace(/, ?(\.\.\.)?".*is not valid JSON$/s, "");
    return `Not JSON: ${what}, line ${before.length}, column ${(before.at(-1) ?? "").length + 1}`;
  }
}

/** @param {any} value @returns {HTMLElement} */
export function json(value) {
  const text = pretty(value);
  const node = h("pre", { class: "json", tabindex: "0" });
  if (text.length > COLOURED) {
    node.textContent = text;
    return node;
  }
  let from = 0;
  for (const match of text.matchAll(TOKEN)) {
    const [whole, string, colon, word] = match;
    const kind = string ? (colon ? "name" : "text") : word ? "word" : "number";
    const shown = string && colon ? string : whole;
    if (match.index > from) node.append(text.slice(from, match.index));
    node.append(h("span", `j-${kind}`, shown));
    from = match.index + shown.length;
  }
  node.append(text.slice(from));
  return node;
}

/**
 * A titled value with a button that copies it.
 * @param {string} title
 * @param {any} value
 * @param {...HTMLElement} more buttons
 */
export function section(title, value, ...more) {
  const isText = typeof value === "string";
  const body = isText ? h("pre", { class: "words", tabindex: "0" }, value) : json(value);
  return h("section", "value",
    h("header", null, h("h4", null, title), ...more, copier(isText ? "Copy" : "Copy as JSON", () => (isText ? value : pretty(value)))),
    body,
  );
}
