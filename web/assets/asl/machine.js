// What one does to a States Language definition, each as a change of its text: adding, connecting, renaming and removing
// states, with the references that follow. Knows nothing of the page.

import { drop, places, put, rename, swap } from "./text.js";

/** @typedef {import('./text.js').Path} Path */
/** @typedef {{ name: string, path: Path, scope: Path, state: any }} Found */

/** The types of states, in the order in which they are offered. */
export const TYPES = ["Task", "Choice", "Parallel", "Map", "Wait", "Pass", "Succeed", "Fail"];

/** Those after which nothing comes. */
const LAST = new Set(["Succeed", "Fail"]);

/** @param {any} value @returns {any[]} */
const list = (value) => (Array.isArray(value) ? value : []);

/** @param {any} value @returns {Record<string, any>} */
const object = (value) => (value && typeof value === "object" && !Array.isArray(value) ? value : {});

/** Returns the paths of the machines within a state. @param {any} state @param {Path} path @returns {Path[]} */
export function machinesWithin(state, path) {
  if (state?.Type === "Parallel") return list(state.Branches).map((_, index) => [...path, "Branches", index]);
  if (state?.Type === "Map") return ["ItemProcessor", "Iterator"].filter((key) => object(state)[key] && typeof state[key] === "object").slice(0, 1).map((key) => [...path, key]);
  return [];
}

/** Returns what is at a path of a value. @param {any} value @param {Path} path */
export function valueAt(value, path) {
  return path.reduce((at, part) => (at && typeof at === "object" && Object.hasOwn(at, part) ? at[part] : undefined), value);
}

/** Returns all states of a definition, those within others too. @param {any} root @param {Path} [scope] @returns {Found[]} */
export function states(root, scope = []) {
  return Object.entries(object(valueAt(root, [...scope, "States"]))).flatMap(([name, state]) => {
    const path = [...scope, "States", name];
    return [{ name, path, scope, state }, ...machinesWithin(state, path).flatMap((inner) => states(root, inner))];
  });
}

/** Returns a state by its name. @param {any} root @param {string} name */
export function find(root, name) {
  return states(root).find((found) => found.name === name);
}

/** Returns the names of the states of a scope. @param {any} root @param {Path} scope */
export function namesIn(root, scope) {
  return Object.keys(object(valueAt(root, [...scope, "States"])));
}

/** Returns a name that no state has. @param {any} root @param {string} wanted */
export function freeName(root, wanted) {
  const taken = new Set(states(root).map(({ name }) => name));
  if (!taken.has(wanted)) return wanted;
  for (let number = 2; ; number += 1) if (!taken.has(`${wanted}${number}`)) return `${wanted}${number}`;
}

/** Returns in which language a state is written. @param {any} root @param {any} state */
export function languageOf(root, state) {
  return state?.QueryLanguage ?? root?.QueryLanguage ?? "JSONPath";
}

/** Returns a new state, without what comes after it. @param {any} root @param {string} type @param {string[]} inner names for the states within @returns {any} */
function fresh(root, type, inner) {
  const inside = (/** @type {string} */ name) => ({ StartAt: name, States: { [name]: { Type: "Pass", End: true } } });
  const jsonata = root?.QueryLanguage === "JSONata";
  switch (type) {
    case "Task": return { Type: "Task", Resource: "arn:aws:states:::lambda:invoke", ...(jsonata ? { Arguments: { FunctionName: "name" } } : { Parameters: { FunctionName: "name" } }) };
    case "Choice": return { Type: "Choice", Choices: [] };
    case "Parallel": return { Type: "Parallel", Branches: inner.map(inside) };
    case "Map": return { Type: "Map", ItemProcessor: { ProcessorConfig: { Mode: "INLINE" }, ...inside(inner[0] ?? "Item") } };
    case "Wait": return { Type: "Wait", Seconds: 1 };
    case "Fail": return { Type: "Fail", Error: "Failed" };
    default: return { Type: type };
  }
}

/** Returns a rule of a Choice that leads to a state. @param {any} root @param {any} state @param {string} next */
export function freshRule(root, state, next) {
  return languageOf(root, state) === "JSONata" ? { Condition: "{% true %}", Next: next } : { Variable: "$.value", IsPresent: true, Next: next };
}

/** Returns names for the states within a new one. @param {any} root @param {string} name @param {string} type @returns {string[]} */
function innerNames(root, name, type) {
  const count = type === "Parallel" ? 2 : type === "Map" ? 1 : 0;
  return Array.from({ length: count }, (_, index) => freeName(root, `${name}${type === "Map" ? "Item" : `Branch${"AB"[index]}`}`));
}

/**
 * Adds a state. After another one it takes over what came next there; alone in its scope it begins it.
 * @param {string} text
 * @param {string} type
 * @param {{ after?: string, scope?: Path }} [where] default: after the last state that has nothing after it, at the top
 * @returns {{ text: string, name: string }}
 */
export function add(text, type, where = {}) {
  const root = JSON.parse(text);
  const before = where.after === undefined ? undefined : find(root, where.after);
  const scope = before?.scope ?? where.scope ?? [];
  const name = freeName(root, type);
  const state = fresh(root, type, innerNames(root, name, type));
  const path = [...scope, "States", name];
  const names = namesIn(root, scope);
  const from = before ?? (names.length ? lastOf(root, scope) : undefined);
  const goesOn = from && from.state.Type !== "Choice" && !LAST.has(from.state.Type);
  const next = goesOn && typeof from.state.Next === "string" ? from.state.Next : undefined;
  if (type === "Choice") {
    // Whatever came next is where it goes when no rule holds.
    state.Choices = [];
    if (next) state.Default = next;
  } else if (!LAST.has(type)) Object.assign(state, next ? { Next: next } : { End: true });
  if (!valueAt(root, [...scope, "States"])) text = put(text, [...scope, "States"], {});
  text = put(text, path, state, from?.name);
  if (!names.length) text = put(text, [...scope, "StartAt"], name);
  else if (goesOn) text = leadTo(text, from.path, from.state, name);
  else if (from?.state.Type === "Choice") text = from.state.Default === undefined ? put(text, [...from.path, "Default"], name) : put(text, [...from.path, "Choices", list(from.state.Choices).length], freshRule(root, from.state, name));
  return { text, name };
}

/** Returns the state of a scope after which one adds: the last one that ends it, else the last one. @param {any} root @param {Path} scope */
function lastOf(root, scope) {
  const own = states(root, scope).filter((found) => found.scope.length === scope.length);
  return own.findLast(({ state }) => state?.End === true) ?? own.at(-1);
}

/** Lets a state go on with another one. @param {string} text @param {Path} path @param {any} state @param {string} next */
function leadTo(text, path, state, next) {
  if (Object.hasOwn(object(state), "Next")) return put(text, [...path, "Next"], next);
  if (!Object.hasOwn(object(state), "End")) return put(text, [...path, "Next"], next);
  return rename(put(text, [...path, "End"], next), [...path, "End"], "Next");
}

/** Lets a state end its scope. @param {string} text @param {Path} path @param {any} state */
export function finish(text, path, state) {
  if (LAST.has(state?.Type) || state?.Type === "Choice") return drop(text, [...path, "Next"]);
  if (!Object.hasOwn(object(state), "Next")) return put(text, [...path, "End"], true);
  if (Object.hasOwn(object(state), "End")) return put(drop(text, [...path, "Next"]), [...path, "End"], true);
  return rename(put(text, [...path, "Next"], true), [...path, "Next"], "End");
}

/** The ways in which one state leads to another, that a state of this type has. @param {string} type */
export function waysOf(type) {
  if (type === "Choice") return ["rule", "default"];
  if (LAST.has(type)) return [];
  return ["Task", "Map", "Parallel"].includes(type) ? ["next", "catch"] : ["next"];
}

/**
 * Connects two states of one scope.
 * @param {string} text
 * @param {string} from
 * @param {string} to
 * @param {string} [way] `next`, `catch`, `rule` or `default`; default: the first that the state has
 */
export function connect(text, from, to, way) {
  const root = JSON.parse(text);
  const found = find(root, from);
  const target = find(root, to);
  if (!found || !target || target.scope.join("\0") !== found.scope.join("\0")) return text;
  const { path, state } = found;
  switch (way ?? waysOf(state?.Type)[0]) {
    case "next": return leadTo(text, path, state, to);
    case "default": return put(text, [...path, "Default"], to);
    case "rule": return append(text, [...path, "Choices"], freshRule(root, state, to), "Type");
    case "catch": return append(text, [...path, "Catch"], { ErrorEquals: ["States.ALL"], Next: to });
    default: return text;
  }
}

/** Adds an item to a list that may not be there yet. @param {string} text @param {Path} path @param {any} item @param {string} [after] */
export function append(text, path, item, after) {
  const there = valueAt(JSON.parse(text), path);
  return Array.isArray(there) ? put(text, [...path, there.length], item) : put(text, path, [item], after);
}

/** Returns the paths in a scope that name a state. @param {any} root @param {Path} scope @param {string} name @returns {Path[]} */
function references(root, scope, name) {
  const machine = valueAt(root, scope);
  /** @type {Path[]} */
  const all = machine?.StartAt === name ? [[...scope, "StartAt"]] : [];
  for (const [own, state] of Object.entries(object(machine?.States))) {
    const path = [...scope, "States", own];
    for (const key of ["Next", "Default"]) if (state?.[key] === name) all.push([...path, key]);
    for (const key of ["Choices", "Catch"]) list(state?.[key]).forEach((one, index) => one?.Next === name && all.push([...path, key, index, "Next"]));
  }
  return all;
}

/** Says why a state cannot have a name; null: it can. @param {any} root @param {string} name @param {string} to */
export function nameFault(root, name, to) {
  if (!to.trim()) return "A state needs a name";
  if (to.length > 80) return "A name has at most 80 characters";
  if (to !== name && find(root, to)) return `There is a state called ${to} already`;
  return null;
}

/** Renames a state; what names it follows. @param {string} text @param {string} name @param {string} to */
export function renameState(text, name, to) {
  const root = JSON.parse(text);
  const found = find(root, name);
  if (!found || name === to || nameFault(root, name, to)) return text;
  for (const path of references(root, found.scope, name)) text = put(text, path, to);
  return rename(text, found.path, to);
}

/** Says why a state cannot be removed; null: it can. @param {any} root @param {string} name */
export function removalFault(root, name) {
  const found = find(root, name);
  if (!found) return "There is no such state";
  if (namesIn(root, found.scope).length > 1) return null;
  return found.scope.length ? "It is the only state of its branch: remove the branch, or the state around it" : "A workflow needs one state";
}

/** Removes a state; what led to it leads to what came next. @param {string} text @param {string} name */
export function remove(text, name) {
  const root = JSON.parse(text);
  const found = find(root, name);
  if (!found || removalFault(root, name)) return text;
  const { scope, path, state } = found;
  const own = typeof state?.Next === "string" ? state.Next : typeof state?.Default === "string" ? state.Default : undefined;
  const next = own !== name ? own : undefined;
  const others = namesIn(root, scope).filter((other) => other !== name);
  // Backwards, so that an item that goes does not move those that are still to be changed.
  for (const place of references(root, scope, name).reverse()) {
    if (place[scope.length] === "States" && place[scope.length + 1] === name) continue;
    const owner = place.slice(0, scope.length + 2);
    if (next) text = put(text, place, next);
    else if (place.at(-1) === "StartAt") text = put(text, place, others[0]);
    else if (place.at(-1) === "Default") text = drop(text, place);
    else if (place.length > scope.length + 3) text = drop(text, place.slice(0, -1));
    else text = finish(text, owner, valueAt(JSON.parse(text), owner));
  }
  text = drop(text, path);
  // A list of catchers may not be empty.
  for (const other of others) if (same0(valueAt(JSON.parse(text), [...scope, "States", other, "Catch"]))) text = drop(text, [...scope, "States", other, "Catch"]);
  return text;
}

/** @param {any} value */
const same0 = (value) => Array.isArray(value) && value.length === 0;

/** Adds a branch to a Parallel. @param {string} text @param {Path} path of the state @returns {{ text: string, name: string }} */
export function addBranch(text, path) {
  const root = JSON.parse(text);
  const name = freeName(root, `${String(path.at(-1))}Branch${list(valueAt(root, [...path, "Branches"])).length + 1}`);
  return { text: append(text, [...path, "Branches"], { StartAt: name, States: { [name]: { Type: "Pass", End: true } } }), name };
}

/** Puts a field, or takes it away when there is no value. @param {string} text @param {Path} path @param {any} value undefined: it goes */
export function field(text, path, value) {
  if (value === undefined) return drop(text, path);
  const parent = path.slice(0, -1);
  if (parent.length && valueAt(JSON.parse(text), parent) === undefined) text = put(text, parent, {});
  return put(text, path, value);
}

export { drop, places, put, swap };
