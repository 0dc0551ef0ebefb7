// What the server says of itself and its agents; read once, and again when the key changes.

import { get } from "../api.js";
import { settings } from "./settings.js";

/** @type {Promise<{ info: import('../types').Info, agents: import('../types').Agent[] }> | null} */
let known = null;

/** Returns the server's description and its agents. */
export function project() {
  known ??= read();
  known.catch(() => (known = null));
  return known;
}

/** Forgets what is known, so that it is read again. */
export function forget() {
  known = null;
}

async function read() {
  const [info, { agents }] = await Promise.all([get("/v1/info"), get("/v1/agents")]);
  settings.bound = info.user_id ?? null;
  return { info, agents };
}

/** Returns what a tool promises, whichever of the two forms the server uses. @param {import('../types').Tool} tool */
export function annotations(tool) {
  const of = tool.annotations ?? tool;
  /** @type {[string, boolean | undefined][]} */
  const all = [["read only", of.read_only], ["destructive", of.destructive], ["idempotent", of.idempotent], ["open world", of.open_world]];
  return all.filter(([, yes]) => yes).map(([name]) => name);
}

/** Returns a tool's rule of approval as words; empty: it never asks. @param {import('../types').Tool} tool */
export function approvalRule(tool) {
  const rule = tool.approval;
  if (!rule || rule === "never" || rule.mode === "never") return "";
  if (typeof rule === "string") return rule;
  return rule.mode?.when ?? rule.when ?? rule.mode ?? "always";
}

/** Questions for tools that come with the binary and say none themselves. @type {Record<string, string>} */
const BUILT_IN = { calculate: "What is 25 * 47?", current_time: "What time is it in Tokyo?" };

/**
 * Returns questions that an agent can be asked: its tools' descriptions quote what people say.
 * @param {import('../types').Agent} agent
 * @param {number} [most]
 */
export function examples(agent, most = 6) {
  /** @type {string[][]} */
  const each = agent.tools.map((tool) => {
    const quoted = [...tool.description.matchAll(/"([^"\n]{8,90})"/g)].map((match) => match[1] ?? "");
    const own = BUILT_IN[tool.name];
    return own ? [own, ...quoted] : quoted;
  });
  const found = [];
  for (let round = 0; found.length < most && round < 3; round += 1) {
    for (const quoted of each) {
      const text = quoted[round];
      if (text && found.length < most) found.push(sentence(text));
    }
  }
  return found.length ? found : ["What can you do for me?", "Which tools do you have?"];
}

/** @param {string} text */
function sentence(text) {
  return text.charAt(0).toUpperCase() + text.slice(1);
}
