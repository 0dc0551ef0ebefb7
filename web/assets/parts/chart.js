// A chart over time, as SVG: stacked bars or lines, with a zero, a unit, and a legend whose entries hide what they name.
// What is under the pointer, or reached with the arrow keys, is told in figures.

import { button, fill, frame, h, text } from "./dom.js";

const HEIGHT = 232;
const TOP = 12;
const BOTTOM = 24;
const LEFT = 64;
const RIGHT = 8;

/** How many series have a colour of their own; what comes after them is drawn as the last. */
export const COLOURS = 8;

/** @typedef {{ slots: { step: number, label: string, full: string }[], every: number[], series: import('../types').Series[], kind: "bars" | "lines", format: (value: number) => string, unit: string, note?: string }} Data */

/** @param {string} tag @param {Record<string, string | number>} attributes @param {...(Node | string)} children */
function s(tag, attributes, ...children) {
  const node = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, String(value));
  node.append(...children);
  return node;
}

/** Returns the round steps of an axis from zero to at least `most`. @param {number} most @returns {number[]} */
export function steps(most) {
  if (!(most > 0)) return [0, 1];
  const rough = most / 4;
  const unit = 10 ** Math.floor(Math.log10(rough));
  const step = unit * ([1, 2, 2.5, 5, 10].find((factor) => factor * unit >= rough * 0.999) ?? 10);
  const count = Math.ceil(most / step - 1e-9);
  // A multiple of a step is written with the digits of the step, and not with those of binary fractions.
  return Array.from({ length: count + 1 }, (_, index) => Number((index * step).toPrecision(12)));
}

/**
 * @param {string} label what the chart shows, for those who do not see it
 * @returns {import('../types').Part<Data>}
 */
export function chart(label) {
  const svg = s("svg", { class: "plot", height: HEIGHT, "aria-hidden": "true" });
  const tip = h("div", { class: "tip", hidden: true });
  const plot = h("div", { class: "plot-area", tabindex: "0", role: "group", "aria-roledescription": "chart" }, /** @type {any} */ (svg), tip);
  const unit = h("span", "dim small");
  const legend = h("div", { class: "legend", role: "group", "aria-label": "Series" });
  const voice = h("div", { class: "hear-only", "aria-live": "polite" });
  const el = h("figure", "chart", h("figcaption", null, unit, legend), plot, voice);
  /** @type {Set<string>} */
  const hidden = new Set();
  /** @type {Data | null} */
  let data = null;
  let width = 640;
  /** @type {number | null} */
  let at = null;

  const shown = () => (data ? data.series.filter(({ id }) => !hidden.has(id)) : []);
  /** @param {number} slot */
  const x = (slot) => LEFT + ((slot + 0.5) * (width - LEFT - RIGHT)) / Math.max(1, data?.slots.length ?? 1);

  const draw = frame(() => {
    if (!data) return;
    const { slots, series, kind, format } = data;
    const visible = shown();
    const sum = (/** @type {number} */ slot) => visible.reduce((total, { values }) => total + (values[slot] ?? 0), 0);
    const peak = (/** @type {number} */ slot) => Math.max(0, ...visible.map(({ values }) => values[slot] ?? 0));
    const most = Math.max(0, ...slots.map((_, slot) => (kind === "bars" ? sum(slot) : peak(slot))));
    const ticks = steps(most);
    const top = ticks.at(-1) ?? 1;
    const y = (/** @type {number} */ value) => HEIGHT - BOTTOM - (value / top) * (HEIGHT - TOP - BOTTOM);
    svg.setAttribute("width", String(width));
    svg.setAttribute("viewBox", `0 0 ${width} ${HEIGHT}`);
    /** @type {Node[]} */
    const nodes = [];
    for (const tick of most > 0 ? ticks : [0]) {
      nodes.push(s("line", { class: tick === 0 ? "zero" : "grid-line", x1: LEFT, x2: width - RIGHT, y1: y(tick), y2: y(tick) }));
      nodes.push(s("text", { class: "tick", x: LEFT - 8, y: y(tick) + 4, "text-anchor": "end" }, format(tick)));
    }
    const rough = slots.length / Math.max(1, Math.floor((width - LEFT) / 80));
    const every = data.every.find((steps) => steps >= rough) ?? Math.ceil(rough);
    slots.forEach((slot, index) => {
      if (slot.step % every === 0) nodes.push(s("text", { class: "tick", x: x(index), y: HEIGHT - 6, "text-anchor": "middle" }, slot.label));
    });
    const wide = (width - LEFT - RIGHT) / Math.max(1, slots.length);
    const bar = Math.max(1, Math.min(48, wide * 0.72));
    const colour = (/** @type {import('../types').Series} */ one) => Math.min(series.indexOf(one), COLOURS - 1);
    if (kind === "bars") {
      slots.forEach((_, slot) => {
        let below = 0;
        for (const one of visible) {
          const value = one.values[slot] ?? 0;
          if (value <= 0) continue;
          const from = y(below);
          below += value;
          // What is there is seen, however small it is beside the rest.
          const tall = Math.max(1, from - y(below));
          nodes.push(s("rect", { class: `c${colour(one)}`, x: x(slot) - bar / 2, y: from - tall, width: bar, height: tall }));
        }
      });
    } else {
      for (const one of visible.toReversed()) {
        let path = "";
        let alone = true;
        one.values.forEach((value, slot) => {
          if (value === null) return;
          const before = slot > 0 && one.values[slot - 1] !== null;
          path += `${before ? "L" : "M"}${x(slot).toFixed(1)} ${y(value).toFixed(1)}`;
          alone = !before && (one.values[slot + 1] ?? null) === null;
          if (alone) nodes.push(s("circle", { class: `c${colour(one)}`, cx: x(slot), cy: y(value), r: 2.5 }));
        });
        nodes.push(s("path", { class: `line c${colour(one)}`, d: path }));
      }
    }
    nodes.push(s("line", { class: "guide", y1: TOP, y2: HEIGHT - BOTTOM, visibility: "hidden" }));
    svg.replaceChildren(...nodes);
    point(at);
  });

  /** Shows the figures of a slot, or of none. @param {number | null} slot */
  function point(slot) {
    at = slot !== null && data && slot >= 0 && slot < data.slots.length ? slot : null;
    const guide = svg.querySelector(".guide");
    tip.hidden = at === null;
    guide?.setAttribute("visibility", at === null ? "hidden" : "visible");
    if (at === null || !data) return;
    const now = at;
    const { series, kind, format, slots } = data;
    const rows = shown().map((one) => ({ one, value: one.values[now] ?? null })).filter(({ value }) => value !== null && (kind === "lines" || value !== 0));
    if (kind === "bars") rows.sort((a, b) => (b.value ?? 0) - (a.value ?? 0));
    const total = rows.reduce((all, { value }) => all + (value ?? 0), 0);
    fill(tip, h("p", "strong", slots[now]?.full ?? ""),
      ...rows.slice(0, 10).map(({ one, value }) => h("p", "tip-row", h("i", `swatch c${Math.min(series.indexOf(one), COLOURS - 1)}`), h("span", null, one.label), h("span", "num", format(value ?? 0)))),
      kind === "bars" && rows.length > 1 ? h("p", "tip-row", h("i"), h("span", null, "All"), h("span", "num strong", format(total))) : null,
      rows.length ? null : h("p", "dim", "Nothing"));
    guide?.setAttribute("x1", String(x(now)));
    guide?.setAttribute("x2", String(x(now)));
    const right = x(now) > width / 2;
    tip.style.left = right ? "auto" : `${x(now) + 12}px`;
    tip.style.right = right ? `${width - x(now) + 12}px` : "auto";
  }

  /** @param {number} clientX */
  function slotAt(clientX) {
    if (!data) return null;
    const part = (clientX - svg.getBoundingClientRect().left - LEFT) / (width - LEFT - RIGHT);
    return Math.max(0, Math.min(data.slots.length - 1, Math.floor(part * data.slots.length)));
  }

  plot.addEventListener("pointermove", (event) => point(slotAt(event.clientX)));
  plot.addEventListener("pointerleave", () => point(null));
  plot.addEventListener("blur", () => point(null));
  plot.addEventListener("keydown", (event) => {
    if (!data) return;
    const last = data.slots.length - 1;
    /** @type {Record<string, number>} */
    const to = { ArrowLeft: (at ?? last + 1) - 1, ArrowRight: (at ?? -1) + 1, Home: 0, End: last };
    const next = to[event.key];
    if (event.key === "Escape") point(null);
    else if (next === undefined) return;
    else point(Math.max(0, Math.min(last, next)));
    voice.textContent = at === null ? "" : [...tip.querySelectorAll("p")].map((row) => [...row.childNodes].map((part) => part.textContent).join(" ")).join(", ");
    event.preventDefault();
  });
  new ResizeObserver(([entry]) => {
    const next = Math.round(entry?.contentRect.width ?? 0);
    if (next > 0 && next !== width) {
      width = next;
      draw();
    }
  }).observe(plot);

  function names() {
    if (!data) return;
    const { series } = data;
    fill(legend, ...series.map((one, index) => {
      const node = button(one.label, () => {
        if (hidden.has(one.id)) hidden.delete(one.id);
        else hidden.add(one.id);
        node.setAttribute("aria-pressed", String(!hidden.has(one.id)));
        draw();
      }, { class: "entry", "aria-pressed": String(!hidden.has(one.id)), title: "Show or hide; twice: this one alone" }, h("i", `swatch c${Math.min(index, COLOURS - 1)}`), h("span", null, one.label));
      node.addEventListener("dblclick", () => {
        const alone = series.every(({ id }) => id === one.id || hidden.has(id));
        hidden.clear();
        if (!alone) for (const { id } of series) if (id !== one.id) hidden.add(id);
        names();
        draw();
      });
      return node;
    }));
  }

  return {
    el,
    update(next) {
      const same = data && data.series.length === next.series.length && data.series.every(({ id }, index) => id === next.series[index]?.id);
      data = next;
      text(unit, next.note ? `${next.unit} · ${next.note}` : next.unit);
      plot.setAttribute("aria-label", `${label}, ${next.unit}. The arrow keys read it.`);
      if (!same || !legend.childElementCount) names();
      draw();
    },
  };
}
