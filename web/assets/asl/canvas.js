// The graph while it is changed: choosing, moving among and connecting states with the pointer and with the keyboard.

import { graph } from "../parts/graph.js";
import { add, connect, find, waysOf } from "./machine.js";
import { removeChosen } from "./form.js";

/** @typedef {import('./draft.js').Draft} Draft */

/** How far a pointer moves before it drags, in pixels. */
const DRAG = 5;

/**
 * @param {Draft} draft
 * @param {{ say: (text: string) => void, name: () => void, palette: () => void }} shell what the frame around it does
 */
export function canvas(draft, shell) {
  const el = document.createElement("div");
  el.className = "canvas";
  /** @type {import('../parts/graph.js').Graph | null} */
  let drawn = null;
  let shown = "";
  /** The state from which one is connecting with the keyboard. */
  let from = "";

  const faceOf = (/** @type {string} */ name) => /** @type {SVGElement | null} */ (el.querySelector(`.face[data-state="${CSS.escape(name)}"]`));

  function update() {
    if (!draft.readable) return;
    if (shown !== draft.text) {
      const held = document.activeElement instanceof SVGElement && el.contains(document.activeElement);
      const [left, top] = [drawn?.el.scrollLeft ?? 0, drawn?.el.scrollTop ?? 0];
      shown = draft.text;
      drawn = graph(draft.root, (name) => enter(name));
      el.replaceChildren(drawn.el);
      drawn.el.scrollTo(left, top);
      if (held) /** @type {SVGElement | null} */ (faceOf(draft.chosen) ?? el.querySelector(".face"))?.focus();
      for (const face of el.querySelectorAll(".face")) port(/** @type {SVGElement} */ (face));
    }
    drawn?.choose(draft.chosen);
    marks();
  }

  /** Marks the states in which something was found. */
  function marks() {
    /** @type {Map<string, { bad: number, mild: number }>} */
    const found = new Map();
    for (const { state, diagnostic } of draft.found) {
      if (state === null) continue;
      const now = found.get(state) ?? { bad: 0, mild: 0 };
      now[diagnostic.severity === "error" ? "bad" : "mild"] += 1;
      found.set(state, now);
    }
    drawn?.mark(found);
  }

  /** @param {string} name */
  function enter(name) {
    if (from && from !== name) {
      link(from, name);
      return;
    }
    from = "";
    draft.choose(name);
  }

  /** @param {string} source @param {string} target */
  function link(source, target) {
    from = "";
    el.classList.remove("linking");
    const made = connect(draft.text, source, target);
    if (made === draft.text) {
      const apart = find(draft.root, source)?.scope.join() !== find(draft.root, target)?.scope.join();
      shell.say(apart ? `${target} lies in another branch: only states of one branch are connected` : `${source} leads to ${target} already, or nowhere`);
      return;
    }
    draft.change(made, `Connect ${source} to ${target}`, source);
    shell.say(`${source} leads to ${target}`);
    faceOf(source)?.focus();
  }

  /** Gives a state the place from which one draws a line to another. @param {SVGElement} face */
  function port(face) {
    const name = face.dataset.state ?? "";
    const type = find(draft.root, name)?.state?.Type;
    const shape = face.querySelector(".shape");
    if (!shape || !waysOf(type).length) return;
    const dot = document.createElementNS("http://www.w3.org/2000/svg", "circle");
    const width = Number(shape.getAttribute("width"));
    for (const [key, value] of Object.entries({ cx: width / 2, cy: shape.getAttribute("height") ?? 0, r: 6, class: "port" })) dot.setAttribute(key, String(value));
    const title = document.createElementNS("http://www.w3.org/2000/svg", "title");
    title.textContent = `Drag to the state that comes after ${name}`;
    dot.append(title);
    dot.addEventListener("pointerdown", (event) => {
      event.preventDefault();
      event.stopPropagation();
      stretch(event, name, dot);
    });
    face.append(dot);
  }

  /** Draws a line from a state to the pointer until it is let go. @param {PointerEvent} down @param {string} name @param {SVGCircleElement} dot */
  function stretch(down, name, dot) {
    const svg = dot.ownerSVGElement;
    const matrix = svg?.getScreenCTM()?.inverse();
    if (!svg || !matrix) return;
    const place = (/** @type {PointerEvent} */ event) => new DOMPoint(event.clientX, event.clientY).matrixTransform(matrix);
    const begin = place(down);
    const line = document.createElementNS("http://www.w3.org/2000/svg", "path");
    line.setAttribute("class", "stretch");
    svg.append(line);
    follow((event) => {
      const to = place(event);
      line.setAttribute("d", `M${begin.x} ${begin.y}L${to.x} ${to.y}`);
      return true;
    }, (_, target) => {
      line.remove();
      if (target && target !== name) link(name, target);
    });
  }

  /**
   * Follows the pointer until it is let go, and marks the state below it.
   * @param {(event: PointerEvent) => boolean} move returns whether there is something to let go
   * @param {(event: PointerEvent, target: string | undefined) => void} drop with the state that it was let go over
   */
  function follow(move, drop) {
    /** @type {Element | null} */
    let over = null;
    const moved = (/** @type {PointerEvent} */ event) => {
      if (!move(event)) return;
      const next = faceAt(event);
      if (over !== next) over?.classList.remove("aim");
      next?.classList.add("aim");
      over = next;
    };
    const end = (/** @type {PointerEvent} */ event) => {
      window.removeEventListener("pointermove", moved);
      window.removeEventListener("pointerup", end);
      window.removeEventListener("pointercancel", end);
      over?.classList.remove("aim");
      drop(event, event.type === "pointerup" ? faceAt(event)?.dataset.state : undefined);
    };
    window.addEventListener("pointermove", moved);
    window.addEventListener("pointerup", end);
    window.addEventListener("pointercancel", end);
  }

  /** Returns the state under the pointer. @param {PointerEvent} event */
  function faceAt(event) {
    const face = document.elementFromPoint(event.clientX, event.clientY)?.closest(".face");
    return face instanceof SVGElement && el.contains(face) ? face : null;
  }

  /**
   * Lets a button of the palette be dragged onto the graph; a click adds after the chosen state.
   * @param {HTMLElement} source
   * @param {string} type
   */
  function source(source, type) {
    source.addEventListener("pointerdown", (down) => {
      if (down.button) return;
      /** @type {HTMLElement | null} */
      let ghost = null;
      follow((event) => {
        if (!ghost && Math.hypot(event.clientX - down.clientX, event.clientY - down.clientY) < DRAG) return false;
        if (!ghost) {
          ghost = document.createElement("div");
          ghost.className = "ghost";
          ghost.textContent = type;
          document.body.append(ghost);
        }
        ghost.style.translate = `${event.clientX + 8}px ${event.clientY + 8}px`;
        return true;
      }, (event, target) => {
        if (!ghost) return;
        ghost.remove();
        if (target) place(type, target);
        else if (event.type === "pointerup" && document.elementFromPoint(event.clientX, event.clientY)?.closest(".canvas")) place(type);
      });
    });
  }

  /** Adds a state, after another one. @param {string} type @param {string} [after] */
  function place(type, after) {
    if (!draft.readable) return;
    const made = add(draft.text, type, after ? { after } : {});
    draft.change(made.text, `Add ${type}`, made.name);
    shell.say(`${made.name} is added${after ? ` after ${after}` : ""}`);
    faceOf(made.name)?.scrollIntoView({ block: "nearest", inline: "nearest" });
  }

  /** Moves the focus to the nearest state in a direction. @param {SVGElement} face @param {string} key */
  function walk(face, key) {
    const box = face.getBoundingClientRect();
    const [x, y] = [box.x + box.width / 2, box.y + box.height / 2];
    const upright = key === "ArrowUp" || key === "ArrowDown";
    const sign = key === "ArrowUp" || key === "ArrowLeft" ? -1 : 1;
    let best = null;
    let least = Infinity;
    for (const other of el.querySelectorAll(".face")) {
      if (other === face) continue;
      const at = other.getBoundingClientRect();
      const [dx, dy] = [at.x + at.width / 2 - x, at.y + at.height / 2 - y];
      const ahead = sign * (upright ? dy : dx);
      if (ahead <= 4) continue;
      const far = ahead + 2 * Math.abs(upright ? dx : dy);
      if (far < least) [best, least] = [other, far];
    }
    if (best instanceof SVGElement) {
      best.focus();
      best.scrollIntoView({ block: "nearest", inline: "nearest" });
    }
  }

  el.addEventListener("keydown", (event) => {
    const face = event.target instanceof Element ? event.target.closest(".face") : null;
    if (!(face instanceof SVGElement) || event.ctrlKey || event.metaKey || event.altKey) return;
    const name = face.dataset.state ?? "";
    if (event.key.startsWith("Arrow")) walk(face, event.key);
    else if (event.key === "Delete" || event.key === "Backspace") {
      draft.choose(name);
      removeChosen(draft);
    } else if (event.key === "F2") {
      draft.choose(name);
      shell.name();
    } else if (event.key === "c") {
      from = waysOf(find(draft.root, name)?.state?.Type).length ? name : "";
      el.classList.toggle("linking", Boolean(from));
      shell.say(from ? `Connect ${from}: walk to the state that comes next and press Enter; Escape leaves` : `Nothing comes after ${name}`);
    } else if (event.key === "a") {
      draft.choose(name);
      shell.palette();
    } else if (event.key === "Escape" && from) {
      from = "";
      el.classList.remove("linking");
      shell.say("Not connected");
    } else return;
    event.preventDefault();
  });

  return { el, update, source, place, focus: () => /** @type {SVGElement | null} */ (faceOf(draft.chosen) ?? el.querySelector(".face"))?.focus() };
}
