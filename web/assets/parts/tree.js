// A run in its tree: what started it, and what it started, agents' runs and executions alike. A branch is read when it is
// opened; those that lead to the run itself are open.

import { get, path, query } from "../api.js";
import { approvals } from "../store/approvals.js";
import { button, fill, h, sync, text } from "./dom.js";
import { plural, when } from "./format.js";
import { icon } from "./icons.js";
import { badge, rebadge } from "./states.js";

/** @typedef {import('../types').Child} Child */
/** @typedef {import('../types').MapRun} MapRun */
/** @typedef {{ id: string, kind: string, name: string, title: string, status: string, at: string | null, group: Child[] | null }} Node_ */

/** How many children of a run are read at a time. */
const PAGE = 50;

/** How many the server gives at a time at most. */
const MOST = 200;

/** How far up what started a run is looked for. */
const UP = 8;

/** Between two readings at least, in milliseconds. */
const CALM = 1_000;

/** How often it is read again while what it shows runs, in milliseconds. */
const EVERY = 4_000;

/** A name that was drawn for an execution says nothing whole that it does not say in short. */
const UUID = /^[0-9a-f]{8}(-?[0-9a-f]{4}){3}-?[0-9a-f]{12}$/;

/** @param {string} name */
const isMapRun = (name) => name.includes(":mapRun:");

/** @param {string} id the run that is shown */
export function tree(id) {
  const list = h("ul", { "aria-label": "Tree of runs" });
  const el = h("section", { class: "tree", hidden: true }, h("h2", null, "Tree"), list);
  /** @type {MapRun[]} */
  let mapRuns = [];
  /** What is open. @type {Set<string>} */
  const open = new Set([id]);
  /** @type {Map<string, Child[]>} */
  const children = new Map();
  /** @type {Map<string, string | null>} */
  const cursors = new Map();
  /** From the top down to the run. @type {Node_[]} */
  let line = [];
  let stamp = -1;
  let reading = false;
  let closed = false;
  let over = false;
  let last = 0;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let timer;

  /** @param {{ events: number, over: boolean, mapRuns: MapRun[] }} now */
  function update(now) {
    over = now.over;
    mapRuns = now.mapRuns;
    if (now.events === stamp) return;
    stamp = now.events;
    later(Math.max(0, last + CALM - Date.now()));
  }

  /** @param {number} ms */
  function later(ms) {
    clearTimeout(timer);
    if (!closed) timer = setTimeout(() => void read(), ms);
  }

  async function read() {
    if (reading || closed) return;
    reading = true;
    last = Date.now();
    try {
      const isFirst = !line.length;
      if (isFirst) line = await ancestors();
      await Promise.all([...line.map((node) => node.id), ...open].filter((one, index, all) => !one.startsWith("map:") && all.indexOf(one) === index).map((one) => load(one)));
      // The way to the run may lead through a map run.
      const mine = new Set(line.map((node) => node.id));
      if (isFirst) for (const list of children.values()) for (const child of list) if (mine.has(child.run_id) && isMapRun(child.name)) open.add(`map:${child.name}`);
      draw();
    } catch {
      // The tree is beside the point of the page: the next reading may find it.
    }
    reading = false;
    if (!over) later(EVERY);
  }

  /** @returns {Promise<Node_[]>} */
  async function ancestors() {
    /** @type {Node_[]} */
    const found = [];
    for (let at = /** @type {string | null | undefined} */ (id); at && found.length < UP;) {
      const run = await get(path("v1", "runs", at)).catch((error) => {
        if (at === id) throw error;
        return null;
      });
      if (!run) break;
      found.unshift({ id: run.run_id, kind: run.kind, name: run.agent, title: run.title, status: "", at: run.touched_at, group: null });
      at = run.parent_run_id;
    }
    for (const node of found) open.add(node.id);
    return found;
  }

  /** Reads the children of a run: as many again as there are, or a page more. @param {string} of @param {boolean} [further] */
  async function load(of, further = false) {
    /** @type {Map<string, Child>} */
    const found = new Map();
    // What is shown may grow while this reads.
    const held = () => children.get(of)?.length ?? 0;
    let cursor = further ? (cursors.get(of) ?? null) : null;
    do {
      const limit = further ? PAGE : Math.min(MOST, Math.max(PAGE, held() - found.size));
      const page = await get(query(path("v1", "runs", of, "children"), { limit, cursor }));
      for (const child of page.children) found.set(child.run_id, child);
      cursor = page.next_cursor;
    } while (!further && cursor && found.size < held());
    const before = further ? (children.get(of) ?? []).filter((child) => !found.has(child.run_id)) : [];
    // Oldest first, as they were started.
    children.set(of, [...before, ...found.values()].sort((one, other) => Date.parse(one.created_at) - Date.parse(other.created_at)));
    cursors.set(of, cursor);
  }

  function draw() {
    const top = line[0];
    el.hidden = line.length < 2 && !children.get(id)?.length;
    if (el.hidden || !top) return;
    sync(list, [top], (node) => node.id, branch);
  }

  /** Returns what stands below a run: its children, those of one map run together. @param {string} of @returns {Node_[]} */
  function below(of) {
    /** @type {Map<string, Child[]>} */
    const groups = new Map();
    /** @type {Node_[]} */
    const all = [];
    const on = line[line.findIndex((node) => node.id === of) + 1];
    for (const child of children.get(of) ?? []) {
      if (isMapRun(child.name)) {
        const group = groups.get(child.name);
        if (group) group.push(child);
        else {
          const made = [child];
          groups.set(child.name, made);
          all.push({ id: `map:${child.name}`, kind: "map", name: child.name, title: "", status: "", at: null, group: made });
        }
      } else all.push({ id: child.run_id, kind: child.kind, name: child.name, title: child.title, status: child.status, at: child.touched_at, group: null });
    }
    // The way to the run is there even when it is not on the first page.
    if (on && line.some((node) => node.id === of) && !all.some((node) => node.id === on.id || node.group?.some((child) => child.run_id === on.id))) all.unshift(on);
    return all;
  }

  /** @param {Node_} node @returns {import('../types').Part<Node_>} */
  function branch(node) {
    let now = node;
    const isMap = node.kind === "map";
    const toggle = button("Show what it started", () => {
      if (!open.delete(now.id)) open.add(now.id);
      if (open.has(now.id) && !isMap) void load(now.id).then(draw, () => {});
      draw();
    }, { class: "quiet small", "aria-expanded": "false" }, icon("down"));
    const mark = badge("idle");
    const what = isMap ? h("span", "what") : h("a", { class: "what", href: path("runs", node.id), ...(node.id === id ? { "aria-current": "true" } : {}) });
    const about = h("span", "what dim small");
    const asks = h("a", { class: "tag on", href: "/approvals", hidden: true }, "needs a decision");
    const time = h("span", "dim small");
    const inner = h("ul");
    const more = button("Show more", () => void load(now.id, true).then(draw, () => {}), { class: "quiet small", hidden: true });
    const el = h("li", null, h("div", "node", toggle, icon(isMap ? "runs" : node.kind === "workflow" ? "workflows" : "chat"), what, about, asks, h("span", "grow"), time, mark), inner, more);
    const update = (/** @type {Node_} */ next) => {
      now = next;
      const isOpen = open.has(next.id);
      const known = isMap || children.has(next.id);
      const list = isMap ? (next.group ?? []).map((child) => /** @type {Node_} */ ({ id: child.run_id, kind: child.kind, name: UUID.test(child.title) ? child.title.slice(0, 8) : child.title || child.run_id.slice(0, 8), title: "", status: child.status, at: child.touched_at, group: null })) : below(next.id);
      toggle.setAttribute("aria-expanded", String(isOpen));
      toggle.style.visibility = known && !list.length ? "hidden" : "";
      if (isMap) {
        const run = mapRuns.find(({ arn }) => arn === next.name);
        text(what, `Map run${run ? ` of ${run.state}` : ""}`);
        text(about, run ? [plural(run.total, "item"), `${run.succeeded} succeeded`, run.failed ? `${run.failed} failed` : "", run.running ? `${run.running} running` : "", run.pending ? `${run.pending} to come` : ""].filter(Boolean).join(" · ") : plural(list.length, "item"));
        mark.hidden = !run;
        if (run) rebadge(mark, run.status);
      } else {
        text(what, isMapRun(next.name) ? next.title.slice(0, 8) || next.id.slice(0, 8) : next.name);
        text(about, isMapRun(next.name) ? "" : UUID.test(next.title) ? next.title.slice(0, 8) : next.title);
        mark.hidden = !next.status;
        if (next.status) rebadge(mark, next.status);
        asks.hidden = !approvals.open.some((question) => question.run_id === next.id);
      }
      const stamp = next.at ?? "";
      if (time.dataset.at !== stamp) {
        time.dataset.at = stamp;
        fill(time, next.at ? when(next.at) : null);
      }
      sync(inner, isOpen ? list : [], (one) => one.id, branch);
      more.hidden = isMap || !isOpen || !cursors.get(next.id);
    };
    update(node);
    return { el, update };
  }

  approvals.addEventListener("change", draw);
  return {
    el,
    update,
    close() {
      closed = true;
      clearTimeout(timer);
      approvals.removeEventListener("change", draw);
    },
  };
}
