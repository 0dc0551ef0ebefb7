// Short messages at the edge of the page: what failed and what to do about it.

import { button, h } from "./dom.js";
import { ApiError } from "../api.js";
import { icon } from "./icons.js";

const place = h("div", { class: "toasts", role: "status", "aria-live": "polite" });

/** @param {string} message @param {{ bad?: boolean }} [options] */
export function toast(message, { bad = false } = {}) {
  if (!place.isConnected) document.body.append(place);
  const node = h("div", bad ? "toast bad" : "toast", message, button("Dismiss", () => node.remove(), { class: "quiet" }, icon("close")));
  place.append(node);
  setTimeout(() => node.remove(), bad ? 12_000 : 4_000);
}

/** What to do about an error, by its code, where the server gives no hint. @type {Record<string, string>} */
const REMEDY = {
  unreachable: "Is it running? Start it with: bedplate up",
  agent_not_allowed: "Choose an agent that your key may use.",
  user_mismatch: "Your key speaks for one user; clear the user field.",
  session_busy: "Wait for the answer, or stop it.",
  session_deleted: "Start a new conversation.",
  store_unavailable: "It is tried again; if this stays, look at the server's log.",
  input_too_large: "Shorten the message.",
  body_too_large: "Shorten the message.",
  already_answered: "Somebody else was faster; nothing is left to do.",
  session_exists: "Choose another name.",
  run_not_found: "It was deleted, or your key may not see it. Runs has what there is.",
  session_not_found: "It was deleted, or belongs to another user.",
  call_not_found: "Only model calls have something that a model saw.",
};

/** Returns what an error says, and what to do about it. @param {any} error */
export function explain(error) {
  if (!(error instanceof ApiError)) return { title: String(error?.message ?? error), hint: "", id: "" };
  const hint = error.hint ?? REMEDY[error.code] ?? (error.status >= 500 ? "Try again; if it stays, look at the server's log." : "");
  const title = error.message.charAt(0).toUpperCase() + error.message.slice(1);
  return { title, hint, id: error.requestId ?? "" };
}

/** @param {any} error */
export function toastError(error) {
  const { title, hint } = explain(error);
  toast(hint ? `${title}. ${hint}` : title, { bad: true });
}

/**
 * A failure in the place of what it kept from being shown.
 * @param {any} error
 * @param {() => void} [again]
 */
export function failure(error, again) {
  const { title, hint, id } = explain(error);
  return h("div", { class: "failure", role: "alert" }, icon("warn"), h("div", null,
    h("p", "strong", title),
    hint ? h("p", "dim", hint) : null,
    id ? h("p", "dim small", "Request ", h("code", null, id)) : null,
    again ? button("Try again", again) : null,
  ));
}
