// The workflows of the project and of the API: a table, newest execution beside each.

import { get, path, send } from "../api.js";
import { repeated } from "../parts/again.js";
import { dialog } from "../parts/dialog.js";
import { button, fill, h, sync, text } from "../parts/dom.js";
import { empty } from "../parts/empty.js";
import { count, when } from "../parts/format.js";
import { icon } from "../parts/icons.js";
import { step } from "../parts/keys.js";
import { badge } from "../parts/states.js";
import { failure } from "../parts/toast.js";

/** @typedef {import('../types').Workflow} Workflow */

/** How often the table is read again while the page is visible, in milliseconds. */
const EVERY = 5_000;

const FIRST = `{
  "StartAt": "Hello",
  "States": {
    "Hello": {"Type": "Pass", "Result": "Hello", "End": true}
  }
}`;

/**
 * @param {HTMLElement} root
 * @param {import('../types').Address} _address
 * @param {import('../types').Shell} shell
 * @param {HTMLElement} head
 * @returns {import('../types').View}
 */
export function workflows(root, _address, shell, head) {
  const body = h("tbody");
  const table = h("table", { class: "runs workflows", hidden: true }, h("thead", null, h("tr", null, ...["Name", "What it does", "States", "Kind", "Running", "Last"].map((name) => h("th", name === "States" || name === "Running" ? "num" : null, name)))), body);
  const note = h("div", null, h("p", "line dim", "Opening…"));
  root.append(h("div", "pad", table, note));
  fill(head, button("New workflow", () => create(shell), {}, icon("plus"), h("span", null, "New workflow")));

  const all = repeated(async () => {
    try {
      const found = await get("/v1/workflows");
      if (all.over) return;
      sync(body, found.workflows, (/** @type {Workflow} */ one) => one.name, line);
      table.hidden = !found.workflows.length;
      if (found.workflows.length) note.replaceChildren();
      else fill(note, empty("workflows", "No workflows in this project", "A workflow is a file in the Amazon States Language. Put this into workflows/hello.asl.json:", FIRST));
    } catch (error) {
      if (!all.over && !body.childElementCount) fill(note, failure(error, () => void all.now()));
    }
  }, EVERY);

  /** @param {Workflow} workflow */
  function line(workflow) {
    const address = path("workflows", workflow.name);
    const about = h("td", "wide");
    const states = h("td", "num");
    const kind = h("td");
    const running = h("td", "num");
    const last = h("td");
    const el = h("tr", null, h("td", null, h("a", { href: address, class: "strong" }, workflow.name)), about, states, kind, running, last);
    el.addEventListener("click", (event) => {
      if (event.target instanceof Element && !event.target.closest("a") && !getSelection()?.toString()) shell.go(address);
    });
    let shown = "";
    const update = (/** @type {Workflow} */ next) => {
      text(about, next.comment ?? "");
      text(states, count(next.states));
      fill(kind, next.kind, next.valid ? null : h("span", { class: "tag bad" }, "has errors"));
      text(running, next.running >= 200 ? "200+" : count(next.running));
      const now = `${next.last?.id} ${next.last?.status}`;
      if (now === shown) return;
      shown = now;
      fill(last, next.last ? h("a", { href: path("workflows", next.name, next.last.id), class: "line" }, badge(next.last.status), when(next.last.started_at)) : h("span", "dim", "never started"));
    };
    update(workflow);
    return { el, update };
  }

  void all.now();
  return {
    title: "Workflows",
    leave: all.stop,
    key: (event) => step(event, body, "td:first-child a"),
  };
}

/** Asks for a name, makes a workflow of one state over the API, and opens its editor. @param {import('../types').Shell} shell */
function create(shell) {
  const wrong = h("p", { class: "wrong", role: "alert", id: "new-fault" });
  const name = h("input", { type: "text", required: true, maxlength: 80, autocomplete: "off", spellcheck: "false", "aria-label": "Name", "aria-describedby": "new-fault", on: { input: () => text(wrong, "") } });
  const make = h("button", { class: "primary", type: "submit" }, "Make it");
  const open = dialog("New workflow", h("form", { class: "start", on: { submit: async (/** @type {Event} */ event) => {
    event.preventDefault();
    make.disabled = true;
    const said = name.value.trim();
    try {
      const known = await get("/v1/workflows");
      if (known.workflows.some((/** @type {Workflow} */ one) => one.name === said)) throw new Error(`There is a workflow called ${said} already`);
      await send("PUT", path("v1", "workflows", said), { body: { definition: FIRST } });
      open.close();
      shell.go(`${path("workflows", said)}?edit=1`);
    } catch (error) {
      text(wrong, error instanceof Error ? error.message : String(error));
      make.disabled = false;
    }
  } } }, h("label", "dim small", "Name: letters, digits, - and _"), name, wrong, h("div", "actions", button("Cancel", () => open.close()), make)));
  name.focus();
}
