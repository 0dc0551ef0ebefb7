// The words and marks for states of runs, turns and calls: the same wherever one is shown.

import { h } from "./dom.js";

/** State → what people read, and the mark: quiet, live (something happens), asks (a person is needed), bad. @type {Record<string, [string, string]>} */
const STATES = {
  idle: ["Idle", "quiet"], queued: ["Queued", "quiet"], running: ["Running", "live"], waiting: ["Waiting", "asks"],
  completed: ["Completed", "quiet"], done: ["Done", "quiet"], looking: ["Preparing", "live"],
  asking: ["Needs a decision", "asks"], refused: ["Refused", "bad"], failed: ["Failed", "bad"],
  tool_error: ["Tool error", "bad"], invalid_input: ["Invalid arguments", "bad"], unknown_tool: ["Unknown tool", "bad"],
  cancelled: ["Cancelled", "quiet"], interrupted: ["Interrupted", "quiet"], outcome_unknown: ["Outcome unknown", "bad"],
  limit_reached: ["Limit reached", "bad"], cut: ["Cut", "quiet"], max_tokens: ["Cut at max_tokens", "bad"],
  context_exceeded: ["Too long for the model", "bad"], max_iterations: ["Too many model calls", "bad"],
  max_tool_calls: ["Too many tool calls", "bad"], max_turn_tokens: ["Too many tokens", "bad"],
  RUNNING: ["Running", "live"], SUCCEEDED: ["Succeeded", "quiet"], FAILED: ["Failed", "bad"], TIMED_OUT: ["Timed out", "bad"],
  ABORTED: ["Stopped", "quiet"], succeeded: ["Succeeded", "quiet"], timed_out: ["Timed out", "bad"], aborted: ["Stopped", "quiet"], PENDING_REDRIVE: ["Goes on soon", "live"],
  max_cost: ["Too expensive", "bad"], timeout: ["Timed out", "bad"], model_failed: ["Model failed", "bad"],
};

/** What to do when a turn ended so. @type {Record<string, string>} */
export const ADVICE = {
  max_tokens: "The answer was cut. Ask it to go on, or raise max_tokens in the agent's file.",
  context_exceeded: "Start a new conversation, or set truncation: {strategy: sliding_window} in the agent's file.",
  max_iterations: "Ask for less at once, or raise max_iterations in the agent's file.",
  max_tool_calls: "Ask for less at once, or raise max_tool_calls in the agent's file.",
  max_turn_tokens: "Ask for less at once, or raise max_turn_tokens in the agent's file.",
  max_cost: "Raise max_cost_usd in the agent's file if this is worth it.",
  timeout: "Ask again, or raise timeout_seconds in the agent's file.",
  model_failed: "Ask again. If it stays, bedplate doctor says what is missing.",
  refused: "The model or its provider refused. Word it differently.",
  cancelled: "You can go on at any time.",
  interrupted: "The next message took over.",
};

/** @param {string} state */
export function stateWord(state) {
  return STATES[state]?.[0] ?? state.replaceAll("_", " ");
}

/** @param {string} state */
export function stateMark(state) {
  return STATES[state]?.[1] ?? "quiet";
}

/** Makes a mark with the state's word beside it. @param {string} state */
export function badge(state) {
  const node = h("span", null, h("i", { "aria-hidden": "true" }), h("span"));
  rebadge(node, state);
  return node;
}

/** @param {HTMLElement} node @param {string} state */
export function rebadge(node, state) {
  if (node.dataset.state === state) return;
  node.dataset.state = state;
  node.className = `badge ${stateMark(state)}`;
  if (node.lastChild) node.lastChild.textContent = stateWord(state);
}
