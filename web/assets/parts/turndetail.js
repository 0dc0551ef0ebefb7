// The whole of a turn: what was asked, how it ended, and the request that asks it again.

import { curl, path } from "../api.js";
import { words } from "../store/run.js";
import { copier, h } from "./dom.js";
import { precise } from "./format.js";
import { facts } from "./detail.js";
import { pretty, section } from "./json.js";
import { ADVICE, stateWord } from "./states.js";

/** @param {import('../types').Turn} turn @param {import('../store/run.js').RunState} run */
export function turnDetail(turn, run) {
  const said = turn.steps.map((step) => words(step.reply)).filter(Boolean).join("\n\n");
  const body = { input: words(turn.message), user_id: run.user };
  return [
    facts([
      ["Position", String(turn.id)], ["Began", precise(turn.at)], ["Ended", turn.ended === null ? null : precise(turn.ended)],
      ["State", stateWord(turn.state)], ["Why", turn.why], ["What to do", ADVICE[turn.state]], ["Key", turn.key],
    ]),
    h("div", "actions", copier("Copy as JSON", () => pretty(turn)), copier("Copy as curl", () => curl("POST", path("v1", "agents", run.agent, "invoke"), body))),
    section("Question", words(turn.message)),
    ...(said ? [section("Answer", said)] : []),
  ];
}
