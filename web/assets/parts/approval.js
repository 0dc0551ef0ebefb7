// A question to a person: the facts that decide it, the amount first, the deadline, and two buttons.

import { path, post } from "../api.js";
import { approvals } from "../store/approvals.js";
import { button, fill, h, text } from "./dom.js";
import { brief, precise, when } from "./format.js";
import { icon } from "./icons.js";
import { toastError } from "./toast.js";
import { section } from "./json.js";

/**
 * @typedef {object} Ask
 * @property {string} run
 * @property {number} call
 * @property {"approval" | "outcome_unknown"} kind
 * @property {string} tool
 * @property {any} input
 * @property {string} question
 * @property {"workflow" | "agent" | string} [source] who asks
 * @property {any} preview
 * @property {number} deadline 0: none
 * @property {{ approved: boolean, by: string | null, note: string | null, at: number } | null} [answered]
 * @property {string} [outcome] how a call that nobody answered for was closed
 */

const AMOUNT = /(^|_)(amount|total|refund|price|cost|sum|fee|value)(_|$)/i;

/** Finds the amount among the facts: the key, the number, and its currency when the question names it. @param {any} preview @param {string} question */
export function amountOf(preview, question) {
  if (!preview || typeof preview !== "object") return null;
  const found = Object.entries(preview).find(([name, value]) => AMOUNT.test(name) && typeof value === "number");
  if (!found) return null;
  const [name, value] = /** @type {[string, number]} */ (found);
  const shown = Number.isInteger(value) ? String(value) : value.toFixed(2);
  const unit = preview.currency ?? /_(usd|eur|gbp|jpy|chf)$/i.exec(name)?.[1] ?? new RegExp(`${shown.replace(".", "\\.")}(?:\\.?0*)?\\s?([A-Z]{3}|[$€£¥])`).exec(question)?.[1] ?? "";
  return { name, text: `${value.toFixed(unit ? 2 : Number.isInteger(value) ? 0 : 2)}${unit ? ` ${String(unit).toUpperCase()}` : ""}` };
}

/** Returns the facts as rows; a text that only repeats a number beside it is left out. @param {any} preview @param {string | undefined} amount */
function rows(preview, amount) {
  if (!preview || typeof preview !== "object") return [];
  return Object.entries(preview).filter(([name]) => name !== amount && !(name.endsWith("_text") && name.slice(0, -5) in preview));
}

/** Returns what a state was given without the question itself: the facts that decide it. @param {any} input */
export function facts(input) {
  return input && typeof input === "object" ? Object.fromEntries(Object.entries(input).filter(([name]) => name !== "question" && name !== "message")) : null;
}

/** @param {string} name */
function human(name) {
  const words = name.replaceAll("_", " ");
  return words.charAt(0).toUpperCase() + words.slice(1);
}

/**
 * Makes the card of a question.
 * @param {Ask} ask
 * @param {Node | null} [origin] where it comes from, for a list of cards
 * @returns {import('../types').Part<Ask>}
 */
export function card(ask, origin = null) {
  const unknown = ask.kind === "outcome_unknown";
  const amount = amountOf(ask.preview, ask.question);
  const of = ask.source === "workflow" ? "Note" : "Note to the agent";
  const note = h("input", { type: "text", class: "note", maxlength: 1000, placeholder: `${of} (optional)`, "aria-label": of });
  const feet = h("footer");
  const yes = button(unknown ? "Run it again" : "Approve", () => answer(true), { class: "primary" });
  const no = button(unknown ? "Do not repeat" : "Refuse", () => answer(false));
  const table = rows(ask.preview, amount?.name);
  const kind = h("span", "kind", unknown ? "It is not known whether this ran" : "Needs your approval");
  const el = h("article", { class: "approval", "aria-label": `Decision: ${ask.question}`, tabindex: "-1", data: { call: String(ask.call) } },
    h("header", null, icon("approvals"), kind, h("code", null, ask.tool), origin),
    amount ? h("p", "amount num", amount.text) : null,
    h("p", "question", ask.question),
    table.length ? h("table", "facts", h("tbody", null, ...table.map(([name, value]) => h("tr", null, h("th", { scope: "row" }, human(name)), h("td", typeof value === "number" ? "num" : null, typeof value === "string" ? value : brief(value, 4000)))))) : null,
    h("details", null, h("summary", null, ask.source === "workflow" ? "What the state was given" : "What the model asked for"), section("Input", ask.input ?? {})),
    feet,
  );

  /** @param {boolean} approved */
  async function answer(approved) {
    yes.disabled = no.disabled = true;
    try {
      const said = note.value.trim();
      await post(path("v1", "runs", ask.run, "calls", ask.call, "answer"), said ? { approved, note: said } : { approved });
      show({ ...ask, answered: { approved, by: null, note: said || null, at: Date.now() } });
    } catch (error) {
      toastError(error);
      yes.disabled = no.disabled = false;
    }
    void approvals.refresh();
  }

  let shown = "";
  /** @param {Ask} next */
  function show(next) {
    const said = next.answered;
    const state = said ? `${said.approved} ${said.by}` : (next.outcome ?? "open");
    if (state === shown || (state === "open" && shown)) return;
    shown = state;
    el.classList.toggle("closed", state !== "open");
    if (state !== "open") text(kind, said ? (said.approved ? "Approved" : "Refused") : "Closed");
    if (state === "open") fill(feet, note, h("div", "actions", yes, no, ask.deadline ? deadline(ask.deadline, ask.source === "workflow") : null));
    else fill(feet, h("p", "verdict", icon(said?.approved ? "check" : "close"), verdict(next)));
  }
  show(ask);
  return { el, update: show };
}

/** @param {number} deadline @param {boolean} timesOut */
function deadline(deadline, timesOut) {
  return h("span", { class: "dim small", title: precise(deadline) }, timesOut ? "Times out " : "Refused by itself ", when(deadline));
}

/** @param {Ask} ask */
function verdict(ask) {
  const said = ask.answered;
  if (!said) return "Closed without a decision";
  return h("span", null, said.approved ? "Approved" : "Refused", said.by ? ` by ${said.by}` : "", " · ", when(said.at), said.note ? ` · “${said.note}”` : "");
}
