// Going back to a place of a run: forks of it, and replays up to it.

import { get, path, post, postWith, query } from "../api.js";
import { dialog } from "./dialog.js";
import { button, h, text } from "./dom.js";
import { plural } from "./format.js";
import { icon } from "./icons.js";
import { jsonFault, laidOut } from "./json.js";
import { toast, toastError } from "./toast.js";

/**
 * Asks the server whether the machine of today decides what the journal says.
 * @param {"runs" | "executions"} kind
 * @param {string} id
 * @param {number | null} at up to which position; null: all
 */
export async function replay(kind, id, at) {
  try {
    const found = await get(query(path("v1", kind, id, "replay"), { at }));
    const upTo = at ? ` up to ${at}` : "";
    dialog("Replay", h("p", "line", icon(found.same ? "check" : "warn"), found.same ? `The machine decides today what the journal says: ${plural(found.events, "event")}${upTo}, no difference.` : `${plural(found.differences.length, "difference")} in ${plural(found.events, "event")}${upTo}:`),
      ...found.differences.slice(0, 50).map((/** @type {{ seq: number, recorded: string, decided: string }} */ one) => h("section", "value",
        h("header", null, h("h4", null, `At ${one.seq}`)), h("p", "small dim", "Recorded"), h("pre", "words", one.recorded), h("p", "small dim", "Decided today"), h("pre", "words", one.decided))));
  } catch (error) {
    toastError(error);
  }
}

/**
 * Forks an agent's run and returns the address at which it stands beside its original.
 * @param {string} id
 * @param {number} at the last position that is kept
 */
export async function forkRun(id, at) {
  try {
    const made = await post(path("v1", "runs", id, "fork"), { at });
    toast(`Forked at ${at}`);
    return `${path("runs", made.run_id)}?with=${id}`;
  } catch (error) {
    toastError(error);
    return null;
  }
}

/**
 * Asks how an execution is to be forked from a state, and forks it.
 * @param {{ workflow: string, id: string, state: string, seq: number, input: string | undefined }} from its input is a text of JSON
 * @param {(address: string) => void} go
 */
export function forkExecution(from, go) {
  const before = laidOut(from.input ?? "{}");
  const wrong = h("p", { class: "wrong", role: "alert", id: "fork-fault" });
  const field = h("textarea", { class: "code", rows: Math.min(16, Math.max(6, before.split("\n").length + 1)), spellcheck: "false", "aria-label": "Input of the state", "aria-describedby": "fork-fault", value: before, on: { input: () => text(wrong, "") } });
  const which = h("select", { "aria-label": "Definition" }, h("option", { value: "pinned" }, "as it was then"), h("option", { value: "current" }, "as the workflow is now"));
  const make = h("button", { class: "primary", type: "submit" }, "Fork");
  const form = h("form", { class: "start", on: { submit: (/** @type {Event} */ event) => {
    event.preventDefault();
    void fork();
  } } }, h("p", "dim", `A new execution begins with what happened before ${from.state}, enters it again and goes its own way. The original stays as it is.`),
  h("label", "dim small", `Input of ${from.state}`), field, wrong, h("label", "line", h("span", "dim small", "Definition"), which), h("div", "actions", button("Cancel", () => open.close()), make));
  const open = dialog(`Fork from ${from.state}`, form);

  async function fork() {
    const fault = jsonFault(field.value);
    text(wrong, fault ?? "");
    field.setAttribute("aria-invalid", String(Boolean(fault)));
    if (fault) return field.focus();
    make.disabled = true;
    const to = path("v1", "executions", from.id, "fork");
    const body = { at: from.seq, definition: which.value };
    try {
      const made = laidOut(field.value) === before ? await post(to, body) : await postWith(to, body, "input", field.value);
      open.close();
      go(`${path("workflows", from.workflow, made.id)}?with=${from.id}`);
    } catch (error) {
      text(wrong, error instanceof Error ? error.message : String(error));
      make.disabled = false;
    }
  }
}
