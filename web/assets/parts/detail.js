// The whole of a call: exact input and output, what it cost, what the model saw, and ways to copy it.

import { curl, get, path } from "../api.js";
import { answer, words } from "../store/run.js";
import { button, copier, fill, h } from "./dom.js";
import { duration, money, precise, usageText } from "./format.js";
import { json, pretty, section } from "./json.js";
import { failure } from "./toast.js";

/** @typedef {import('../types').Step} Step */

/**
 * @param {Step} step
 * @param {string} run the run's id
 * @returns {HTMLElement[]}
 */
export function detail(step, run) {
  return step.kind === "model" ? ofModel(step, run) : ofTool(step, run);
}

/** @param {[string, string | Node | null | undefined | false][]} rows */
export function facts(rows) {
  const shown = rows.filter(([, value]) => value);
  return h("dl", "facts", ...shown.map(([name, value]) => h("div", null, h("dt", null, name), h("dd", null, value))));
}

/** @param {Step} step @param {string} run */
function ofModel(step, run) {
  const saw = h("div", "saw");
  const see = button("What did it see?", async () => {
    if (saw.childElementCount) return saw.replaceChildren();
    see.disabled = true;
    try {
      fill(saw, ...request(await get(path("v1", "runs", run, "calls", step.call, "request"))));
    } catch (error) {
      fill(saw, failure(error));
    }
    see.disabled = false;
  }, { class: "small" });
  const address = path("v1", "runs", run, "calls", step.call, "request");
  const text = words(step.reply);
  const rest = step.reply?.content.filter((block) => block.type !== "text") ?? [];
  return [
    facts([
      ["Model", step.model || null], ["Route", step.name], ["Began", precise(step.at)],
      ["Took", step.took === null ? null : duration(step.took)], ["Tokens", usageText(step.usage)],
      ["Cost", step.cost === undefined ? null : money(step.cost)], ["Stopped", step.stop?.replaceAll("_", " ")],
      ["Attempt", (step.attempt ?? 1) > 1 && String(step.attempt)],
    ]),
    h("div", "actions", see, copier("Copy as JSON", () => pretty(step.reply ?? step.error ?? null)), copier("Copy as curl", () => curl("GET", address))),
    saw,
    ...(step.error ? [section(`Failed: ${step.error.code}`, step.error.message)] : []),
    ...(text ? [section("Said", text)] : []),
    ...(rest.length ? [section("Asked for", rest)] : []),
  ];
}

/** @param {any} body */
function request(body) {
  const system = (body.system ?? []).map((/** @type {any} */ block) => block.text ?? "").join("\n\n");
  const tools = (body.tools ?? []).map((/** @type {any} */ tool) => tool.name).join(", ");
  return [
    ...(system ? [section("System prompt", system)] : []),
    section(`Messages (${body.messages?.length ?? 0})`, body.messages ?? []),
    h("details", null, h("summary", null, `Tools on offer: ${tools || "none"}`), json(body.tools ?? [])),
  ];
}

/** @param {Step} step @param {string} run */
function ofTool(step, run) {
  const asked = step.asked;
  const said = asked?.answered;
  const output = step.output ? answer(step.output) : null;
  const address = `${path("v1", "runs", run, "events")}?after=${step.call - 1}&limit=1`;
  return [
    facts([
      ["Tool", step.name], ["Asked for", precise(step.at)], ["Took", step.took === null ? null : duration(step.took)],
      ["Outcome", step.outcome?.replaceAll("_", " ")],
      ["Decision", said && `${said.approved ? "Approved" : "Refused"}${said.by ? ` by ${said.by}` : asked ? " by the deadline" : ""}, ${precise(said.at)}`],
      ["Note", said?.note],
    ]),
    h("div", "actions",
      copier("Copy as JSON", () => pretty({ tool: step.name, input: step.input, output: step.output ?? null, outcome: step.outcome ?? null })),
      copier("Copy as curl", () => curl("GET", address))),
    section("Input", step.malformed ?? step.input ?? {}),
    ...(asked?.preview ? [section("Facts shown for the decision", asked.preview)] : []),
    ...(output === null ? [] : [section(step.output?.is_error ? "Output (an error)" : "Output", parsed(output))]),
  ];
}

/** A text that is JSON is shown as JSON. @param {any} value */
function parsed(value) {
  if (typeof value !== "string" || !/^\s*[[{]/.test(value)) return value;
  try {
    return JSON.parse(value);
  } catch {
    return value;
  }
}
