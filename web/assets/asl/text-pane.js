// The text of a definition, to write by hand: in step with the graph and the form, kept byte for byte.

import { h } from "../parts/dom.js";
import { inField, lineOf, placeAt, places, typed } from "./text.js";

/** @typedef {import('./draft.js').Draft} Draft */
/** @typedef {import('../types').Diagnostic} Diagnostic */

/** @param {Draft} draft */
export function textPane(draft) {
  const field = h("textarea", { spellcheck: "false", wrap: "off", "aria-label": "Definition", value: draft.text, on: { input: () => draft.change(typed(draft.text, field.value), "Typing") } });
  return {
    el: field,
    update() {
      if (field.value === inField(draft.text)) return;
      const [from, to, top] = [field.selectionStart, field.selectionEnd, field.scrollTop];
      field.value = draft.text;
      field.setSelectionRange(from, to);
      field.scrollTop = top;
    },
    /** Shows what lies at a path. @param {import('./text.js').Path} path */
    show(path) {
      const before = draft.text.slice(0, draft.readable ? (placeAt(places(draft.text), path)?.from ?? 0) : 0);
      const at = inField(before).length;
      field.focus();
      field.setSelectionRange(at, at);
      field.scrollTop = Math.max(0, lineOf(before, before.length).line * 18 - 60);
    },
    /** Shows where something was found. @param {Diagnostic} one */
    seek(one) {
      const lines = field.value.split("\n");
      const at = lines.slice(0, Math.max(0, (one.line ?? 1) - 1)).reduce((sum, line) => sum + line.length + 1, 0) + Math.max(0, (one.column ?? 1) - 1);
      field.focus();
      field.setSelectionRange(at, at + 1);
      field.scrollTop = Math.max(0, (one.line ?? 1) * 18 - 120);
    },
  };
}
