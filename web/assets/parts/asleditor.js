// The text of a definition, to change: judged by the server while one writes, kept byte for byte when it is saved.

import { path, post, send } from "../api.js";
import { button, fill, h, text } from "./dom.js";
import { parse } from "./graph.js";
import { toastError } from "./toast.js";

/** @typedef {import('../types').WorkflowDetail} Detail */
/** @typedef {import('../types').Diagnostic} Diagnostic */

/** How long after the last key a text is judged, in milliseconds. */
const PAUSE = 300;

/**
 * @param {Detail} detail
 * @param {(definition: string) => void} draw shows a text that can be read
 * @param {(saved: Detail) => void} saved
 */
export function editor(detail, draw, saved) {
  let turn = 0;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let timer;
  const field = h("textarea", { spellcheck: "false", wrap: "off", "aria-label": "Definition", value: detail.definition, on: { input: () => later() } });
  const verdict = h("p", { class: "small dim", role: "status" });
  const found = h("ul", "found-list");
  const keep = button("Save", () => void save(), { class: "primary", disabled: true });
  const el = h("section", { class: "editor", "aria-label": "Editor" }, field, h("div", "actions", keep, verdict), found);

  function later() {
    keep.disabled = true;
    clearTimeout(timer);
    timer = setTimeout(() => void judge(), PAUSE);
  }

  async function judge() {
    const mine = (turn += 1);
    const definition = field.value;
    try {
      const said = await post(path("v1", "workflows", detail.name, "validate"), { definition, kind: detail.kind });
      if (mine !== turn || !el.isConnected) return;
      show(said.diagnostics);
      text(verdict, said.valid ? (definition === detail.definition ? "Unchanged" : "Valid") : "Not valid yet");
      keep.disabled = !said.valid || definition === detail.definition;
      if (parse(definition)) draw(definition);
    } catch (error) {
      if (mine === turn) toastError(error);
    }
  }

  /** @param {Diagnostic[]} diagnostics */
  function show(diagnostics) {
    fill(found, ...diagnostics.map((one) => h("li", null, button(`${one.severity}, line ${one.line}: ${one.message}`, () => seek(one), { class: `quiet small${one.severity === "error" ? " wrong" : ""}`, title: one.hint ?? one.pointer ?? "" }))));
  }

  /** @param {Diagnostic} one */
  function seek(one) {
    const lines = field.value.split("\n");
    const at = lines.slice(0, Math.max(0, (one.line ?? 1) - 1)).reduce((sum, line) => sum + line.length + 1, 0) + Math.max(0, (one.column ?? 1) - 1);
    field.focus();
    field.setSelectionRange(at, at + 1);
    field.scrollTop = Math.max(0, (one.line ?? 1) * 18 - 120);
  }

  async function save() {
    keep.disabled = true;
    try {
      const body = { definition: field.value, if_revision: detail.revision };
      saved(await (await send("PUT", path("v1", "workflows", detail.name), { body })).json());
    } catch (error) {
      toastError(error);
      keep.disabled = false;
    }
  }

  void judge();
  return el;
}
