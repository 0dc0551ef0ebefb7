// The editor of a workflow: a palette, the graph, the form of what is chosen or the whole text, and what is found in it.

import { path, send } from "../api.js";
import { button, fill, frame, h, text } from "../parts/dom.js";
import { confirm } from "../parts/dialog.js";
import { icon } from "../parts/icons.js";
import { toast, toastError } from "../parts/toast.js";
import { canvas } from "./canvas.js";
import { Draft } from "./draft.js";
import { form } from "./form.js";
import { TYPES, find } from "./machine.js";
import { textPane } from "./text-pane.js";

/** @typedef {import('../types').WorkflowDetail} Detail */

/** What each type is for, in short. @type {Record<string, string>} */
const ABOUT = {
  Task: "Work outside: an agent, a tool, a function, a person", Choice: "A fork in the road", Parallel: "Several branches at once", Map: "The same for each item",
  Wait: "Time passes", Pass: "Data is reshaped", Succeed: "It ends well", Fail: "It ends badly",
};

/**
 * @param {Detail} detail
 * @param {{ saved: (detail: Detail) => void, close: () => void, say: (text: string) => void }} shell
 */
export function editor(detail, shell) {
  const draft = new Draft(detail.definition, { name: detail.name, kind: detail.kind });
  const store = `draft:${detail.name}`;
  let asText = false;
  /** Drafts that somebody else's change overtook, the latest last: kept until they are taken back or thrown away. @type {string[]} */
  let overtaken = [];

  const status = h("p", { class: "small dim", role: "status" });
  const say = (/** @type {string} */ said) => {
    text(status, said);
    shell.say(said);
  };
  const pane = textPane(draft);
  const side = form(draft);
  const drawn = canvas(draft, {
    say,
    name: () => side.el.querySelector("input")?.select(),
    palette: () => palette.querySelector("button")?.focus(),
  });
  const palette = h("div", { class: "palette", role: "toolbar", "aria-label": "Add a state" }, ...TYPES.map((type) => {
    const made = button(type, () => {
      drawn.place(type, draft.chosen || undefined);
      drawn.focus();
    }, { title: `${ABOUT[type]}. A click adds it after the chosen state; or drag it onto one`, class: "small" }, icon("plus"), h("span", null, type));
    drawn.source(made, type);
    return made;
  }));
  palette.addEventListener("keydown", (event) => {
    const all = [...palette.querySelectorAll("button")];
    const at = all.indexOf(/** @type {HTMLButtonElement} */ (document.activeElement));
    const by = event.key === "ArrowRight" ? 1 : event.key === "ArrowLeft" ? -1 : 0;
    if (!by || at < 0) return;
    event.preventDefault();
    all[(at + by + all.length) % all.length]?.focus();
  });
  const undo = button("Undo", () => draft.undo(), { class: "quiet small", title: "Undo (Ctrl Z)" }, icon("undo"));
  const redo = button("Redo", () => draft.redo(), { class: "quiet small", title: "Redo (Ctrl Shift Z)" }, icon("redo"));
  const asForm = button("Form", () => flip(false), { "aria-pressed": "true", class: "small" });
  const asWords = button("Text", () => flip(true), { "aria-pressed": "false", class: "small" });
  const verdict = h("span", { class: "small dim verdict", role: "status" });
  const keep = button("Save", () => void save(), { class: "primary small", disabled: true });
  const done = button("Close", () => void close(), { class: "small" });
  const found = h("ul", { class: "found-list small", "aria-label": "Findings" });
  const offer = h("div", { class: "line", role: "status", hidden: true }, icon("warn"), h("span", null, "This workflow changed elsewhere before your draft was saved. The draft is kept."),
    button("Take it back", () => {
      const taken = overtaken.pop();
      if (taken !== undefined) draft.change(taken, "Take back the draft");
      update();
    }, { class: "small" }),
    button("Throw it away", () => {
      overtaken.pop();
      update();
    }, { class: "quiet small" }));
  const aside = h("aside", null, side.el);
  const el = h("section", { class: "editor", "aria-label": "Editor" },
    h("div", "bar", palette, h("div", "line", undo, redo), h("div", "choice", asForm, asWords), h("span", "grow"), verdict, keep, done), offer,
    h("div", "flow", h("div", null, drawn.el, status), aside), found);

  /** @param {boolean} yes */
  function flip(yes) {
    asText = yes;
    asForm.setAttribute("aria-pressed", String(!yes));
    asWords.setAttribute("aria-pressed", String(yes));
    fill(aside, yes ? pane.el : side.el);
    update();
    if (yes) pane.show(draft.chosen ? find(draft.root, draft.chosen)?.path ?? [] : []);
  }

  function update() {
    drawn.update();
    if (asText) pane.update();
    else side.update();
    undo.disabled = !draft.canUndo;
    redo.disabled = !draft.canRedo;
    undo.title = draft.canUndo ? `Undo: ${draft.lastStep} (Ctrl Z)` : "Nothing to undo";
    offer.hidden = !overtaken.length;
    judged();
    try {
      if (draft.changed || overtaken.length) sessionStorage.setItem(store, JSON.stringify({ revision: detail.revision, text: draft.changed ? draft.text : null, overtaken }));
      else sessionStorage.removeItem(store);
    } catch {
      // Without room for it the draft lives as long as the page.
    }
  }

  function judged() {
    const errors = draft.found.filter(({ diagnostic }) => diagnostic.severity === "error").length;
    text(verdict, draft.valid === null ? "Checking…" : draft.valid ? (draft.changed ? "Valid" : "Unchanged") : errors === 1 ? "1 error" : `${errors} errors`);
    verdict.classList.toggle("wrong", draft.valid === false);
    keep.disabled = !draft.valid || !draft.changed;
    const stamp = JSON.stringify(draft.found);
    if (found.dataset.stamp === stamp) return;
    found.dataset.stamp = stamp;
    fill(found, ...draft.found.map((one) => h("li", null, button(
      `${one.diagnostic.severity}, ${one.state === null ? "" : `${one.state}, `}line ${one.diagnostic.line}: ${one.diagnostic.message}`, () => lead(one),
      { class: `quiet small${one.diagnostic.severity === "error" ? " wrong" : ""}`, title: one.diagnostic.hint ?? one.diagnostic.pointer ?? "" }))));
  }

  /** Leads to what a finding is about. @param {import('./draft.js').Finding} finding */
  function lead(finding) {
    if (asText || !draft.readable) {
      if (!asText) flip(true);
      pane.seek(finding.diagnostic);
      return;
    }
    draft.choose(finding.state ?? "");
    update();
    const key = finding.field.at(-1);
    const field = key && /** @type {HTMLElement | null} */ (side.el.querySelector(`[name="${CSS.escape(key)}"]`));
    if (field) field.focus();
    else drawn.focus();
  }

  /** Goes on with what was not saved before; what was begun on another revision is offered. */
  function bringBack() {
    try {
      const kept = JSON.parse(sessionStorage.getItem(store) ?? "null");
      if (!kept) return;
      const isOvertaken = kept.revision !== detail.revision;
      overtaken = [...(kept.overtaken ?? []), ...(isOvertaken ? [kept.text] : [])].filter((one) => typeof one === "string" && one !== draft.text);
      if (isOvertaken || typeof kept.text !== "string" || kept.text === draft.text) return;
      draft.change(kept.text, "Bring back what was not saved");
      toast("What was not saved is here again; undo takes it back");
    } catch {
      // What is kept is none of ours.
    }
  }

  async function save() {
    keep.disabled = true;
    const saving = draft.text;
    try {
      const answer = await send("PUT", path("v1", "workflows", detail.name), { body: { definition: saving, if_revision: detail.revision } });
      detail = await answer.json();
      draft.keep(saving);
      toast("Saved");
      shell.saved(detail);
    } catch (error) {
      toastError(error);
      keep.disabled = false;
    }
  }

  async function close() {
    if (draft.changed && !(await confirm("Leave without saving?", "What was changed since the last save is lost.", "Leave"))) return;
    draft.keep(draft.text);
    shell.close();
  }

  el.addEventListener("keydown", (event) => {
    if (!(event.ctrlKey || event.metaKey) || event.altKey) return;
    const key = event.key.toLowerCase();
    // A field has the steps of its own text first, where it holds something that is not in the draft yet.
    const target = event.target instanceof HTMLInputElement || event.target instanceof HTMLTextAreaElement ? event.target : null;
    if (target?.name === "StateName" || target?.getAttribute("aria-invalid") === "true") return;
    if (key === "z" && !event.shiftKey) draft.undo();
    else if (key === "y" || (key === "z" && event.shiftKey)) draft.redo();
    else if (key === "s") {
      if (!keep.disabled) void save();
    } else return;
    event.preventDefault();
  });
  const leaving = (/** @type {BeforeUnloadEvent} */ event) => draft.changed && event.preventDefault();
  window.addEventListener("beforeunload", leaving);
  const draw = frame(update);
  draft.addEventListener("change", draw);
  draft.addEventListener("judged", draw);
  bringBack();
  update();
  void draft.judge();

  return {
    el,
    focus: () => drawn.focus(),
    /** Chooses a state. @param {string} name */
    choose: (name) => find(draft.root, name) && draft.choose(name),
    leave() {
      draft.close();
      window.removeEventListener("beforeunload", leaving);
    },
  };
}
