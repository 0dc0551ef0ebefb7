// The form of a state, or of the workflow itself: the fields of its type, what comes next, what is done about errors.

import { button, fill, h, sync, text } from "../parts/dom.js";
import { icon } from "../parts/icons.js";
import { toast } from "../parts/toast.js";
import { fieldRow } from "./control.js";
import { TOP, fieldsOf } from "./fields.js";
import { addBranch, connect, field as setField, find, finish, languageOf, machinesWithin, nameFault, namesIn, put, removalFault, remove, renameState, valueAt, waysOf } from "./machine.js";
import { catchers, retriers, rules } from "./lists.js";
import { drop } from "./text.js";

/** @typedef {import('./draft.js').Draft} Draft */
/** @typedef {import('./control.js').Row} Row */
/** @typedef {import('./text.js').Path} Path */

/** How one calls the ways from state to state. @type {Record<string, string>} */
const WAYS = { next: "as what comes next", rule: "by a new rule", default: "when no rule holds", catch: "when it fails" };

/** @param {Draft} draft */
export function form(draft) {
  const el = h("section", { class: "panel form", "aria-label": "State" });
  /** The state that the form is of. @type {string | null} */
  let of = null;
  /** @type {(() => void) | null} */
  let refresh = null;

  function update() {
    if (!draft.readable) {
      of = null;
      refresh = null;
      fill(el, h("p", "wrong", "The text cannot be read as JSON. Mend it under Text, or undo."));
      return;
    }
    const found = draft.chosen ? find(draft.root, draft.chosen) : undefined;
    const stamp = found ? `${found.path.join("\0")}\0${found.state?.Type}` : "";
    if (of !== stamp) {
      of = stamp;
      refresh = found ? ofState(found.name) : ofWorkflow();
    }
    refresh?.();
  }

  function ofWorkflow() {
    const rows = h("div", "fields");
    fill(el, h("h3", null, "The workflow"), rows, h("p", "dim small", "Choose a state to set it up, or add one above."));
    return () => {
      const findings = (/** @type {string} */ key) => draft.found.filter(({ state, field }) => state === null && field[0] === key);
      /** @type {Row[]} */
      const all = [
        { id: "StartAt", field: { key: "StartAt", label: "Starts with", kind: "state" }, path: ["StartAt"], names: namesIn(draft.root, []), findings: findings("StartAt") },
        ...TOP.map((field) => ({ id: field.key, field: { ...field, blank: true }, path: [field.key], findings: findings(field.key) })),
      ];
      sync(rows, all, (row) => row.id, (row) => fieldRow(draft, row));
    };
  }

  /** @param {string} name */
  function ofState(name) {
    const title = naming(draft, name);
    const kind = h("span", "tag");
    const general = h("ul", "found-list small");
    const rows = h("div", "fields");
    const parts = h("div", "fields");
    const ways = h("div", "fields");
    const own = h("div");
    const adder = h("select", { "aria-label": "Add a field", class: "adder" });
    adder.addEventListener("change", () => {
      const key = adder.value;
      const found = find(draft.root, name);
      if (!key || !found) return;
      const field = fieldsOf(found.state, languageOf(draft.root, found.state)).more.find((one) => one.key === key);
      draft.change(setField(draft.text, [...found.path, key], field?.start ?? null), `Add ${field?.label ?? key}`);
      adder.value = "";
      /** @type {HTMLElement | null} */ (rows.querySelector(`[name="${CSS.escape(key)}"]`))?.focus();
    });
    const gone = button("Remove state", () => removeChosen(draft), { class: "quiet small" }, icon("trash"), h("span", null, "Remove"));
    const to = linker(draft, name);
    fill(el, h("div", "line", kind, h("span", "grow"), gone), title.el, general, rows, adder, parts, own, ways, to.el);
    const lists = [rules(draft, name), retriers(draft, name), catchers(draft, name)];
    fill(own, ...lists.map((list) => list.el));

    return () => {
      const found = find(draft.root, name);
      if (!found) return;
      const { path, scope, state } = found;
      const language = languageOf(draft.root, state);
      const mine = draft.found.filter((finding) => finding.state === name);
      text(kind, state?.Type ?? "no type");
      title.update();
      gone.disabled = removalFault(draft.root, name) !== null;
      gone.title = removalFault(draft.root, name) ?? "Remove this state (Delete)";
      const { shown, more } = fieldsOf(state, language);
      const keys = new Set(["Choices", "Retry", "Catch", "Next", "End", "Default", ...shown.map(({ key }) => key)]);
      fill(general, ...mine.filter(({ field }) => !field[0] || !keys.has(field[0])).map(({ diagnostic }) => h("li", { class: diagnostic.severity === "error" ? "wrong" : "dim" }, [diagnostic.message, diagnostic.hint].filter(Boolean).join(". "))));
      sync(rows, shown.map((field) => ({ id: field.key, field, path: [...path, field.key], findings: mine.filter((finding) => finding.field[0] === field.key), removable: !field.needed })), (row) => row.id, (row) => fieldRow(draft, row));
      const stamp = more.map(({ key }) => key).join();
      if (adder.dataset.stamp !== stamp) {
        adder.dataset.stamp = stamp;
        fill(adder, h("option", { value: "" }, "Add a field…"), ...more.map(({ key, label }) => h("option", { value: key }, label)));
      }
      sync(parts, within(found), (part) => part.id, (part) => part.make(part));
      sync(ways, next(path, state, namesIn(draft.root, scope), mine), (row) => row.id, (row) => fieldRow(draft, row));
      for (const list of lists) list.update(found, language, mine);
      own.hidden = lists.every((list) => list.el.hidden);
      to.update(found);
    };
  }

  /** The machines within a state. @param {import('./machine.js').Found} found */
  function within({ path, state }) {
    /** @typedef {{ id: string, row?: Row, make: (part: any) => import('../types').Part<any> }} PartOf */
    const machines = machinesWithin(state, path);
    /** @type {PartOf[]} */
    const all = machines.map((inner, index) => ({
      id: `machine${index}`,
      row: { id: `StartAt${index}`, field: { key: "StartAt", label: state.Type === "Parallel" ? `Branch ${index + 1} starts with` : "Each item starts with", kind: /** @type {const} */ ("state") }, path: [...inner, "StartAt"], names: namesIn(draft.root, inner), findings: [], removable: false },
      make: (part) => {
        const row = fieldRow(draft, part.row);
        const off = button(`Remove branch ${index + 1}`, () => draft.change(drop(draft.text, inner), `Remove branch ${index + 1}`), { class: "quiet small" }, icon("close"));
        const el = h("div", "branch", row.el, off);
        const update = (/** @type {PartOf} */ next) => {
          off.hidden = state.Type !== "Parallel" || (valueAt(draft.root, [...path, "Branches"])?.length ?? 0) < 2;
          if (next.row) row.update(next.row);
        };
        update(part);
        return { el, update };
      },
    }));
    if (state?.Type === "Parallel") all.push({ id: "add", make: () => ({ el: button("Add a branch", () => {
      const made = addBranch(draft.text, path);
      draft.change(made.text, "Add a branch");
    }, { class: "small" }), update() {} }) });
    if (state?.Type === "Map" && state.ItemProcessor) all.push({
      id: "mode", row: { id: "mode", field: { key: "Mode", label: "Items run", kind: "one", options: ["INLINE", "DISTRIBUTED"] }, path: [...path, "ItemProcessor", "ProcessorConfig", "Mode"], findings: [],
        set: (value) => {
          const config = [...path, "ItemProcessor", "ProcessorConfig"];
          let made = setField(draft.text, [...config, "Mode"], value);
          // A distributed Map says what its children are; an inline one has none.
          made = value === "DISTRIBUTED" ? (valueAt(draft.root, [...config, "ExecutionType"]) ? made : put(made, [...config, "ExecutionType"], "STANDARD", "Mode")) : drop(made, [...config, "ExecutionType"]);
          draft.change(made, "Set how items run");
        } },
      make: (part) => {
        const row = fieldRow(draft, part.row);
        return { el: row.el, update: (next) => row.update(next.row) };
      },
    });
    return all;
  }

  /** The rows that say what comes next. @param {Path} path @param {any} state @param {string[]} names @param {import('./draft.js').Finding[]} mine @returns {Row[]} */
  function next(path, state, names, mine) {
    const findings = (/** @type {string[]} */ ...keys) => mine.filter(({ field }) => keys.includes(field[0] ?? ""));
    if (state?.Type === "Choice") return [{ id: "Default", field: { key: "Default", label: "When no rule holds, go on with", kind: "state", blank: true, end: "(it fails)" }, path: [...path, "Default"], names, findings: findings("Default") }];
    if (state?.Type === "Succeed" || state?.Type === "Fail") return [];
    return [{
      id: "Next", field: { key: "Next", label: "Then go on with", kind: "state", end: "(the end)" }, path: [...path, "Next"], names, findings: findings("Next", "End"),
      set: (value) => draft.change(value === undefined ? finish(draft.text, path, state) : connect(draft.text, String(path.at(-1)), value, "next"), "Set what comes next"),
    }];
  }

  return { el, update };
}

/** The name of a state, to change. @param {Draft} draft @param {string} name */
function naming(draft, name) {
  const wrong = h("p", { class: "wrong small", id: "name-wrong", role: "alert" });
  const input = h("input", { type: "text", class: "name", name: "StateName", autocomplete: "off", spellcheck: "false", "aria-label": "Name", "aria-describedby": "name-wrong", value: name, on: {
    input: () => text(wrong, nameFault(draft.root, name, input.value) ?? ""),
    change: () => {
      const to = input.value.trim();
      const fault = nameFault(draft.root, name, to);
      text(wrong, fault ?? "");
      if (!fault && to !== name) draft.change(renameState(draft.text, name, to), `Rename ${name}`, to);
    },
    keydown: (/** @type {KeyboardEvent} */ event) => {
      if (event.key === "Escape") input.value = name;
    },
  } });
  return { el: h("div", "field", input, wrong), update() {} };
}

/** Connects the state with another one without a pointer. @param {Draft} draft @param {string} name */
function linker(draft, name) {
  const target = h("select", { "aria-label": "Connect to" });
  const way = h("select", { "aria-label": "How" });
  const go = button("Connect", () => {
    draft.change(connect(draft.text, name, target.value, way.value), `Connect ${name} to ${target.value}`);
    toast(`${name} leads to ${target.value}`);
  }, { class: "small" });
  const el = h("div", "linker", h("span", "small dim", "Connect to"), target, way, go);
  let stamp = "";
  return {
    el,
    /** @param {import('./machine.js').Found} found */
    update({ scope, state }) {
      const ways = waysOf(state?.Type);
      const names = namesIn(draft.root, scope).filter((other) => other !== name || ways.includes("rule"));
      el.hidden = !ways.length || !names.length;
      const now = JSON.stringify([names, ways]);
      if (now === stamp) return;
      stamp = now;
      const before = target.value;
      fill(target, ...names.map((other) => h("option", { value: other }, other)));
      if (names.includes(before)) target.value = before;
      fill(way, ...ways.map((one) => h("option", { value: one }, WAYS[one])));
    },
  };
}

/** Removes the state that is chosen. @param {Draft} draft */
export function removeChosen(draft) {
  const name = draft.chosen;
  const fault = removalFault(draft.root, name);
  if (fault) return void toast(fault);
  const found = find(draft.root, name);
  const names = found ? namesIn(draft.root, found.scope) : [];
  const at = names.indexOf(name);
  draft.change(remove(draft.text, name), `Remove ${name}`, names[at + 1] ?? names[at - 1] ?? "");
  toast(`${name} is removed; undo brings it back`);
}
