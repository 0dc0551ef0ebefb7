// Where tokens and money went: the totals of the latest runs by agent, and the runs that cost most.

import { get, path, query } from "../api.js";
import { fill, h } from "../parts/dom.js";
import { empty } from "../parts/empty.js";
import { count, money, tokens, usageText } from "../parts/format.js";
import { failure } from "../parts/toast.js";

/** How many runs are added up. */
const RUNS = 100;

/** How many are read at once. */
const AT_ONCE = 4;

/** @typedef {import('../types').RunView} RunView */

/** @param {HTMLElement} root @returns {import('../types').View} */
export function costs(root) {
  const body = h("div", "pad", h("p", "line dim", "Opening…"));
  root.append(body);
  const stop = new AbortController();

  async function read() {
    try {
      const page = await get(query("/v1/runs", { limit: RUNS }), stop.signal);
      if (!page.runs.length) return fill(body, empty("costs", "Nothing was spent yet", "Tokens and money of every run are added up here."));
      /** @type {RunView[]} */
      const views = [];
      const rest = [...page.runs];
      const work = async () => {
        for (let run = rest.shift(); run; run = rest.shift()) {
          // A run that was deleted meanwhile has no view, and no place here.
          const view = await get(path("v1", "runs", run.run_id), stop.signal).catch(() => null);
          if (view) views.push(view);
        }
      };
      await Promise.all(Array.from({ length: AT_ONCE }, work));
      if (!stop.signal.aborted) show(views, Boolean(page.next_cursor));
    } catch (error) {
      if (!stop.signal.aborted) fill(body, failure(error, () => void read()));
    }
  }

  /** @param {RunView[]} views @param {boolean} more */
  function show(views, more) {
    const agents = Map.groupBy(views, (view) => view.agent);
    const lines = [...agents].map(([name, runs]) => sum(name, runs)).toSorted((a, b) => b.cost - a.cost || b.tokens - a.tokens);
    const all = sum("All", views);
    const byMoney = all.cost > 0;
    const most = Math.max(byMoney ? all.cost : all.tokens, 1e-9);
    const dear = views.toSorted((a, b) => b.cost_usd - a.cost_usd || tokens(b.usage) - tokens(a.usage)).slice(0, 10);
    fill(body,
      h("h2", null, "By agent"),
      h("p", "dim small", more ? `The latest ${views.length} runs.` : `All ${views.length} runs.`, byMoney ? "" : " No model that costs money was used."),
      h("table", null, head(["Agent", "Runs", "Turns", "Tokens in", "Tokens out", "Cost", byMoney ? "Share of the cost" : "Share of the tokens"]),
        h("tbody", null, ...lines.map((line) => entry(line, (byMoney ? line.cost : line.tokens) / most))), h("tfoot", null, entry(all, null))),
      h("h2", null, byMoney ? "Most expensive runs" : "Largest runs"),
      h("table", null, head(["Run", "Agent", "Turns", "Tokens", "Cost"]), h("tbody", null, ...dear.map((view) => h("tr", null,
        h("td", "wide", h("a", { href: `/runs/${view.run_id}` }, view.title || view.session_id)), h("td", null, view.agent), h("td", "num", count(view.turns.length)),
        h("td", { class: "num", title: usageText(view.usage) }, count(tokens(view.usage))), h("td", "num", money(view.cost_usd)))))),
    );
  }

  /** @param {string} name @param {RunView[]} runs */
  function sum(name, runs) {
    const add = (/** @type {(view: RunView) => number} */ of) => runs.reduce((total, view) => total + of(view), 0);
    return { name, runs: runs.length, turns: add((view) => view.turns.length), input: add((view) => tokens({ ...view.usage, output: 0 })), output: add((view) => view.usage.output), tokens: add((view) => tokens(view.usage)), cost: add((view) => view.cost_usd) };
  }

  /** @param {string[]} names */
  function head(names) {
    const words = ["Agent", "Run", "Share of the cost", "Share of the tokens"];
    return h("thead", null, h("tr", null, ...names.map((name) => h("th", words.includes(name) ? null : "num", name))));
  }

  /** @param {ReturnType<typeof sum>} line @param {number | null} share */
  function entry(line, share) {
    const bar = h("i");
    bar.style.setProperty("--from", "0");
    bar.style.setProperty("--span", String(share ?? 0));
    const cells = [line.runs, line.turns, line.input, line.output].map((number) => h("td", "num", count(number)));
    return h("tr", null, h("td", "strong", line.name), ...cells, h("td", "num", money(line.cost)), h("td", "wide", share === null ? null : h("span", "bar", bar)));
  }

  void read();
  return { title: "Costs", leave: () => stop.abort() };
}
