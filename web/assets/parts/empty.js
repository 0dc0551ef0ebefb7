// Empty states teach: what would be here, and the command that fills it, ready to copy.

import { copier, h } from "./dom.js";
import { icon } from "./icons.js";

/**
 * @param {string} kind an icon
 * @param {string} title
 * @param {string} text
 * @param {string} [command]
 */
export function empty(kind, title, text, command) {
  return h("div", "empty", icon(kind), h("h2", null, title), h("p", "dim", text),
    command ? h("div", "command", h("code", null, command), copier("Copy", () => command)) : null);
}
