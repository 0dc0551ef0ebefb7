// Workflows have an address before they have a place on the rail: this project has none.

import { h } from "../parts/dom.js";
import { empty } from "../parts/empty.js";

/** @param {HTMLElement} root @returns {import('../types').View} */
export function workflows(root) {
  root.append(h("div", "pad", empty("runs", "No workflows in this project", "This version runs agents. Their conversations are under Runs.")));
  return { title: "Workflows" };
}
