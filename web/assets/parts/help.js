// The list of keys, behind `?`.

import { dialog } from "./dialog.js";
import { h } from "./dom.js";

/** @type {[string, [string, string][]][]} */
const KEYS = [
  ["Everywhere", [["/", "Search"], ["?", "This list"], ["g c", "Chat"], ["g r", "Runs"], ["g a", "Approvals"], ["g w", "Workflows"], ["g m", "Models"], ["g o", "Costs"], ["g p", "Project"], ["Esc", "Close, or leave the field"]]],
  ["Lists", [["j  k", "Down, up"], ["Enter", "Open"]]],
  ["Chat", [["Enter", "Send"], ["Shift Enter", "New line"], ["n", "New conversation"], ["c", "Write a message"], ["Esc", "Leave the field"]]],
  ["Workflow editor", [["← ↑ → ↓", "Walk from state to state"], ["Enter", "Choose"], ["a", "Add a state after it"], ["c", "Connect it"], ["F2", "Rename it"], ["Del", "Remove it"], ["Ctrl Z", "Undo"], ["Ctrl S", "Save"]]],
  ["Models", [["Esc", "Close the call"], ["Ctrl Enter", "Run the prompt"]]],
  ["Run", [["[  ]", "One event back, forward"], ["r", "Raw journal"]]],
];

export function showKeys() {
  if (document.querySelector("dialog")) return;
  dialog("Keys", h("div", "keys", ...KEYS.map(([title, rows]) => h("section", null, h("h3", null, title),
    h("dl", null, ...rows.map(([keys, what]) => h("div", null, h("dt", null, ...keys.split(/\s+/).map((key) => h("kbd", null, key))), h("dd", null, what)))),
  ))));
}
