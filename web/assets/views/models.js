// Everything about models, under four addresses: traffic, latency and errors, routes and health, the playground.

import { fill, h } from "../parts/dom.js";
import { failure } from "../parts/toast.js";

/** @typedef {import('../types').View} View */
/** @typedef {(root: HTMLElement, address: import('../types').Address, shell: import('../types').Shell) => View} Mount */

/** The tabs: the part of the address, the name, whether the filter goes along, and where the code is. @type {[string, string, boolean, () => Promise<Mount>][]} */
const TABS = [
  ["", "Traffic", true, async () => (await import("./traffic.js")).traffic],
  ["latency", "Latency and errors", true, async () => (await import("./latency.js")).latency],
  ["health", "Routes and health", false, async () => (await import("./health.js")).health],
  ["playground", "Playground", false, async () => (await import("./playground.js")).playground],
];

/**
 * @param {HTMLElement} root
 * @param {import('../types').Address} address
 * @param {import('../types').Shell} shell
 * @param {HTMLElement} head
 * @returns {View}
 */
export function models(root, address, shell, head) {
  const links = TABS.map(([id, label]) => h("a", { href: here(id), data: { tab: id } }, label));
  // What is looked at stays when one goes from the calls to their latency and back.
  for (const [index, link] of links.entries()) {
    const [id, , along] = TABS[index] ?? ["", "", false];
    const dress = () => (link.href = along && TABS.find(([name]) => name === tab)?.[2] ? here(id) + kept() : here(id));
    for (const event of ["pointerenter", "focus", "click"]) link.addEventListener(event, dress, { capture: true });
  }
  fill(head, h("nav", { class: "tabs", "aria-label": "About models" }, ...links));
  const place = h("div", "tab");
  root.append(place);
  /** @type {View | null} */
  let view = null;
  let tab = "";
  let turn = 0;

  /** @param {string} id */
  function here(id) {
    return id ? `/models/${id}` : "/models";
  }

  function kept() {
    const search = new URLSearchParams(location.search);
    search.delete("call");
    const text = search.toString();
    return text ? `?${text}` : "";
  }

  /** @param {import('../types').Address} to */
  async function open(to) {
    const mine = (turn += 1);
    const id = TABS.some(([name]) => name === to.parts[1]) ? (to.parts[1] ?? "") : "";
    const [, label, , load] = TABS.find(([name]) => name === id) ?? /** @type {(typeof TABS)[0]} */ (TABS[0]);
    for (const link of links) {
      if (link.dataset.tab === id) {
        link.setAttribute("aria-current", "page");
        link.scrollIntoView({ block: "nearest", inline: "nearest" });
      } else link.removeAttribute("aria-current");
    }
    shell.title(id ? label : "Models");
    if (view && tab === id && view.go?.(to)) return;
    try {
      const mount = await load();
      if (mine !== turn) return;
      view?.leave?.();
      place.replaceChildren();
      place.dataset.tab = id;
      tab = id;
      view = mount(place, to, shell);
    } catch (error) {
      fill(place, h("div", "pad", failure(error, () => void open(to))));
    }
  }

  void open(address);
  return {
    title: "Models",
    leave() {
      turn += 1;
      view?.leave?.();
    },
    go(next) {
      void open(next);
      return true;
    },
    key: (event) => view?.key?.(event) ?? false,
  };
}
