// What a look at model calls asks for: a stretch of time and what the calls have in common. It stands in the address,
// in the words of the API, so that it can be sent.

import { get, query } from "../api.js";

/** The dimensions: the parameter of the API and of the address, the word of `by`, and the name for people. @type {[string, string, string][]} */
export const DIMENSIONS = [
  ["route", "route", "Route"], ["model", "model", "Model"], ["target", "target", "Target"], ["provider", "provider", "Provider"],
  ["agent", "agent", "Agent"], ["user_id", "user", "User"], ["key", "key", "Key"], ["team", "team", "Team"],
  ["error", "error", "Error"], ["cache", "cache", "Cache"], ["session_id", "session", "Session"], ["run_id", "run", "Run"], ["tag", "tag", "Tag"],
];

/** The stretches of time that are offered: what the API takes, for people, and the steps of a chart. @type {[string, string, string[]][]} */
export const RANGES = [["1h", "1 h", ["minute"]], ["24h", "24 h", ["hour"]], ["7d", "7 d", ["hour", "day"]], ["30d", "30 d", ["day", "hour"]], ["90d", "90 d", ["day"]]];

/** @typedef {Record<string, string>} Filter */

/** Returns the filter that an address holds. @param {URLSearchParams} search @returns {Filter} */
export function filterOf(search) {
  /** @type {Filter} */
  const filter = {};
  for (const [param] of DIMENSIONS) {
    const value = search.get(param);
    if (value) filter[param] = value;
  }
  return filter;
}

/** Returns the name of a parameter for people. @param {string} param */
export function nameOf(param) {
  return DIMENSIONS.find(([name]) => name === param)?.[2] ?? param;
}

/** @param {Record<string, string | undefined>} params @param {AbortSignal} [signal] @returns {Promise<import('../types').Costs>} */
export function costsOf(params, signal) {
  return get(query("/v1/costs", params), signal);
}

/**
 * Returns the values that a dimension had of late, the most frequent ones first.
 * @param {string} by
 * @param {string} from
 * @param {AbortSignal} [signal]
 * @returns {Promise<{ value: string, calls: number }[]>}
 */
export async function values(by, from, signal) {
  if (by === "tag") return tagPairs(from, signal);
  const { rows } = await costsOf({ by, from }, signal);
  return rows.filter((row) => row[by] !== null).map((row) => ({ value: String(row[by]), calls: row.calls })).toSorted((a, b) => b.calls - a.calls);
}

/** How many of the latest calls are looked at for the names of tags. */
const LOOKED_AT = 200;

/** Returns the names of tags that the latest calls had. @param {AbortSignal} [signal] @returns {Promise<string[]>} */
export async function tagNames(signal) {
  const { records } = await get(query("/v1/records", { limit: LOOKED_AT }), signal);
  return [...new Set(records.flatMap((/** @type {import('../types').CallRecord} */ record) => Object.keys(record.tags)))].toSorted();
}

/** @param {string} from @param {AbortSignal} [signal] */
async function tagPairs(from, signal) {
  const names = await tagNames(signal);
  const found = await Promise.all(names.map(async (name) => (await values(`tag:${name}`, from, signal)).map(({ value, calls }) => ({ value: `${name}=${value}`, calls }))));
  return found.flat().toSorted((a, b) => b.calls - a.calls);
}

/** What an error of a model call means, and what to do about it. @type {Record<string, [string, string]>} */
export const ERRORS = {
  model_invalid_request: ["The request is wrong", "The client must change it; no retry helps. The message says what the provider did not like."],
  model_not_found: ["No such model", "The provider does not know the model. Look at model under [models] in bedplate.toml."],
  model_unauthorized: ["The provider refused the key", "Look at api_key_env of the model; bedplate doctor says what is missing."],
  model_request_too_large: ["Longer than the model reads", "Give the route a larger model, or set [tokens] overflow."],
  model_rate_limited: ["The provider wants fewer calls", "Give the route a fallback, or ask the provider for more quota."],
  model_limit_exceeded: ["A plan or a budget of the project", "Look at [plans] and [budgets], or wait until the time that Retry-After says."],
  model_unavailable: ["The provider was overloaded or away", "It passes. A fallback on the route hides it."],
  model_timeout: ["Too slow", "Raise timeouts of the route, or set hedge_ms."],
  model_broken_stream: ["The stream broke in the middle", "Set resume on the route, so that another model goes on."],
  model_invalid_reply: ["The reply could not be read", "Is base_url the right server for this provider?"],
};
