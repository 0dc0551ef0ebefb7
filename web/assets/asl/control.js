// One field of a form: its label, its control, what is wrong with it. It writes into the draft whatever can be read, as
// one types; what cannot be read yet stays in the field and says so.

import { button, fill, h, text } from "../parts/dom.js";
import { icon } from "../parts/icons.js";
import { jsonFault } from "../parts/json.js";
import { drop, field as setField, valueAt } from "./machine.js";
import { put, source, write } from "./text.js";

/** @typedef {import('./text.js').Path} Path */
/** @typedef {import('./draft.js').Draft} Draft */
/** @typedef {import('./draft.js').Finding} Finding */
/** @typedef {{ key: string, label: string, kind: import('./fields.js').Kind | "names" | "state", start?: any, hint?: string, options?: string[], needed?: boolean, blank?: boolean, end?: string }} Field */
/** @typedef {{ id: string, field: Field, path: Path, findings: Finding[], names?: string[], removable?: boolean, set?: (value: any) => void }} Row */

/** Whether a text is one JSONata expression. @param {string} text */
const isExpression = (text) => /^\s*\{%[\s\S]*%\}\s*$/.test(text);

/** Thrown by what reads a control: what is wrong with its text. */
class Unread extends Error {}

/**
 * Reads what a control holds.
 * @param {Field} field
 * @param {string} said
 * @returns {any} undefined: the field goes
 */
function read({ kind, blank, needed }, said) {
  if (blank && !said.trim()) return undefined;
  switch (kind) {
    case "number":
      if (/^\s*-?\d+(\.\d+)?\s*$/.test(said)) return Number(said);
      if (isExpression(said)) return said.trim();
      throw new Unread("A number, or {% an expression %}");
    case "json": {
      if (isExpression(said)) return said.trim();
      const fault = jsonFault(said);
      if (fault) throw new Unread(fault);
      return JSON.parse(said);
    }
    case "path": return said.trim() === "null" ? null : said.trim();
    case "names": {
      const names = said.split(",").map((name) => name.trim()).filter(Boolean);
      if (!names.length) throw new Unread("At least one name, for example States.ALL");
      return names;
    }
    case "state": return said || undefined;
    case "text": case "long": case "one":
      if (needed && !said.trim()) throw new Unread("This is needed");
      return said;
  }
}

/** Returns the text of a value in a control. @param {Draft} draft @param {Row} row @param {any} value */
function shown(draft, { field, path }, value) {
  if (value === undefined) return "";
  if (field.kind === "names" && Array.isArray(value)) return value.join(", ");
  if (field.kind === "json") return typeof value === "string" && isExpression(value) ? value : source(draft.text, path);
  return value === null ? "null" : typeof value === "object" ? JSON.stringify(value) : String(value);
}

let serial = 0;

/**
 * Makes a field.
 * @param {Draft} draft
 * @param {Row} row
 * @returns {import('../types').Part<Row>}
 */
export function fieldRow(draft, row) {
  let now = row;
  const id = `field-${(serial += 1)}`;
  const { field } = row;
  const wrong = h("p", { class: "wrong small", id: `${id}-wrong`, role: "alert" });
  const hint = field.hint ? h("p", { class: "dim small", id: `${id}-hint` }, field.hint) : null;
  const props = { id, name: field.key, "aria-describedby": `${id}-wrong${hint ? ` ${id}-hint` : ""}` };
  const isArea = field.kind === "json" || field.kind === "long";
  const isPick = field.kind === "one" || field.kind === "state";
  const input = isPick ? h("select", { ...props, on: { change: () => commit() } })
    : isArea ? h("textarea", { ...props, rows: field.kind === "json" ? 4 : 2, spellcheck: field.kind === "json" ? "false" : null, class: field.kind === "json" ? "code" : null, on: { input: () => commit() } })
      : h("input", { ...props, type: "text", autocomplete: "off", spellcheck: "false", class: field.kind === "path" || field.key === "Resource" || field.key === "Variable" ? "code" : null, on: { input: () => commit() } });
  const gone = button(`Remove ${field.label}`, () => draft.change(drop(draft.text, now.path), `Remove ${field.label}`), { class: "quiet small", hidden: true }, icon("close"));
  const el = h("div", { class: "field", data: { field: field.key } }, h("div", "line", h("label", { for: id, class: "small" }, field.label), gone), input, wrong, hint);
  /** What the draft had when this field last looked, as JSON. @type {string | undefined} */
  let held;
  let unread = "";
  let options = "";

  function commit() {
    const said = input.value;
    try {
      const value = read(field, said);
      unread = "";
      held = JSON.stringify(value);
      if (now.set) now.set(value);
      else draft.change(changed(said, value), `Set ${field.label} of ${String(now.path.slice(0, -1).at(-1) ?? "the workflow")}`);
    } catch (error) {
      if (!(error instanceof Unread)) throw error;
      unread = error.message;
    }
    mark();
  }

  /** @param {string} said @param {any} value */
  function changed(said, value) {
    if (value === undefined) return setField(draft.text, now.path, value);
    // JSON stands as it was written: a number that is read and written again may be another one.
    const asWritten = field.kind === "json" && typeof value !== "string";
    const isNew = valueAt(draft.root, now.path) === undefined;
    const made = isNew ? setField(draft.text, now.path, asWritten ? null : value) : draft.text;
    if (asWritten) return write(made, now.path, said);
    return isNew ? made : put(made, now.path, value);
  }

  function mark() {
    const first = now.findings.find(({ diagnostic }) => diagnostic.severity === "error") ?? now.findings[0];
    const said = unread || (first ? [first.diagnostic.message, first.diagnostic.hint].filter(Boolean).join(". ") : "");
    text(wrong, said);
    wrong.classList.toggle("mild", !unread && first?.diagnostic.severity === "warning");
    if (unread || first?.diagnostic.severity === "error") input.setAttribute("aria-invalid", "true");
    else input.removeAttribute("aria-invalid");
  }

  /** @param {Row} next */
  function update(next) {
    now = next;
    const value = valueAt(draft.root, next.path);
    if (isPick) {
      const names = field.kind === "state" ? (next.names ?? []) : (field.options ?? []);
      const current = typeof value === "string" ? value : "";
      // A state that is not there is shown as what it is.
      const all = [...(field.kind === "state" && (field.end || !current) || field.blank ? [["", field.end ?? "(none)"]] : []), ...[...new Set([...names, ...(current ? [current] : [])])].map((name) => [name, names.includes(name) ? name : `${name} (missing)`])];
      const stamp = JSON.stringify([all, current]);
      if (stamp !== options) {
        options = stamp;
        fill(input, ...all.map(([name, label]) => h("option", { value: name, ...(name === current ? { selected: true } : {}) }, label)));
        input.value = current;
      }
    } else if (held !== JSON.stringify(value) || held === undefined) {
      const before = held;
      held = JSON.stringify(value);
      if (before !== held || (!unread && input.value === "")) {
        input.value = shown(draft, next, value);
        unread = "";
        if (isArea) /** @type {HTMLTextAreaElement} */ (input).rows = Math.min(14, Math.max(field.kind === "json" ? 2 : 1, input.value.split("\n").length));
      }
    }
    gone.hidden = !next.removable || value === undefined;
    mark();
  }

  update(row);
  return { el, update };
}
