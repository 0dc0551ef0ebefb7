// The raw journal: every event with its position; a position is an address.

import { h, sync } from "./dom.js";
import { brief, line } from "./format.js";
import { section } from "./json.js";

/** @typedef {import('../types').Entry} Entry */

const time = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit", second: "2-digit", fractionalSecondDigits: 3 });

/** @param {(seq: number) => void} go @param {(seq: number) => Node} [more] what one may do from an event */
export function journal(go, more) {
  const el = h("ol", { class: "journal", "aria-label": "Journal", hidden: true });

  /** @param {Entry} entry */
  function event(entry) {
    const { seq, at, type, ...fields } = entry;
    const inside = h("div");
    const node = h("details", null, h("summary", null,
      h("a", { class: "num", href: `?at=${seq}`, title: "Show the run as it was here" }, String(seq)),
      h("span", "num dim", typeof at === "string" ? time.format(Date.parse(at)) : ""), h("code", null, type), h("span", "dim", line(brief(fields), 160))), inside);
    node.addEventListener("toggle", () => {
      if (node.open && !inside.childElementCount) inside.append(h("div", "indent", more ? more(seq) : null), section("Event", entry));
    });
    node.querySelector("a")?.addEventListener("click", (click) => {
      click.preventDefault();
      go(seq);
    });
    return h("li", null, node);
  }

  /** @param {Entry[]} entries @param {number} at */
  function show(entries, at) {
    sync(el, entries, (entry) => entry.seq, (entry) => {
      const el = event(entry);
      return { el, update() {} };
    });
    [...el.children].forEach((node, index) => node.classList.toggle("later", at > 0 && (entries[index]?.seq ?? 0) > at));
  }

  return { el, show };
}
