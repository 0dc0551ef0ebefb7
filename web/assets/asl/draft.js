// A definition while it is changed: its text, what was done to it, and what the server finds in it.

import { path, post } from "../api.js";
import { states } from "./machine.js";
import { fromPointer } from "./text.js";

/** @typedef {import('../types').Diagnostic} Diagnostic */
/** @typedef {{ diagnostic: Diagnostic, state: string | null, field: string[] }} Finding */

/** How long after the last change a text is judged, in milliseconds. */
const PAUSE = 300;

/** Changes of one field within this time are one step back, in milliseconds. */
const ONE_STEP = 1_500;

/** How many steps back there are. */
const STEPS = 500;

/** Tells of every change (`change`) and of every judgement (`judged`). */
export class Draft extends EventTarget {
  /** @type {{ text: string, chosen: string, label: string, at: number }[]} */
  #past = [];
  /** @type {{ text: string, chosen: string }[]} */
  #future = [];
  #turn = 0;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #timer;

  /** @param {string} text @param {{ name: string, kind: string }} of */
  constructor(text, of) {
    super();
    this.of = of;
    /** What is stored. */
    this.saved = text;
    this.text = text;
    /** The state that is chosen; empty: the workflow itself. */
    this.chosen = "";
    /** The definition, or that of the last text that could be read. @type {any} */
    this.root = null;
    /** Whether the text can be read. */
    this.readable = false;
    /** @type {Finding[]} */
    this.found = [];
    /** Whether it may be saved; null: it is being judged. @type {boolean | null} */
    this.valid = null;
    this.#read();
  }

  get changed() {
    return this.text !== this.saved;
  }

  get canUndo() {
    return this.#past.length > 0;
  }

  get canRedo() {
    return this.#future.length > 0;
  }

  /** What the last step was. */
  get lastStep() {
    return this.#past.at(-1)?.label ?? "";
  }

  #read() {
    try {
      const root = JSON.parse(this.text);
      this.readable = Boolean(root) && typeof root === "object" && !Array.isArray(root);
      if (this.readable) this.root = root;
    } catch {
      this.readable = false;
    }
    if (this.chosen && this.readable && !states(this.root).some(({ name }) => name === this.chosen)) this.chosen = "";
  }

  /**
   * Changes the text. Steps with one label that follow each other quickly are one.
   * @param {string} text
   * @param {string} label what was done
   * @param {string} [chosen] the state that is chosen then
   */
  change(text, label, chosen = this.chosen) {
    if (text === this.text) {
      this.choose(chosen);
      return;
    }
    const last = this.#past.at(-1);
    const now = Date.now();
    const goesOn = /^(Set|Typing)/.test(label);
    if (last && goesOn && last.label === label && now - last.at < ONE_STEP) last.at = now;
    else this.#past.push({ text: this.text, chosen: this.chosen, label, at: now });
    if (this.#past.length > STEPS) this.#past.shift();
    this.#future = [];
    this.#take(text, chosen);
  }

  undo() {
    const step = this.#past.pop();
    if (!step) return;
    this.#future.push({ text: this.text, chosen: this.chosen });
    this.#take(step.text, step.chosen);
  }

  redo() {
    const step = this.#future.pop();
    if (!step) return;
    this.#past.push({ text: this.text, chosen: this.chosen, label: "again", at: 0 });
    this.#take(step.text, step.chosen);
  }

  /** @param {string} chosen */
  choose(chosen) {
    if (chosen === this.chosen) return;
    this.chosen = chosen;
    this.dispatchEvent(new Event("change"));
  }

  /** @param {string} text @param {string} chosen */
  #take(text, chosen) {
    this.text = text;
    this.chosen = chosen;
    this.valid = null;
    // A verdict that is under way is one on another text.
    this.#turn += 1;
    this.#read();
    this.dispatchEvent(new Event("change"));
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => void this.judge(), PAUSE);
  }

  /** Asks the server what it finds in the text. */
  async judge() {
    const mine = (this.#turn += 1);
    const said = await post(path("v1", "workflows", this.of.name, "validate"), { definition: this.text, kind: this.of.kind }).catch(() => null);
    if (mine !== this.#turn) return;
    // Without an answer nothing is known: the line about the connection says why, and saving asks again.
    this.found = said ? said.diagnostics.map((/** @type {Diagnostic} */ one) => located(one)) : [];
    this.valid = said ? said.valid : null;
    this.dispatchEvent(new Event("judged"));
    if (!said) this.#timer = setTimeout(() => void this.judge(), 10 * PAUSE);
  }

  /** What is stored now is the text. @param {string} text */
  keep(text) {
    this.saved = text;
    this.dispatchEvent(new Event("change"));
  }

  close() {
    this.#turn += 1;
    clearTimeout(this.#timer);
  }
}

/** Returns which state and which field of it a finding is about. @param {Diagnostic} diagnostic @returns {Finding} */
export function located(diagnostic) {
  // AWS writes the items of lists as `Branches[0]`; the name of a state may look like that and is none.
  const parts = fromPointer(diagnostic.pointer ?? "").flatMap((part, index, all) => {
    const item = all[index - 1] === "States" ? null : /^(\w+)\[(\d+)\]$/.exec(part);
    return item ? [item[1] ?? "", item[2] ?? ""] : [part];
  });
  /** @type {string | null} */
  let state = null;
  let at = 0;
  while (parts[at] === "States" && parts[at + 1] !== undefined) {
    state = parts[at + 1] ?? null;
    at += 2;
    const inner = parts[at] === "Branches" ? 2 : parts[at] === "ItemProcessor" || parts[at] === "Iterator" ? 1 : 0;
    if (inner && parts[at + inner] === "States") at += inner;
  }
  return { diagnostic, state, field: parts.slice(at) };
}
