// Modal dialogs: the browser's own element keeps focus inside and closes on Escape.

import { button, h } from "./dom.js";
import { icon } from "./icons.js";

/**
 * Opens a dialog and returns it; it removes itself when closed.
 * @param {string} title
 * @param {...(Node | string)} content
 */
export function dialog(title, ...content) {
  const node = h("dialog", { "aria-label": title },
    h("header", null, h("h2", null, title), button("Close", () => node.close(), { class: "quiet" }, icon("close"))),
    h("div", "body", ...content),
  );
  node.addEventListener("close", () => node.remove());
  node.addEventListener("click", (event) => {
    if (event.target === node) node.close();
  });
  document.body.append(node);
  node.showModal();
  return node;
}

/**
 * Asks before something is done that cannot be undone.
 * @param {string} title
 * @param {string} text
 * @param {string} verb
 * @returns {Promise<boolean>}
 */
export function confirm(title, text, verb) {
  return new Promise((resolve) => {
    const yes = button(verb, () => {
      resolve(true);
      node.close();
    }, { class: "danger" });
    const node = dialog(title, h("p", null, text), h("div", "actions", button("Keep it", () => node.close()), yes));
    node.addEventListener("close", () => resolve(false));
    yes.focus();
  });
}
