// The one search box: sessions and runs by title or name, from everywhere with `/`.

import { get, query } from "../api.js";
import { fill, h } from "./dom.js";
import { when } from "./format.js";
import { icon } from "./icons.js";
import { chatAddress } from "./sessions.js";
import { badge } from "./states.js";

/** @param {(address: string) => void} go */
export function searchBox(go) {
  const list = h("div", { id: "found", class: "found", role: "listbox", "aria-label": "Results", hidden: true });
  const input = h("input", {
    type: "search", placeholder: "Search sessions and runs", "aria-label": "Search sessions and runs", role: "combobox",
    "aria-expanded": "false", "aria-controls": "found", "aria-autocomplete": "list", autocomplete: "off", spellcheck: "false",
  });
  const el = h("div", { class: "search", role: "search" }, icon("search"), input, h("kbd", { "aria-hidden": "true" }, "/"), list);
  let at = -1;
  let turn = 0;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let timer;

  const options = () => /** @type {HTMLElement[]} */ ([...list.querySelectorAll("[role=option]")]);
  /** @param {boolean} yes */
  const open = (yes) => {
    list.hidden = !yes;
    input.setAttribute("aria-expanded", String(yes));
    if (!yes) at = -1;
  };
  /** @param {number} next */
  const mark = (next) => {
    const all = options();
    at = all.length ? (next + all.length) % all.length : -1;
    all.forEach((option, index) => option.setAttribute("aria-selected", String(index === at)));
    input.setAttribute("aria-activedescendant", all[at]?.id ?? "");
    all[at]?.scrollIntoView({ block: "nearest" });
  };

  async function look() {
    const text = input.value.trim();
    const mine = (turn += 1);
    if (!text) return open(false);
    try {
      const { runs } = await get(query("/v1/runs", { q: text, limit: 12 }));
      if (mine !== turn) return;
      fill(list, ...(runs.length ? runs.flatMap(found) : [h("p", "dim", `Nothing is called “${text}”.`)]));
    } catch (error) {
      if (mine !== turn) return;
      fill(list, h("p", "dim", /** @type {Error} */ (error).message));
    }
    open(true);
    mark(0);
  }

  /** @param {import('../types').Run} run @param {number} index */
  function found(run, index) {
    const about = h("span", "dim small", `${run.user_id} · `, when(run.touched_at));
    return [
      option(`found-${index}c`, chatAddress(run), "chat", h("span", "title", run.title || run.session_id), about, badge(run.status)),
      option(`found-${index}r`, `/runs/${run.run_id}`, "runs", h("span", "title dim", "Time line"), h("code", "dim small", run.run_id.slice(0, 8))),
    ];
  }

  /** @param {string} id @param {string} address @param {string} kind @param {...Node} content */
  function option(id, address, kind, ...content) {
    return h("a", { id, href: address, role: "option", tabindex: "-1", "aria-selected": "false", on: { click: () => done() } }, icon(kind), ...content);
  }

  function done() {
    turn += 1;
    input.value = "";
    open(false);
    input.blur();
  }

  input.addEventListener("input", () => {
    clearTimeout(timer);
    timer = setTimeout(() => void look(), 150);
  });
  input.addEventListener("keydown", (event) => {
    if (event.key === "ArrowDown" || event.key === "ArrowUp") mark(at + (event.key === "ArrowDown" ? 1 : -1));
    else if (event.key === "Enter") {
      const address = options()[at]?.getAttribute("href");
      if (!address) return;
      done();
      go(address);
    } else if (event.key === "Escape") done();
    else return;
    event.preventDefault();
    event.stopPropagation();
  });
  input.addEventListener("blur", () => setTimeout(() => !el.contains(document.activeElement) && open(false), 150));
  return { el, focus: () => input.focus() };
}
