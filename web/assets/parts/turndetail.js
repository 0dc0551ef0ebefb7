// The whole of a turn: what was asked, how it ended, and the request that asks it again.

import { curl, path } from "../api.js";
import { words } from "../store/run.js";
import { copier, h } from "./dom.js";
import { precise } from "./format.js";
import { facts } from "./detail.js";
import { pretty, section } from "./json.js";
import { ADVICE, stateWord } from "./states.js";

/**
 * Returns the turn as a line of a script (.jsonl): a model with provider = "scripted" answers a test with it as the
 * model did here.
 * @param {import('../types').Turn} turn
 */
function script(turn) {
  const replies = turn.steps.filter((step) => step.reply);
  const step = replies.map(({ reply }) => {
    const blocks = reply?.content ?? [];
    const tools = blocks.filter((block) => block.type === "tool_use").map(({ id, name, input }) => ({ id, name, input }));
    const reasoning = blocks.filter((block) => block.type === "reasoning" && block.text).map((block) => block.text).join("\n\n");
    return { ...(reasoning ? { reasoning } : {}), ...(words(reply) ? { text: words(reply) } : {}), ...(tools.length ? { tool_use: tools } : {}) };
  });
  return JSON.stringify({ step });
}

/** @param {import('../types').Turn} turn @param {import('../store/run.js').RunState} run */
export function turnDetail(turn, run) {
  const said = turn.steps.map((step) => words(step.reply)).filter(Boolean).join("\n\n");
  const body = { input: words(turn.message), user_id: run.user };
  return [
    facts([
      ["Position", String(turn.id)], ["Began", precise(turn.at)], ["Ended", turn.ended === null ? null : precise(turn.ended)],
      ["State", stateWord(turn.state)], ["Why", turn.why], ["What to do", ADVICE[turn.state]], ["Key", turn.key],
    ]),
    h("div", "actions", copier("Copy as JSON", () => pretty(turn)), copier("Copy as test", () => script(turn)), copier("Copy as curl", () => curl("POST", path("v1", "agents", run.agent, "invoke"), body))),
    section("Question", words(turn.message)),
    ...(said ? [section("Answer", said)] : []),
  ];
}
