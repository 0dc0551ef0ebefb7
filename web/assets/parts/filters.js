// The bar above calls and costs: a stretch of time, and what the calls have in common, as chips that can be taken away.

import { button, fill, h } from "./dom.js";
import { count } from "./format.js";
import { icon } from "./icons.js";
import { DIMENSIONS, RANGES, nameOf, values } from "../store/usage.js";
import { explain } from "./toast.js";

/** @typedef {import('../store/usage.js').Filter} Filter */

/**
 * @param {{ filter: Filter, from: string, ranges?: boolean, changed: (filter: Filter, from: string) => void }} options
 */
export function filterBar({ filter, from, ranges = true, changed }) {
  let now = { ...filter };
  let since = from;
  const chips = h("div", "chips");
  const times = h("div", { class: "choice", role: "group", "aria-label": "Time", hidden: !ranges }, ...RANGES.map(([value, label]) =>
    button(label, () => set(now, value), { data: { from: value }, "aria-pressed": "false" })));
  const menu = h("div", { class: "menu", popover: "auto", role: "dialog", "aria-label": "Filter" });
  const add = button("Filter", () => open(), { class: "small", "aria-haspopup": "dialog" }, icon("plus"), h("span", null, "Filter"));
  const clear = button("Clear", () => set({}, since), { class: "quiet small" });
  const el = h("div", "filters", times, chips, add, menu, clear);

  /** @param {Filter} next @param {string} when */
  function set(next, when) {
    now = next;
    since = when;
    show();
    changed(now, since);
  }

  function show() {
    for (const node of times.querySelectorAll("button")) node.setAttribute("aria-pressed", String(node.dataset.from === since));
    fill(chips, ...Object.entries(now).map(([param, value]) => h("span", "chip", h("span", "dim", nameOf(param)), " ", h("span", "of", said(param, value)),
      button(`Without ${nameOf(param)} ${value}`, () => {
        const { [param]: _, ...rest } = now;
        set(rest, since);
      }, { class: "quiet" }, icon("close")))));
    clear.hidden = Object.keys(now).length < 2;
  }

  function open() {
    const { left, bottom } = add.getBoundingClientRect();
    menu.style.left = `${Math.max(8, Math.min(left, innerWidth - 296))}px`;
    menu.style.top = `${bottom + 4}px`;
    fill(menu, ...DIMENSIONS.filter(([param]) => !(param in now)).map(([param, by, name]) => button(name, () => void choose(param, by, name), { class: "item" })));
    menu.showPopover();
    menu.querySelector("button")?.focus();
  }

  /** @param {string} param @param {string} by @param {string} name */
  async function choose(param, by, name) {
    const take = (/** @type {string} */ value) => {
      menu.hidePopover();
      if (value) set({ ...now, [param]: value }, since);
    };
    const field = h("input", { type: "text", "aria-label": name, placeholder: param === "tag" ? "name=value" : name, on: { input: () => narrow() } });
    const list = h("div", "items", h("p", "dim small", "Opening…"));
    fill(menu, h("form", { on: { submit: (/** @type {Event} */ event) => {
      event.preventDefault();
      take(field.value.trim());
    } } }, field), list);
    field.focus();
    /** @type {{ value: string, calls: number }[]} */
    let found = [];
    function narrow() {
      const wanted = field.value.trim().toLowerCase();
      const fits = found.filter(({ value }) => said(param, value).toLowerCase().includes(wanted)).slice(0, 50);
      fill(list, param === "error" && "any".includes(wanted) ? button("Any error", () => take("any"), { class: "item" }) : null,
        ...fits.map(({ value, calls }) => button(`${said(param, value)}, ${count(calls)} calls`, () => take(value), { class: "item", title: value }, h("span", "of", said(param, value)), h("span", "dim num", count(calls)))),
        fits.length ? null : h("p", "dim small", found.length ? "Enter takes what you wrote." : "No call of this time has one."));
    }
    try {
      found = await values(by, since || "7d");
      narrow();
    } catch (error) {
      fill(list, h("p", "dim small", explain(error).title));
    }
  }

  menu.addEventListener("keydown", (event) => {
    if (event.key !== "ArrowDown" && event.key !== "ArrowUp") return;
    const all = [...menu.querySelectorAll("input, button")];
    const at = all.indexOf(/** @type {Element} */ (document.activeElement));
    const next = all[Math.max(0, Math.min(all.length - 1, at + (event.key === "ArrowDown" ? 1 : -1)))];
    if (next instanceof HTMLElement) next.focus();
    event.preventDefault();
  });
  show();
  return {
    el,
    /** Adds to the filter, as a click on a value does. @param {string} param @param {string} value */
    with: (param, value) => set({ ...now, [param]: value }, since),
    /** Shows another filter, without telling anybody. @param {Filter} next @param {string} when */
    show(next, when) {
      now = { ...next };
      since = when;
      show();
    },
  };
}

/** @param {string} param @param {string} value */
function said(param, value) {
  if (param === "error") return value === "any" ? "any" : value.replace(/^model_/, "").replaceAll("_", " ");
  return param === "cache" ? value.replaceAll("_", " ") : value;
}
