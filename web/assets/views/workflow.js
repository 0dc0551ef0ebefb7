// One workflow: its graph, a form to start it, its executions, and its text to change.

import { get, path, postWith, query } from "../api.js";
import { repeated } from "../parts/again.js";
import { button, fill, h, sync, text } from "../parts/dom.js";
import { duration, when } from "../parts/format.js";
import { graph, parse, stateOf } from "../parts/graph.js";
import { jsonFault, section } from "../parts/json.js";
import { step } from "../parts/keys.js";
import { badge, rebadge } from "../parts/states.js";
import { failure, toastError } from "../parts/toast.js";

/** @typedef {import('../types').WorkflowDetail} Detail */
/** @typedef {import('../types').ExecutionSummary} Summary */

/** How often the executions are read again while the page is visible, in milliseconds. */
const EVERY = 3_000;

/**
 * @param {HTMLElement} root
 * @param {import('../types').Address} address
 * @param {import('../types').Shell} shell
 * @param {HTMLElement} head
 * @returns {import('../types').View}
 */
export function workflow(root, address, shell, head) {
  const name = address.parts[1] ?? "";
  shell.title(name);
  let limit = 20;
  let chosen = "";
  const note = h("div", null, h("p", "line dim", "Opening…"));
  const title = h("h2", "run-title", name);
  const about = h("p", "dim");
  const drawn = h("div");
  const picked = h("section", { class: "panel", "aria-label": "State", hidden: true });
  const body = h("tbody");
  const none = h("p", "dim", "None yet.");
  const more = button("Show more", () => {
    limit = Math.min(limit + 50, 200);
    void executions.now();
  }, { hidden: true });
  const form = starter();
  const pen = h("div");
  /** @type {ReturnType<typeof import('../asl/editor.js').editor> | null} */
  let editing = null;
  const edit = button("Edit", () => void turn(!editing), { "aria-pressed": "false", hidden: true });
  const list = h("table", "runs", h("thead", null, h("tr", null, ...["State", "Execution", "Began", "Took"].map((name) => h("th", name === "Took" ? "num" : null, name)))), body);
  const rest = h("div", null,
    h("div", "flow", drawn, h("aside", null, h("section", { class: "panel", "aria-label": "Start" }, h("h3", null, "Start an execution"), form.el), picked)),
    h("h2", null, "Executions"), list, none, more);
  const all = h("div", { class: "workflow", hidden: true }, h("header", null, title, about), pen, rest);
  root.append(h("div", "pad", note, all));
  fill(head, h("a", { class: "button", href: "/workflows" }, "All workflows"), edit);
  /** @type {Detail | null} */
  let detail = null;

  async function open() {
    try {
      detail = await get(path("v1", "workflows", name));
      if (executions.over || !detail) return;
      note.replaceChildren();
      all.hidden = false;
      show(detail);
      if (address.query.has("edit") && detail.editable) await turn(true);
      void executions.now();
    } catch (error) {
      if (!executions.over) fill(note, failure(error, () => void open()));
    }
  }

  /** @param {Detail} detail */
  function show(detail) {
    text(about, [detail.comment, `${detail.kind}, ${detail.query_language}`, detail.file ?? "made over the API"].filter(Boolean).join(" · "));
    edit.hidden = !detail.editable;
    form.cases(detail.mocks);
    draw(detail.definition);
  }

  /** @param {string} definition */
  function draw(definition) {
    const machine = parse(definition);
    if (!machine) return;
    const made = graph(machine, (id) => {
      made.choose(id);
      chosen = id;
      picked.hidden = false;
      fill(picked, h("h3", null, id), section("Definition", stateOf(machine, id) ?? null));
    });
    fill(drawn, made.el);
  }

  /** @param {boolean} on */
  async function turn(on) {
    editing?.leave();
    editing = null;
    pen.replaceChildren();
    if (on && detail) {
      const made = (await import("../asl/editor.js")).editor(detail, {
        saved: (saved) => {
          detail = saved;
          show(saved);
        },
        close: () => void turn(false),
        say: shell.say,
      });
      editing = made;
      pen.append(made.el);
      if (chosen) made.choose(chosen);
      made.focus();
    }
    edit.setAttribute("aria-pressed", String(Boolean(editing)));
    rest.hidden = Boolean(editing);
    history.replaceState(null, "", query(path("workflows", name), { edit: editing ? 1 : null }));
    if (!editing && detail) draw(detail.definition);
  }

  function starter() {
    const field = h("textarea", { spellcheck: "false", "aria-label": "Input as JSON", "aria-describedby": "input-fault", value: "{}", on: { input: () => text(wrong, "") } });
    const wrong = h("p", { class: "wrong", id: "input-fault", role: "alert" });
    const mocks = h("select", { "aria-label": "Prepared answers" });
    const prepared = h("label", { class: "line", hidden: true }, h("span", "dim small", "Answers"), mocks);
    const go = h("button", { class: "primary", type: "submit" }, "Start");
    const el = h("form", { class: "start", on: { submit: (/** @type {Event} */ event) => {
      event.preventDefault();
      void begin();
    } } }, h("label", "dim small", "Input, as JSON"), field, wrong, h("div", "actions", go, prepared));
    async function begin() {
      const said = field.value.trim() || "{}";
      const fault = jsonFault(said);
      text(wrong, fault ?? "");
      field.setAttribute("aria-invalid", String(Boolean(fault)));
      if (fault) {
        field.focus();
        return;
      }
      go.disabled = true;
      try {
        const made = await postWith(path("v1", "workflows", name, "executions"), mocks.value ? { mocks: mocks.value } : {}, "input", said);
        shell.go(path("workflows", name, made.id));
      } catch (error) {
        toastError(error);
      }
      go.disabled = false;
    }
    return {
      el,
      /** @param {string[]} names */
      cases(names) {
        prepared.hidden = !names.length;
        fill(mocks, h("option", { value: "" }, "real ones"), ...names.map((name) => h("option", { value: name }, name)));
      },
    };
  }

  const executions = repeated(async () => {
    try {
      const page = await get(query("/v1/executions", { workflow: name, limit }));
      if (executions.over) return;
      sync(body, page.executions, (/** @type {Summary} */ one) => one.id, line);
      list.hidden = !page.executions.length;
      none.hidden = !list.hidden;
      more.hidden = !page.next_cursor || limit >= 200;
    } catch {
      // What was read stays; the line about the connection says the rest.
    }
  }, EVERY);

  /** @param {Summary} one */
  function line(one) {
    const to = path("workflows", name, one.id);
    const mark = badge(one.status);
    const took = h("td", "num");
    const el = h("tr", null, h("td", null, mark), h("td", "wide", h("a", { href: to }, one.name)), h("td", null, when(one.started_at)), took);
    el.addEventListener("click", (event) => {
      if (event.target instanceof Element && !event.target.closest("a") && !getSelection()?.toString()) shell.go(to);
    });
    const update = (/** @type {Summary} */ next) => {
      rebadge(mark, next.status);
      text(took, next.ended_at ? duration(Date.parse(next.ended_at) - Date.parse(next.started_at)) : "");
    };
    update(one);
    return { el, update };
  }

  void open();
  return {
    title: name,
    leave() {
      editing?.leave();
      executions.stop();
    },
    key: (event) => step(event, body, "a"),
  };
}
