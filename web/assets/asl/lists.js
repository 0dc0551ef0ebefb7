// The lists of a state's form: the rules of a Choice, what is tried again, what is caught.

import { button, fill, h, sync, text } from "../parts/dom.js";
import { icon } from "../parts/icons.js";
import { fieldRow } from "./control.js";
import { COMPARISONS, comparisonOf } from "./fields.js";
import { append, find, freshRule, namesIn, valueAt } from "./machine.js";
import { drop, put, rename, swap } from "./text.js";

/** @typedef {import('./draft.js').Draft} Draft */
/** @typedef {import('./draft.js').Finding} Finding */
/** @typedef {import('./machine.js').Found} Found */
/** @typedef {import('./text.js').Path} Path */
/** @typedef {import('./control.js').Field} Field */
/** @typedef {{ el: HTMLElement, update(found: Found, language: string, findings: Finding[]): void }} List */
/** @typedef {{ index: number, count: number, path: Path, item: any, language: string, names: string[], findings: Finding[] }} Item */

/**
 * @param {Draft} draft
 * @param {string} name the state
 * @param {{ key: string, title: string, one: string, types: string[], fields: (item: any, language: string) => Field[], fresh: (found: Found) => any }} of
 * @returns {List}
 */
function listOf(draft, name, of) {
  const items = h("div", "items");
  const more = button(`Add a ${of.one.toLowerCase()}`, () => {
    const found = find(draft.root, name);
    if (!found) return;
    const after = Object.keys(found.state).findLast((key) => !["Next", "End", "Default", "Catch"].includes(key));
    draft.change(append(draft.text, [...found.path, of.key], of.fresh(found), after), `Add a ${of.one.toLowerCase()}`);
    /** @type {HTMLElement | null} */ (items.lastElementChild?.querySelector("input, select, textarea") ?? null)?.focus();
  }, { class: "small" });
  const wrong = h("p", { class: "wrong small", role: "alert" });
  const el = h("section", { class: "list", "aria-label": of.title }, h("h4", null, of.title), wrong, items, more);

  /** @param {Item} item */
  function make(item) {
    let now = item;
    const title = h("span", "small strong");
    const head = h("span", "line");
    const up = button("Earlier", () => draft.change(swap(draft.text, now.path.slice(0, -1), now.index - 1), `Move ${of.one.toLowerCase()}`), { class: "quiet small up" }, icon("down"));
    const down = button("Later", () => draft.change(swap(draft.text, now.path.slice(0, -1), now.index), `Move ${of.one.toLowerCase()}`), { class: "quiet small" }, icon("down"));
    const gone = button(`Remove ${of.one.toLowerCase()}`, () => {
      const isLast = now.count === 1 && of.key !== "Choices";
      draft.change(drop(draft.text, isLast ? now.path.slice(0, -1) : now.path), `Remove ${of.one.toLowerCase()}`);
    }, { class: "quiet small" }, icon("close"));
    const rows = h("div", "fields");
    const pick = of.key === "Choices" ? comparing(draft, () => now) : null;
    const node = h("div", "item", h("div", "line", title, head, h("span", "grow"), up, down, gone), rows);
    const update = (/** @type {Item} */ next) => {
      now = next;
      text(title, `${of.one} ${next.index + 1}`);
      up.disabled = next.index === 0;
      down.disabled = next.index === next.count - 1;
      const fields = of.fields(next.item, next.language);
      const all = fields.map((field) => ({
        id: `${field.key}:${field.kind}`, field, path: field.key ? [...next.path, field.key] : next.path, names: next.names, removable: false,
        findings: next.findings.filter((finding) => (field.key ? finding.field[2] === field.key : finding.field[2] === undefined)),
      }));
      sync(rows, all, (row) => row.id, (row) => fieldRow(draft, row));
      if (pick) {
        pick.update();
        // Between the variable and what it is compared with.
        if (pick.el.hidden) pick.el.remove();
        else rows.children[1]?.before(pick.el);
      }
    };
    update(item);
    return { el: node, update };
  }

  return {
    el,
    update(found, language, findings) {
      const list = found.state?.[of.key];
      el.hidden = !of.types.includes(found.state?.Type);
      if (el.hidden) return;
      const mine = findings.filter(({ field }) => field[0] === of.key);
      text(wrong, mine.filter(({ field }) => field.length === 1).map(({ diagnostic }) => diagnostic.message).join(". "));
      const names = namesIn(draft.root, found.scope);
      /** @type {Item[]} */
      const all = (Array.isArray(list) ? list : []).map((item, index, every) => ({
        index, count: every.length, path: [...found.path, of.key, index], item, language, names, findings: mine.filter(({ field }) => field[1] === String(index)),
      }));
      sync(items, all, (one) => one.index, make);
    },
  };
}

/** Which comparison a rule makes. @param {Draft} draft @param {() => Item} now */
function comparing(draft, now) {
  const pick = h("select", { "aria-label": "Comparison", on: { change: () => {
    const { item, path } = now();
    const before = comparisonOf(item);
    if (!before || pick.value === before) return;
    const kept = before.slice(0, 4) === pick.value.slice(0, 4) && typeof item[before] === typeof COMPARISONS[pick.value];
    let made = rename(draft.text, [...path, before], pick.value);
    if (!kept) made = put(made, [...path, pick.value], COMPARISONS[pick.value]);
    draft.change(made, "Set the comparison");
  } } });
  const el = h("div", "field", pick);
  return {
    el,
    update() {
      const before = comparisonOf(now().item);
      el.hidden = !before || now().language === "JSONata";
      if (!before) return;
      if (!pick.childElementCount || !Object.hasOwn(COMPARISONS, before)) fill(pick, ...[...new Set([...Object.keys(COMPARISONS), before])].map((name) => h("option", { value: name }, name)));
      pick.value = before;
    },
  };
}

/** @type {Field} */
const GO_ON = { key: "Next", label: "go on with", kind: "state" };

/** @param {Draft} draft @param {string} name @returns {List} */
export function rules(draft, name) {
  return listOf(draft, name, {
    key: "Choices", title: "Rules, the first that holds decides", one: "Rule", types: ["Choice"],
    fields(rule, language) {
      const comparison = comparisonOf(rule);
      /** @type {Field[]} */
      const more = ["Comment", "Assign", "Output"].filter((key) => Object.hasOwn(rule ?? {}, key)).map((key) => ({ key, label: key, kind: key === "Comment" ? "text" : "json", blank: true }));
      if (language === "JSONata") return [{ key: "Condition", label: "When", kind: "long", needed: true }, GO_ON, ...more];
      // What is combined of several tests is JSON.
      if (!comparison) return [{ key: "", label: "The rule", kind: "json" }, GO_ON, ...more];
      return [{ key: "Variable", label: "When", kind: "text", needed: true }, { key: comparison, label: "this", kind: "json" }, GO_ON, ...more];
    },
    fresh: ({ scope, state }) => freshRule(draft.root, state, namesIn(draft.root, scope).find((other) => other !== name) ?? name),
  });
}

/** @param {Draft} draft @param {string} name @returns {List} */
export function retriers(draft, name) {
  return listOf(draft, name, {
    key: "Retry", title: "Try again", one: "Retry", types: ["Task", "Parallel", "Map"],
    fields: () => [
      { key: "ErrorEquals", label: "On these errors", kind: "names" }, { key: "MaxAttempts", label: "At most, times (3)", kind: "number", blank: true },
      { key: "IntervalSeconds", label: "After seconds (1)", kind: "number", blank: true }, { key: "BackoffRate", label: "Each time longer by (2)", kind: "number", blank: true },
      { key: "MaxDelaySeconds", label: "At most, seconds", kind: "number", blank: true }, { key: "JitterStrategy", label: "Jitter", kind: "one", options: ["FULL", "NONE"], blank: true },
    ],
    fresh: () => ({ ErrorEquals: ["States.TaskFailed"], IntervalSeconds: 1, MaxAttempts: 3, BackoffRate: 2 }),
  });
}

/** @param {Draft} draft @param {string} name @returns {List} */
export function catchers(draft, name) {
  return listOf(draft, name, {
    key: "Catch", title: "Catch", one: "Catcher", types: ["Task", "Parallel", "Map"],
    fields: (catcher, language) => [
      { key: "ErrorEquals", label: "On these errors", kind: "names" }, GO_ON,
      ...(language === "JSONata" ? [/** @type {Field} */ ({ key: "Output", label: "Output", kind: "json", blank: true })] : [/** @type {Field} */ ({ key: "ResultPath", label: "Error goes to", kind: "path", blank: true })]),
      ...(Object.hasOwn(catcher ?? {}, "Assign") ? [/** @type {Field} */ ({ key: "Assign", label: "Variables", kind: "json", blank: true })] : []),
    ],
    fresh: ({ scope }) => ({ ErrorEquals: ["States.ALL"], Next: namesIn(draft.root, scope).find((other) => other !== name) ?? name }),
  });
}

export { valueAt };
