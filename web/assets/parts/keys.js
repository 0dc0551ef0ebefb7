// The keys: where `g` leads, whether a letter is a command, and walking through lists with j and k.

/** The addresses behind `g` and a letter. @type {Record<string, string>} */
export const GO = { c: "/chat", r: "/runs", a: "/approvals", w: "/workflows", m: "/models", o: "/costs", p: "/project" };

/** Whether the reader is writing, so that letters are letters. @param {EventTarget | null} target */
export function writing(target) {
  return target instanceof HTMLElement && (target.isContentEditable || ["INPUT", "TEXTAREA", "SELECT"].includes(target.tagName) && target.getAttribute("type") !== "range");
}

/**
 * Moves the focus among the rows of a list with j and k.
 * @param {KeyboardEvent} event
 * @param {ParentNode} root
 * @param {string} selector
 */
export function step(event, root, selector) {
  if (event.key !== "j" && event.key !== "k") return false;
  const rows = [...root.querySelectorAll(selector)].filter((row) => row.getClientRects().length > 0);
  const at = rows.findIndex((row) => row === document.activeElement || row.contains(document.activeElement));
  const next = at < 0 ? 0 : Math.max(0, Math.min(rows.length - 1, at + (event.key === "j" ? 1 : -1)));
  const row = rows[next];
  if (row instanceof HTMLElement) {
    row.focus();
    row.scrollIntoView({ block: "nearest" });
  }
  return true;
}
