// The graph of a workflow as SVG: states one can reach with the keyboard, and what goes on in each by shape and word.

import { layout } from "./layout.js";

/** @typedef {import('../types').StateNow} StateNow */
/** @typedef {{ el: HTMLElement, show(states: Record<string, StateNow>): void, choose(id: string): void, mark(found: Map<string, { bad: number, mild: number }>): void }} Graph */

/** Status → the word, and the strokes of its mark on a 16-unit grid. @type {Record<string, [string, string]>} */
const MARKS = {
  running: ["running", "M8 2a6 6 0 1 1-6 6M8 5.5v3l2 1.5"], waiting: ["waiting", "M4 2.5h8M4 13.5h8M5 2.5c0 3 6 8 6 11M11 2.5c0 3-6 8-6 11"],
  retrying: ["tries again", "M13 8a5 5 0 1 1-2-4M11 1.5V4.5H8"], done: ["done", "M3 8.5l3.2 3L13 4.5"],
  caught: ["caught", "M2.5 4.5c0 8 11 8 11 0M8 2v5M6 5.5L8 7.5l2-2"], failed: ["failed", "M4 4l8 8M12 4l-8 8"], aborted: ["aborted", "M4.5 4.5h7v7h-7z"],
};

/** @param {string} status */
export function statusWord(status) {
  return MARKS[status]?.[0] ?? status;
}

/** @param {string} tag @param {Record<string, string | number>} [attributes] @param {...(Node | string)} children */
function s(tag, attributes = {}, ...children) {
  const node = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, String(value));
  node.append(...children);
  return node;
}

/** A line that leaves and arrives upright. @param {[number, number][]} points */
function curve(points) {
  const [first, ...rest] = points;
  if (!first) return "";
  let at = first;
  let path = `M${at[0]} ${at[1]}`;
  for (const [index, to] of rest.entries()) {
    const bend = (to[1] - at[1]) / 2;
    const last = index === rest.length - 1;
    const gap = last ? Math.sign(bend) * 5 || 0 : 0;
    path += at[0] === to[0] || !bend ? `L${to[0]} ${to[1] - gap}` : `C${at[0]} ${at[1] + bend} ${to[0]} ${to[1] - bend} ${to[0]} ${to[1] - gap}`;
    at = to;
  }
  return path;
}

/** @param {string} text @param {number} most */
function cut(text, most) {
  return text.length > most ? `${text.slice(0, Math.max(1, most - 1))}…` : text;
}

/** How wide a letter beside a line is drawn at most on average, in pixels. */
const WIDE = 6.6;

/** How small a graph is drawn where there is little room. */
const SMALLEST = 0.7;

let serial = 0;

/**
 * Draws a definition.
 * @param {any} machine the parsed definition
 * @param {(id: string) => void} chosen called when a state is clicked, or entered with the keyboard
 * @returns {Graph}
 */
export function graph(machine, chosen) {
  const drawing = layout(machine);
  const arrow = `arrow-${(serial += 1)}`;
  /** @type {Map<string, SVGElement>} */
  const nodes = new Map();
  const svg = s("svg", { height: drawing.h, role: "group", "aria-label": "States" },
    s("defs", {}, s("marker", { id: arrow, viewBox: "0 0 8 8", refX: 4, refY: 4, markerWidth: 8, markerHeight: 8, orient: "auto", markerUnits: "userSpaceOnUse" }, s("path", { d: "M1 1l6 3-6 3z", class: "tip" }))));
  /** How far the words beside lines reach at the top level. */
  const reach = { left: 0, right: drawing.w };
  draw(svg, drawing, true);
  svg.setAttribute("viewBox", `${reach.left} 0 ${reach.right - reach.left} ${drawing.h}`);
  svg.setAttribute("width", String(reach.right - reach.left));
  // It shrinks to fit as long as it can be read; what is wider scrolls.
  svg.style.minWidth = `${Math.round((reach.right - reach.left) * SMALLEST)}px`;

  /** @param {SVGElement} into @param {import('./layout.js').Drawing} part @param {boolean} [whole] */
  function draw(into, part, whole = false) {
    for (const line of part.lines) {
      into.append(s("path", { d: curve(line.points), class: `edge ${line.kind}`, "marker-end": `url(#${arrow})` }, s("title", {}, `${line.from} → ${line.to}${line.label ? `: ${line.label}` : ""}`)));
    }
    for (const box of part.boxes) into.append(node(box));
    for (const line of part.lines.filter(({ label }) => label)) {
      const [from, to] = [line.points[0], line.points[1]];
      if (!from || !to) continue;
      const side = to[0] < from[0] ? -1 : 1;
      const words = cut(line.label, 24);
      const x = from[0] + (to[0] - from[0]) * 0.3 + 5 * side;
      if (whole && side < 0) reach.left = Math.min(reach.left, x - words.length * WIDE);
      if (whole && side > 0) reach.right = Math.max(reach.right, x + words.length * WIDE);
      into.append(s("text", { x, "text-anchor": side < 0 ? "end" : "start", y: from[1] + Math.min(24, Math.abs(to[1] - from[1]) * 0.5) * Math.sign(to[1] - from[1] || 1) + 2, class: "label", "aria-hidden": "true" }, words));
    }
  }

  /** @param {import('./layout.js').Box} box */
  function node(box) {
    const el = s("g", { class: `node${box.inner.length ? " holds" : ""}${box.end ? " end" : ""}`, transform: `translate(${box.x} ${box.y})` });
    const face = s("g", { class: "face", tabindex: 0, role: "button", "aria-pressed": "false", "aria-label": `${box.id}, ${box.type}` },
      s("title", {}, box.id), s("rect", { width: box.w, height: box.h, rx: box.type === "Choice" ? 20 : 6, class: "shape" }),
      ...(box.end ? [s("rect", { x: 3, y: 3, width: box.w - 6, height: box.h - 6, rx: 4, class: "inside" })] : []),
      s("path", { d: "", class: "mark", transform: `translate(10 ${box.inner.length ? 12 : 14})` }),
      s("text", { x: 34, y: 19, class: "name" }, cut(box.id, Math.floor((box.w - 42) / 7))), s("text", { x: 34, y: 34, class: "about" }, box.type));
    if (box.start) el.append(s("circle", { cx: box.w / 2, cy: -6, r: 4, class: "begin" }));
    el.append(face);
    const pick = () => chosen(box.id);
    face.addEventListener("click", pick);
    face.addEventListener("keydown", (event) => {
      if (event.key !== "Enter" && event.key !== " ") return;
      event.preventDefault();
      pick();
    });
    face.dataset.state = box.id;
    face.dataset.type = box.type;
    nodes.set(box.id, face);
    let x = (box.w - box.inner.reduce((sum, part) => sum + part.w + 16, -16)) / 2;
    for (const part of box.inner) {
      const place = s("g", { transform: `translate(${x} 40)` }, s("rect", { width: part.w, height: part.h, rx: 4, class: "lane" }));
      draw(place, part);
      el.append(place);
      x += part.w + 16;
    }
    return el;
  }

  const el = document.createElement("div");
  el.className = "graph";
  el.append(svg);
  return {
    el,
    show(states) {
      for (const [id, node] of nodes) {
        const now = states[id];
        const status = now?.status ?? "idle";
        const times = now && now.entered > 1 ? ` · ${now.entered}×` : "";
        const again = now?.retried ? ` · ${now.retried} ${now.retried === 1 ? "retry" : "retries"}` : "";
        const said = now ? `${statusWord(status)}${times}${again}` : node.dataset.type ?? "";
        if (node.dataset.status === status && node.dataset.said === said) continue;
        Object.assign(node.dataset, { status, said });
        node.setAttribute("aria-label", `${id}, ${node.dataset.type}${now ? `, ${said}` : ""}`);
        node.querySelector(".mark")?.setAttribute("d", MARKS[status]?.[1] ?? "");
        const about = node.querySelector(".about");
        if (about) about.textContent = said;
      }
    },
    mark(found) {
      for (const [id, node] of nodes) {
        const { bad, mild } = found.get(id) ?? { bad: 0, mild: 0 };
        const said = [node.dataset.type, bad ? `${bad} ${bad === 1 ? "error" : "errors"}` : "", mild ? `${mild} ${mild === 1 ? "warning" : "warnings"}` : ""].filter(Boolean).join(" · ");
        node.dataset.found = bad ? "error" : mild ? "warning" : "";
        node.setAttribute("aria-label", `${id}, ${said}`);
        const about = node.querySelector(".about");
        if (about && about.textContent !== said) about.textContent = said;
      }
    },
    choose(id) {
      for (const [name, node] of nodes) node.setAttribute("aria-pressed", String(name === id));
    },
  };
}

/** Returns a state of a machine by its name, also one within others. @param {any} machine @param {string} id @returns {any} */
export function stateOf(machine, id) {
  const own = machine?.States?.[id];
  if (own) return own;
  for (const state of Object.values(machine?.States ?? {})) {
    for (const part of [...(Array.isArray(/** @type {any} */ (state)?.Branches) ? /** @type {any} */ (state).Branches : []), /** @type {any} */ (state)?.ItemProcessor, /** @type {any} */ (state)?.Iterator]) {
      const found = part && stateOf(part, id);
      if (found) return found;
    }
  }
  return undefined;
}

/** Reads a definition; null when it is no JSON. @param {string} text */
export function parse(text) {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}
