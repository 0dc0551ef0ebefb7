// One grammar for what happens in a run: icon, name, what came in, what came out, a bar on the time axis, time, tokens,
// money, state. A row opens for the whole of it.

import { answer, words } from "../store/run.js";
import { fill, h, text } from "./dom.js";
import { brief, count, duration, line, money, plain, tokens, usageText } from "./format.js";
import { icon } from "./icons.js";
import { detail } from "./detail.js";
import { badge, rebadge } from "./states.js";

/** @typedef {import('../types').Step} Step */
/** @typedef {{ step: Step, cameIn: string, from?: number, to?: number }} RowItem */

/** What a row shows, whatever it stands for. */
/**
 * @typedef {object} Cells
 * @property {string} cameIn
 * @property {string} cameOut
 * @property {number | null} took milliseconds; null: still running or nothing to time
 * @property {number | null} since when it began, while it runs
 * @property {number} tokens
 * @property {string} [usage]
 * @property {number} cost
 * @property {string} state
 * @property {number} [from] where its bar begins, 0 to 1
 * @property {number} [to]
 */

/**
 * Makes an empty row.
 * @param {string} kind its icon
 * @param {string} name
 * @param {number} level its indent
 * @param {() => (Node | null)[]} whole what it opens to
 */
export function row(kind, name, level, whole) {
  const cameIn = h("span", "in");
  const cameOut = h("span", "out");
  const fillBar = h("i");
  const took = h("span", "took num");
  const used = h("span", "tokens num");
  const cost = h("span", "cost num");
  const state = badge("done");
  const body = h("div", { class: "whole", hidden: true });
  const head = h("button", { type: "button", class: "head", "aria-expanded": "false", on: { click: () => open(head.getAttribute("aria-expanded") !== "true") } },
    h("span", "what", icon(kind), h("span", "name", name)), cameIn, cameOut, h("span", "bar", fillBar), took, used, cost, state);
  const el = h("div", { class: "row", data: { kind, level: String(level) } }, head, body);

  /** @param {boolean} yes */
  function open(yes) {
    head.setAttribute("aria-expanded", String(yes));
    el.classList.toggle("open", yes);
    body.hidden = !yes;
    if (yes) fill(body, ...whole());
    else body.replaceChildren();
  }

  /** @param {Cells} cells */
  function show(cells) {
    text(cameIn, cells.cameIn);
    text(cameOut, cells.cameOut);
    cameIn.title = cells.cameIn;
    cameOut.title = cells.cameOut;
    if (cells.took === null && cells.since) {
      took.dataset.since = String(cells.since);
      if (!took.textContent) text(took, "…");
    } else {
      delete took.dataset.since;
      text(took, duration(cells.took));
    }
    text(used, cells.tokens ? count(cells.tokens) : "");
    used.title = cells.usage ?? "";
    text(cost, cells.cost ? money(cells.cost) : "");
    rebadge(state, cells.state);
    fillBar.style.setProperty("--from", String(cells.from ?? 0));
    fillBar.style.setProperty("--span", String(Math.max((cells.to ?? 0) - (cells.from ?? 0), 0)));
    el.dataset.state = state.className.split(" ").at(-1) ?? "";
  }

  return { el, head, show, open, isOpen: () => !body.hidden };
}

/**
 * Makes the row of a call.
 * @param {RowItem} item
 * @param {() => string} run the run's id
 * @param {number} level
 * @param {(step: Step) => Node} [more] what else one may do with it
 * @returns {import('../types').Part<RowItem> & { open(yes: boolean): void }}
 */
export function stepRow(item, run, level, more) {
  let { step } = item;
  let stamp = "";
  const made = row(step.kind, step.kind === "model" ? `Model · ${step.name}` : step.name, level, () => [...(more ? [more(step)] : []), ...detail(step, run())]);
  /** @param {RowItem} next */
  const update = (next) => {
    step = next.step;
    made.show(cells(next));
    const now = `${step.state} ${step.ended}`;
    // An open row shows what came since, but only when something did.
    if (stamp && now !== stamp && made.isOpen()) made.open(true);
    stamp = now;
  };
  update(item);
  return { el: made.el, update, open: made.open };
}

/** @param {RowItem} item @returns {Cells} */
function cells({ step, cameIn, from, to }) {
  return {
    cameIn: step.kind === "model" ? cameIn : line(step.malformed ?? brief(step.input)), cameOut: cameOut(step), took: step.ended === null ? null : step.took,
    since: step.ended === null && step.state !== "asking" ? step.began : null, tokens: tokens(step.usage), usage: usageText(step.usage),
    cost: step.cost ?? 0, state: step.state, from, to,
  };
}

/** Returns the first line of what a call gave. @param {Step} step */
export function cameOut(step) {
  if (step.error) return step.error.message;
  if (step.kind === "tool") return step.output ? line(brief(answer(step.output))) : step.asked && !step.asked.answered ? step.asked.question : "";
  if (step.reply) {
    const said = plain(line(words(step.reply)));
    const calls = step.reply.content.filter((block) => block.type === "tool_use").map((block) => block.name);
    return [said, calls.length ? `calls ${calls.join(", ")}` : ""].filter(Boolean).join(" · ");
  }
  return [...(step.live?.values() ?? [])].map((block) => (block.kind === "tool_use" ? `calls ${block.name ?? ""}` : plain(line(block.text)))).filter(Boolean).join(" · ");
}

/**
 * Returns what came into each step: the question first, then the results that were there.
 * @param {Step[]} steps
 * @param {string} question
 * @returns {string[]}
 */
export function inputs(steps, question) {
  /** @type {string[]} */
  let results = [];
  let first = true;
  return steps.map((step) => {
    if (step.kind === "tool") {
      results.push(step.name);
      return "";
    }
    const came = first ? line(question) : results.length ? `results of ${results.join(", ")}` : "again";
    first = false;
    results = [];
    return came;
  });
}

setInterval(() => {
  for (const node of document.querySelectorAll("[data-since]")) {
    const ms = Date.now() - Number(/** @type {HTMLElement} */ (node).dataset.since);
    if (ms >= 1000) node.textContent = duration(Math.floor(ms / 1000) * 1000).replace(".0", "");
  }
}, 1000);
