// How long models take and how they fail: over time, by route and by model, and errors by kind.

import { query } from "../api.js";
import { chart } from "../parts/chart.js";
import { button, fill, h } from "../parts/dom.js";
import { empty } from "../parts/empty.js";
import { filterBar } from "../parts/filters.js";
import { count, duration, money } from "../parts/format.js";
import { errorWord } from "../parts/record.js";
import { failure } from "../parts/toast.js";
import { ROUND, slots, startOf } from "../store/slots.js";
import { ERRORS, RANGES, costsOf, filterOf } from "../store/usage.js";

/** @typedef {import('../types').CostRow} CostRow */
/** @typedef {import('../types').CostSum} CostSum */

/** What is drawn over time. @type {Record<string, [string, "bars" | "lines", (value: number) => string, string, [string, (sum: CostSum) => number | null][]]>} */
const DRAWN = {
  whole: ["Whole reply", "lines", duration, "time until the end of the reply", [["p50", (sum) => sum.latency_ms?.p50 ?? null], ["p95", (sum) => sum.latency_ms?.p95 ?? null], ["p99", (sum) => sum.latency_ms?.p99 ?? null]]],
  first: ["First token", "lines", duration, "time until the first token", [["p50", (sum) => sum.first_token_ms?.p50 ?? null], ["p95", (sum) => sum.first_token_ms?.p95 ?? null], ["p99", (sum) => sum.first_token_ms?.p99 ?? null]]],
  calls: ["Calls", "bars", (value) => count(value), "calls", [["Answered", (sum) => sum.calls - sum.errors - sum.cancelled], ["Left by the client", (sum) => sum.cancelled], ["Failed", (sum) => sum.errors]]],
};

/**
 * @param {HTMLElement} root
 * @param {import('../types').Address} address
 * @param {import('../types').Shell} shell
 * @returns {import('../types').View}
 */
export function latency(root, address, shell) {
  const state = read(address.query);
  let turn = 0;
  /** @type {import('../types').Costs | null} */
  let over = null;
  const bar = filterBar({ filter: state.filter, from: state.from, changed: (filter, from) => change({ filter, from }) });
  const choice = h("div", { class: "choice", role: "group", "aria-label": "What is drawn" }, ...Object.entries(DRAWN).map(([id, [name]]) =>
    button(name, () => change({ drawn: id }), { data: { drawn: id }, "aria-pressed": "false" })));
  const drawn = chart("Latency over time");
  const routes = h("section");
  const models = h("section");
  const errors = h("section");
  const body = h("div", { class: "usage", hidden: true }, h("div", "tools-line", choice), drawn.el, routes, models, errors);
  const note = h("div", null, h("p", "line dim", "Opening…"));
  root.append(h("div", "pad", h("div", "filter-line", bar.el), note, body));

  /** @param {URLSearchParams} search */
  function read(search) {
    const shown = search.get("show") ?? "";
    return { filter: filterOf(search), from: search.get("from") ?? "7d", to: search.get("to") ?? "", drawn: shown in DRAWN ? shown : "whole" };
  }

  /** @param {Partial<typeof state>} next */
  function change(next) {
    Object.assign(state, next);
    history.replaceState(null, "", query("/models/latency", { from: state.from === "7d" ? "" : state.from, to: state.to, show: state.drawn === "whole" ? "" : state.drawn, ...state.filter }));
    mark();
    if ("filter" in next || "from" in next) void refresh();
    else draw();
  }

  function mark() {
    for (const node of choice.querySelectorAll("button")) node.setAttribute("aria-pressed", String(node.dataset.drawn === state.drawn));
  }

  function unit() {
    return RANGES.find(([value]) => value === state.from)?.[2][0] ?? "day";
  }

  async function refresh() {
    const mine = (turn += 1);
    body.classList.add("busy");
    const asked = { from: state.from, to: state.to, ...state.filter };
    try {
      const [time, route, model, kinds] = await Promise.all([costsOf({ ...asked, by: unit() }), costsOf({ ...asked, by: "route" }), costsOf({ ...asked, by: "target,model" }), costsOf({ ...asked, by: "error,route", error: state.filter.error ?? "any" })]);
      if (mine !== turn) return;
      over = time;
      body.hidden = !time.total.calls;
      if (time.total.calls) note.replaceChildren();
      else if (Object.keys(state.filter).length) fill(note, empty("models", "No call fits", "Take a filter away, or choose a longer time above."));
      else fill(note, empty("models", "No calls in this time", "Percentiles and errors of every route and model stand here once there are calls. Make some with the benchmark of your choice, or:", `curl -s ${location.origin}/v1/chat/completions -H 'content-type: application/json' -d '{"model": "default", "messages": [{"role": "user", "content": "Hello"}]}'`));
      draw();
      fill(routes, h("h2", null, "By route"), table("Route", route.rows, (row) => row.route, "route", null));
      fill(models, h("h2", null, "By model"), table("Model", model.rows, (row) => row.model ?? "–", "target", (row) => (row.target && row.target !== row.model ? row.target : "")));
      fill(errors, h("h2", null, "Errors by kind"), kinds.rows.length ? byKind(kinds) : h("p", "dim", "No call failed in this time."));
    } catch (error) {
      if (mine !== turn) return;
      body.hidden = true;
      fill(note, failure(error, () => void refresh()));
    }
    body.classList.remove("busy");
  }

  function draw() {
    if (!over?.total.calls) return;
    const [, kind, format, words, lines] = DRAWN[state.drawn] ?? /** @type {(typeof DRAWN)[string]} */ (DRAWN.whole);
    const steps = slots(over.from, over.to, unit());
    const rows = new Map(over.rows.map((row) => [startOf(row[unit()]), row]));
    drawn.update({
      slots: steps, every: ROUND[unit()] ?? [1], kind, format, unit: `${words} by ${unit()}`, note: "UTC",
      series: lines.map(([label, of]) => ({ id: label, label, values: steps.map(({ at }) => {
        const row = rows.get(at);
        return row ? of(row) : kind === "bars" ? 0 : null;
      }) })),
    });
  }

  /** @param {string} title @param {CostRow[]} rows @param {(row: CostRow) => string} name @param {string} param @param {((row: CostRow) => string) | null} more */
  function table(title, rows, name, param, more) {
    const three = (/** @type {import('../types').Quantiles | null} */ found) => ["p50", "p95", "p99"].map((which) => h("td", "num", found ? duration(found[/** @type {"p50"} */ (which)]) : "–"));
    const part = (/** @type {CostRow} */ row) => (row.errors ? `${((100 * row.errors) / row.calls).toFixed(row.errors / row.calls < 0.0995 ? 1 : 0)} %` : "–");
    const line = (/** @type {CostRow} */ row) => {
      const value = row[param];
      return h("tr", null, h("td", "strong name", value ? button(`Only ${name(row)}`, () => bar.with(param, value), { class: "as-link" }, name(row)) : name(row), more?.(row) ? h("span", "dim plain", ` ${more(row)}`) : null),
        h("td", "num", count(row.calls)), h("td", row.errors ? "num bad" : "num dim", row.errors ? h("a", { class: "bad", href: failed({ [param]: value }) }, part(row)) : "–"),
        ...three(row.first_token_ms), ...three(row.latency_ms), h("td", "num", money(row.cost_usd)), h("td", "num", row.cost_usd ? money((1000 * row.cost_usd) / row.calls) : "–"));
    };
    return h("div", "scroll", h("table", "sums-table grouped", h("thead", null,
      h("tr", null, h("th", null), h("th", null), h("th", null), h("th", { class: "over", colspan: 3 }, "First token"), h("th", { class: "over", colspan: 3 }, "Whole reply"), h("th", { class: "over", colspan: 2 }, "Cost")),
      h("tr", null, h("th", null, title), ...["Calls", "Errors", "p50", "p95", "p99", "p50", "p95", "p99", "All", "1,000 calls"].map((word) => h("th", "num", word)))),
      h("tbody", null, ...rows.toSorted((a, b) => b.calls - a.calls).map(line))));
  }

  /** Returns the address of the failed calls that are looked at here. @param {Record<string, string | null>} more */
  function failed(more) {
    return query("/models", { from: state.from === "7d" ? "" : state.from, to: state.to, ...state.filter, error: state.filter.error ?? "any", ...more });
  }

  /** @param {import('../types').Costs} kinds */
  function byKind({ rows, total }) {
    const found = Map.groupBy(rows, (row) => String(row.error));
    const lines = [...found].map(([kind, list]) => ({ kind, list, count: list.reduce((sum, row) => sum + row.calls, 0) })).toSorted((a, b) => b.count - a.count);
    return h("div", "scroll", h("table", "sums-table kinds", h("thead", null, h("tr", null, h("th", null, "Kind"), h("th", "num", "Calls"), h("th", null, ""), h("th", null, "Routes"), h("th", null, "What to do"))),
      h("tbody", null, ...lines.map(({ kind, list, count: calls }) => {
        const length = h("i");
        length.style.setProperty("--span", String(calls / Math.max(1, total.calls)));
        return h("tr", null, h("td", "strong name", h("a", { href: failed({ error: kind }) }, errorWord(kind))), h("td", "num", count(calls)), h("td", "share", h("span", "bar", length)),
          h("td", "dim", list.toSorted((a, b) => b.calls - a.calls).map((row) => row.route).join(", ")), h("td", "dim advice", ERRORS[kind] ? `${ERRORS[kind][0]}. ${ERRORS[kind][1]}` : ""));
      }))));
  }

  shell.say("");
  mark();
  void refresh();
  return {
    title: "Latency and errors",
    leave: () => (turn += 1),
    go(next) {
      Object.assign(state, read(next.query));
      bar.show(state.filter, state.from);
      mark();
      void refresh();
      return true;
    },
  };
}
