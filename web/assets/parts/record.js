// A model call, whole: who, which way it took and why, what it used and cost, how long it took, request and response.

import { curl, path } from "../api.js";
import { facts } from "./detail.js";
import { button, copier, h } from "./dom.js";
import { count, duration, money, precise } from "./format.js";
import { icon } from "./icons.js";
import { pretty, section } from "./json.js";
import { playgroundOf } from "../store/prompt.js";
import { ERRORS } from "../store/usage.js";

/** @typedef {import('../types').CallRecord} CallRecord */

/** Where a request of a dialect is sent; an agent's own calls have no address. @type {Record<string, string>} */
const ADDRESS = { openai_chat: "/v1/chat/completions", openai_responses: "/v1/responses", anthropic_messages: "/v1/messages" };

/** @type {Record<string, string>} */
const DIALECTS = { openai_chat: "Chat Completions", openai_responses: "Responses", anthropic_messages: "Messages", bedrock_converse: "Converse", bedrock_invoke: "InvokeModel", core: "an agent" };

/** Returns why a route chose its target, for people. @param {string} reason */
export function why(reason) {
  return reason.replaceAll("_", " ").replace(":", ": ");
}

/** Returns what is worth a mark in a row: a cache, a second attempt, a smaller answer, a guard. @param {CallRecord} call @returns {[string, string, string][]} the word, its class, what it means */
export function marks(call) {
  /** @type {[string, string, string][]} */
  const all = [];
  if (call.error) all.push([errorWord(call.error.kind), "bad", call.error.message]);
  if (call.outcome === "cancelled") all.push(["client left", "", "The client went away before the end"]);
  if (call.cache === "hit" || call.cache === "semantic_hit") all.push([call.cache === "hit" ? "cached" : "cached, same meaning", "on", "The cache answered"]);
  if (call.attempts > 1) all.push([`${call.attempts} attempts`, "", "Requests that were sent to providers"]);
  if (call.reason) all.push([why(call.reason), "", "Why the route chose this model"]);
  if (call.degraded) all.push([`degraded: ${call.degraded}`, "", "The answer is smaller than what was asked for"]);
  if (call.guard) all.push([`guard: ${call.guard}`, "bad", "What a guard did"]);
  if (call.priority === "batch") all.push(["batch", "", "Nobody waits for it"]);
  return all;
}

/** @param {string} kind */
export function errorWord(kind) {
  return kind.replace(/^model_/, "").replaceAll("_", " ");
}

/** Returns who called, the most telling name first. @param {CallRecord} call */
export function who(call) {
  return [call.agent && `agent ${call.agent}`, call.user_id, call.team && `team ${call.team}`, call.key && `key ${call.key}`].filter(Boolean).join(" · ") || "nobody named";
}

/**
 * @param {CallRecord} call with its payload
 * @param {(param: string, value: string) => void} only adds to the filter
 * @returns {Node[]}
 */
export function recordDetail(call, only) {
  /** @param {string} param @param {string | null} value @param {string} [shown] */
  const link = (param, value, shown) => value && button(`Only calls with ${shown ?? value}`, () => only(param, value), { class: "as-link plain" }, shown ?? value);
  const inputs = call.usage.input + (call.usage.cache_read ?? 0) + (call.usage.cache_write ?? 0);
  const request = call.payload?.request;
  const prompt = request && call.dialect === "openai_chat" ? playgroundOf(request) : null;
  const address = request && ADDRESS[call.dialect];
  const error = call.error && ERRORS[call.error.kind];
  return [
    call.error ? h("div", "outcome bad", icon("warn"), h("div", null, h("p", "strong", error?.[0] ?? errorWord(call.error.kind)), h("p", null, call.error.message), error ? h("p", "dim", error[1]) : null)) : null,
    span(call),
    group("Who", [
      ["Agent", link("agent", call.agent)], ["User", link("user_id", call.user_id)], ["Key", link("key", call.key)], ["Team", link("team", call.team)],
      ["Session", link("session_id", call.session_id)], ["Run", call.run_id && h("a", { href: path("runs", call.run_id) }, call.run_id.slice(0, 8))],
      ["Tags", Object.keys(call.tags).length > 0 && h("span", null, ...Object.entries(call.tags).map(([name, value]) => h("span", "tag", link("tag", `${name}=${value}`))))],
      ["Jurisdiction", call.jurisdiction],
    ]),
    group("Way", [
      ["Spoke", `${DIALECTS[call.dialect] ?? call.dialect}${call.stream ? ", streamed" : ""}`], ["Route", link("route", call.route)], ["Why", call.reason && why(call.reason)],
      ["Target", link("target", call.target)], ["Model", link("model", call.model)], ["Provider", link("provider", call.provider)], ["Attempts", call.attempts > 1 ? String(call.attempts) : null],
      ["Cache", call.cache && call.cache.replaceAll("_", " ")], ["Degraded", call.degraded], ["Guard", call.guard], ["Priority", call.priority === "batch" ? "batch" : null],
    ]),
    group("Spent", [
      ["Tokens in", count(inputs)], ["of them cached", call.usage.cache_read ? count(call.usage.cache_read) : null], ["Tokens out", `${count(call.usage.output)}${call.estimated ? " (estimated)" : ""}`],
      ["Cost", call.cost_usd === null ? "no price known" : money(call.cost_usd)], ["Saved", call.saved_usd ? money(call.saved_usd) : null],
      ["Prompt cache marks", call.prompt_cache_markers ? String(call.prompt_cache_markers) : null],
      ["Speed", speed(call)],
    ]),
    h("div", "actions", copier("Copy as JSON", () => pretty(call)), address ? copier("Copy as curl", () => curl("POST", address, request)) : null,
      prompt ? h("a", { class: "button small", href: prompt }, "Open in the playground") : null),
    ...payload(call),
  ].filter((node) => node !== null);
}

/** @param {string} title @param {Parameters<typeof facts>[0]} rows */
function group(title, rows) {
  return h("section", "group", h("h4", null, title), facts(rows));
}

/** Tokens a second after the first. @param {CallRecord} call */
function speed(call) {
  const rest = call.total_ms - (call.first_token_ms ?? 0);
  return call.stream && call.first_token_ms !== null && rest > 50 && call.usage.output > 1 ? `${count(Math.round((call.usage.output * 1000) / rest))} tokens/s` : null;
}

/** The time of a call: until the first token, and until the end. @param {CallRecord} call */
function span(call) {
  const first = h("i");
  first.style.setProperty("--span", String(call.first_token_ms === null ? 1 : Math.min(1, call.first_token_ms / Math.max(call.total_ms, 0.001))));
  return h("section", "span-of", h("div", "two-part", first),
    h("p", "num small", h("span", null, call.first_token_ms === null ? "" : `First token ${duration(call.first_token_ms)}`), h("span", "dim", precise(Date.parse(call.at))), h("span", null, `Whole ${duration(call.total_ms)}`)));
}

/** @param {CallRecord} call */
function payload(call) {
  if (call.payload) return [section("Request", call.payload.request), call.payload.response === null ? h("p", "dim", "No response came.") : section("Response", call.payload.response)];
  const toml = '[log]\npayloads = "errors"    # or "all"\nredact = ["email", "phone"]';
  return [h("section", "value", h("h4", null, "Request and response"), h("p", "dim", "The project's log policy did not keep them for this call. In bedplate.toml:"), h("div", "command", h("code", null, toml), copier("Copy", () => toml)))];
}
