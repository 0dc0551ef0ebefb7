// Where tokens and money went: by time, by whatever calls have in common, and how the budgets stand.

import { ApiError, get, query } from "../api.js";
import { COLOURS, chart } from "../parts/chart.js";
import { button, copier, fill, h } from "../parts/dom.js";
import { empty } from "../parts/empty.js";
import { filterBar } from "../parts/filters.js";
import { count, money, plural, when } from "../parts/format.js";
import { icon } from "../parts/icons.js";
import { failure } from "../parts/toast.js";
import { ROUND, series, slots } from "../store/slots.js";
import { DIMENSIONS, RANGES, costsOf, filterOf, tagNames } from "../store/usage.js";

/** @typedef {import('../types').CostRow} CostRow */
/** @typedef {import('../types').CostSum} CostSum */
/** @typedef {import('../types').Budget} Budget */

/** What can be drawn: the word of the address, the name, the figure, and how it is written. @type {Record<string, [string, (sum: CostSum) => number, (value: number) => string]>} */
const MEASURES = {
  cost: ["Cost", (sum) => sum.cost_usd, money],
  tokens: ["Tokens", (sum) => sum.input_tokens + sum.output_tokens + sum.cache_read_tokens + sum.cache_write_tokens, (value) => count(Math.round(value))],
  calls: ["Calls", (sum) => sum.calls, (value) => count(Math.round(value))],
};

const UNITS = { cost: "US dollars", tokens: "tokens", calls: "calls" };

/** By what the money can be told apart on this page. */
const BY = ["model", "route", "provider", "agent", "key", "user", "team"];

/** How many rows of a table are shown before one asks for all. */
const ROWS = 25;

/** How many budgets. */
const BUDGETS = 12;

/**
 * @param {HTMLElement} root
 * @param {import('../types').Address} address
 * @param {import('../types').Shell} _shell
 * @param {HTMLElement} head
 * @returns {import('../types').View}
 */
export function costs(root, address, _shell, head) {
  const state = read(address.query);
  let turn = 0;
  let all = false;
  const bar = filterBar({ filter: state.filter, from: state.from, changed: (filter, from) => change({ filter, from, unit: fit(from, state.unit) }) });
  const by = h("select", { "aria-label": "By", on: { change: () => change({ by: by.value }) } });
  const units = h("div", { class: "choice", role: "group", "aria-label": "Steps" });
  const measures = h("div", { class: "choice", role: "group", "aria-label": "Figure" }, ...Object.entries(MEASURES).map(([id, [name]]) =>
    button(name, () => change({ measure: id }), { data: { measure: id }, "aria-pressed": "false" })));
  fill(head, bar.el);
  const drawn = chart("Costs over time");
  const sums = h("dl", "sums");
  const table = h("div", "scroll");
  const command = h("div");
  const budgets = h("section", "budgets");
  const note = h("div");
  const body = h("div", { class: "usage", hidden: true }, sums,
    h("div", "tools-line", measures, h("label", "pick", h("span", "dim", "by"), by), units),
    drawn.el, table, command);
  root.append(h("div", "pad", h("p", "line dim opening", "Opening…"), note, body, budgets));

  /** @param {URLSearchParams} search */
  function read(search) {
    const from = search.get("from") ?? "30d";
    const measure = search.get("show") ?? "";
    return { filter: filterOf(search), from, to: search.get("to") ?? "", by: search.get("by") ?? "model", unit: fit(from, search.get("step") ?? ""), measure: measure in MEASURES ? measure : "" };
  }

  /** Returns the steps that a stretch of time is drawn in. @param {string} from @param {string} wanted */
  function fit(from, wanted) {
    const offered = RANGES.find(([value]) => value === from)?.[2] ?? ["day", "hour"];
    return offered.includes(wanted) ? wanted : (offered[0] ?? "day");
  }

  /** @param {Partial<typeof state>} next */
  function change(next) {
    const again = Object.keys(next).some((name) => name !== "measure");
    Object.assign(state, next);
    all = false;
    history.replaceState(null, "", here());
    mark();
    if (again) void refresh();
    else if (last) show(last.total, last.rows, last.over);
  }

  function here() {
    const plain = RANGES.find(([value]) => value === state.from)?.[2][0] === state.unit;
    return query("/costs", {
      from: state.from === "30d" ? "" : state.from, to: state.to, by: state.by === "model" ? "" : state.by, step: plain ? "" : state.unit,
      show: state.measure, ...state.filter,
    });
  }

  function mark() {
    const offered = RANGES.find(([value]) => value === state.from)?.[2] ?? ["day", "hour"];
    fill(units, ...offered.map((unit) => button(`By ${unit}`, () => change({ unit }), { "aria-pressed": String(unit === state.unit) })));
    units.hidden = offered.length < 2;
    for (const node of measures.querySelectorAll("button")) node.setAttribute("aria-pressed", String(node.dataset.measure === measured()));
    if (![...by.options].some(({ value }) => value === state.by)) by.append(h("option", { value: state.by }, named(state.by)));
    by.value = state.by;
  }

  /** @type {{ total: CostSum, rows: CostRow[], over: import('../types').Costs } | null} */
  let last = null;

  /** Returns what is drawn: money where there is some, else calls. */
  function measured() {
    return state.measure || (last && last.total.cost_usd === 0 ? "calls" : "cost");
  }

  async function refresh() {
    const mine = (turn += 1);
    body.classList.add("busy");
    try {
      const asked = { from: state.from, to: state.to, ...state.filter };
      const [over, sum] = await Promise.all([overTime(asked), costsOf({ ...asked, by: state.by })]);
      if (mine !== turn) return;
      last = { total: sum.total, rows: sum.rows, over };
      show(sum.total, sum.rows, over);
    } catch (error) {
      if (mine !== turn) return;
      body.hidden = true;
      fill(note, failure(error, () => void refresh()));
    }
    root.querySelector(".opening")?.remove();
    body.classList.remove("busy");
  }

  /** Returns the rows by time; where there are too many to be told apart, they are not. @param {Record<string, string>} asked */
  async function overTime(asked) {
    try {
      return await costsOf({ ...asked, by: `${state.unit},${state.by}` });
    } catch (error) {
      if (!(error instanceof ApiError) || error.code !== "too_many_rows") throw error;
      return costsOf({ ...asked, by: state.unit });
    }
  }

  /** @param {CostSum} total @param {CostRow[]} rows @param {import('../types').Costs} over */
  function show(total, rows, over) {
    mark();
    const filtered = Object.keys(state.filter).length > 0;
    body.hidden = !total.calls;
    if (!total.calls) {
      fill(note, filtered ? empty("costs", "No call fits", "Take a filter away, or choose a longer time above.")
        : empty("costs", "Nothing was spent in this time", "Every model call is counted here, with its tokens and what it cost. Make one:", `curl -s ${location.origin}/v1/chat/completions -H 'content-type: application/json' -H 'x-bedplate-tags: project=demo' -d '{"model": "default", "messages": [{"role": "user", "content": "Hello"}]}'`));
      return;
    }
    note.replaceChildren();
    const name = measured();
    const [, of, format] = MEASURES[name] ?? /** @type {any} */ (MEASURES.cost);
    figures(total);
    const steps = slots(over.from, over.to, state.unit);
    const apart = over.by.length > 1;
    drawn.update({ slots: steps, every: ROUND[state.unit] ?? [1], series: series(over.rows, steps, state.unit, apart ? state.by : "", of, COLOURS), kind: "bars", format, unit: `${UNITS[/** @type {keyof typeof UNITS} */ (name)]} by ${state.unit}`,
      note: apart ? "UTC" : `UTC · too many to be told apart by ${named(state.by).toLowerCase()}; take longer steps or a shorter time` });
    entries(total, rows, of);
    said(total, over.prices_as_of);
  }

  /** @param {CostSum} total */
  function figures(total) {
    const input = total.input_tokens + total.cache_read_tokens + total.cache_write_tokens;
    /** @type {[string, string, string?][]} */
    const facts = [
      ["Cost", money(total.cost_usd)], ["Calls", count(total.calls)], ["A call", total.cost_usd ? money(total.cost_usd / total.calls) : "–"],
      ["Tokens in", count(input), total.cache_read_tokens ? `${Math.round((100 * total.cache_read_tokens) / Math.max(1, input))} % from the provider's cache` : ""],
      ["Tokens out", count(total.output_tokens)],
      ["Saved by the cache", total.saved_usd ? money(total.saved_usd) : "–", total.cache_hits ? plural(total.cache_hits, "hit") : ""],
    ];
    fill(sums, ...facts.map(([name, value, more]) => h("div", null, h("dt", null, name), h("dd", "num", value), more ? h("dd", "dim small more", more) : null)));
  }

  /** @param {CostSum} total @param {CostRow[]} rows @param {(sum: CostSum) => number} of */
  function entries(total, rows, of) {
    const sorted = rows.toSorted((a, b) => of(b) - of(a) || b.calls - a.calls);
    const most = Math.max(...sorted.map(of), 1e-12);
    const names = [named(state.by), "Cost", "", "Calls", "Errors", "Tokens in", "Tokens out", "A call"];
    const cut = all ? sorted : sorted.slice(0, ROWS);
    const param = state.by.startsWith("tag:") ? "tag" : (DIMENSIONS.find(([, word]) => word === state.by)?.[0] ?? "");
    /** @param {CostSum} row @param {Node | string} name @param {number | null} share */
    const line = (row, name, share) => {
      const length = h("i");
      length.style.setProperty("--span", String(share ?? 0));
      return h("tr", null, h("td", "strong name", name), h("td", "num", money(row.cost_usd), row.unpriced_calls ? h("span", { class: "dim", title: `${plural(row.unpriced_calls, "call")} without a price` }, " *") : null),
        h("td", "share", share ? h("span", "bar", length) : null), h("td", "num", count(row.calls)), h("td", row.errors ? "num bad" : "num dim", row.errors ? count(row.errors) : "–"),
        h("td", "num", count(row.input_tokens + row.cache_read_tokens + row.cache_write_tokens)), h("td", "num", count(row.output_tokens)), h("td", "num", row.cost_usd ? money(row.cost_usd / row.calls) : "–"));
    };
    const link = (/** @type {CostRow} */ row) => {
      const value = row[state.by];
      if (value === null || !param) return h("span", "dim", `No ${named(state.by).toLowerCase()}`);
      const set = param === "tag" ? `${state.by.slice(4)}=${value}` : value;
      return button(`Only ${value}`, () => bar.with(param, set), { class: "as-link" }, value);
    };
    fill(table, h("table", "sums-table", h("thead", null, h("tr", null, ...names.map((name, index) => h("th", index === 0 || index === 2 ? null : "num", name)))),
      h("tbody", null, ...cut.map((row) => line(row, link(row), of(row) / most))), h("tfoot", null, line(total, "All", null))),
      cut.length < sorted.length ? button(`Show all ${sorted.length}`, () => {
        all = true;
        entries(total, rows, of);
      }, { class: "small" }) : null);
  }

  /** @param {CostSum} total @param {string} prices */
  function said(total, prices) {
    const flags = { user_id: "user", agent: "agent", tag: "tag" };
    const given = Object.entries(flags).map(([param, flag]) => (state.filter[param] ? ` --${flag} ${state.filter[param]}` : "")).join("");
    const same = Object.keys(state.filter).every((param) => param in flags);
    const words = `bedplate costs --by ${state.by} --from ${state.from}${state.to ? ` --to ${state.to}` : ""}${given}`;
    fill(command,
      total.unpriced_calls ? h("p", "line card-line", icon("info"), `* ${plural(total.unpriced_calls, "call")} went to models without a price; [prices] in bedplate.toml sets one.`) : null,
      h("p", "dim small same", `Prices of ${prices}, in US dollars.`, ...(same ? [" The same figures: ", h("code", null, words), copier("Copy", () => words)] : [])));
  }

  async function readBudgets() {
    try {
      const found = await get("/v1/budgets");
      fill(budgets, h("h2", null, "Budgets"), ...(found.budgets.length ? cards(found.budgets) : [teach()]));
    } catch (error) {
      fill(budgets, h("h2", null, "Budgets"), failure(error, () => void readBudgets()));
    }
  }

  function teach() {
    const toml = '[budgets.team]\nlimit_usd = 100.0\nperiod = "month"\nalerts = [80, 100]\naction = "block"';
    return h("div", "teach", h("p", "dim", "A budget bounds what is spent in a month, a day or a run, and gives an alert before it is used up. In bedplate.toml:"),
      h("div", "command", h("code", null, toml), copier("Copy", () => toml)));
  }

  /** The fullest first; a budget for each user may have thousands. @param {Budget[]} list */
  function cards(list) {
    const sorted = list.toSorted((a, b) => b.used - a.used);
    const place = h("ul", "budget-list", ...sorted.slice(0, BUDGETS).map(budget));
    const rest = sorted.length - BUDGETS;
    const more = rest > 0 ? button(`Show ${count(rest)} more`, () => {
      place.append(...sorted.slice(BUDGETS).map(budget));
      more?.remove();
    }, { class: "small" }) : null;
    return more ? [place, more] : [place];
  }

  readTags().catch(() => {});
  async function readTags() {
    by.replaceChildren(...BY.map((word) => h("option", { value: word }, named(word))));
    mark();
    const names = await tagNames();
    by.append(...names.filter((name) => ![...by.options].some(({ value }) => value === `tag:${name}`)).map((name) => h("option", { value: `tag:${name}` }, named(`tag:${name}`))));
  }
  void refresh();
  void readBudgets();
  return {
    title: "Costs",
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

/** @param {string} by */
function named(by) {
  return by.startsWith("tag:") ? `Tag ${by.slice(4)}` : (DIMENSIONS.find(([, word]) => word === by)?.[2] ?? by);
}

/** What happens when a budget is used up. @type {Record<string, string>} */
const ACTIONS = { block: "then calls are refused", degrade: "then a smaller model answers", allow: "then calls go on" };

/** @param {Budget} one */
function budget(one) {
  const percent = Math.floor(one.used * 100);
  const state = one.used >= 1 ? "over" : one.alerted.length ? "near" : "fine";
  const words = one.used >= 1 ? { block: "Used up: calls are refused", degrade: "Used up: a smaller model answers", allow: "Used up: calls go on" }[one.action] ?? "Used up"
    : one.alerted.length ? `Alert at ${Math.round(Math.max(...one.alerted) * 100)} %` : "Within";
  const fillBar = h("i");
  fillBar.style.setProperty("--span", String(Math.min(1, one.used)));
  const period = { run: "a run", day: "today", month: "this month" }[one.period] ?? one.period;
  return h("li", { class: "budget", data: { state } },
    h("div", "budget-head", h("span", "strong", one.name), one.who ? h("span", "dim of", one.who) : h("span", "dim", one.for === "tenant" ? "for all" : `each ${one.for.replace("tag:", "tag ")}`),
      h("span", `badge ${state === "over" ? "bad" : state === "near" ? "asks" : "quiet"}`, h("i", { "aria-hidden": "true" }), words)),
    h("div", { class: "meter", role: "meter", "aria-valuemin": "0", "aria-valuemax": "100", "aria-valuenow": String(Math.min(100, percent)), "aria-label": `${one.name}: used` }, fillBar, h("b", "mark80")),
    h("div", "budget-foot", h("span", "num", h("b", null, money(one.spent_usd)), ` of ${money(one.limit_usd)} ${period}`), one.reserved_usd ? h("span", { class: "dim num", title: "Calls under way may come to this" }, `${money(one.reserved_usd)} reserved`) : null,
      h("span", "num percent", `${percent} %`), state === "over" ? null : h("span", "dim", ACTIONS[one.action] ?? ""), one.resets_at ? h("span", "dim", "begins anew ", when(one.resets_at)) : null));
}
