// The shell: the rail, the search box, the router, the keys, and the quiet line about the connection.

import { keyNeeded, line } from "./api.js";
import { button, fill, h } from "./parts/dom.js";
import { icon } from "./parts/icons.js";
import { GO, writing } from "./parts/keys.js";
import { searchBox } from "./parts/search.js";
import { failure } from "./parts/toast.js";
import { approvals } from "./store/approvals.js";
import { forget, project } from "./store/project.js";
import { setTheme, settings, theme } from "./store/settings.js";

/** @typedef {import('./types').View} View */
/** @typedef {(root: HTMLElement, address: import('./types').Address, shell: import('./types').Shell, head: HTMLElement) => View} Mount */

/** The views: name in the address, name on the rail, icon, and where its code is. @type {[string, string, () => Promise<Mount>][]} */
const VIEWS = [
  ["chat", "Chat", async () => (await import("./views/chat.js")).chat],
  ["runs", "Runs", async () => (await import("./views/runs.js")).runs],
  ["approvals", "Approvals", async () => (await import("./views/approvals.js")).approvalsView],
  ["workflows", "Workflows", async () => (await import("./views/workflows.js")).workflows],
  ["models", "Models", async () => (await import("./views/models.js")).models],
  ["costs", "Costs", async () => (await import("./views/costs.js")).costs],
  ["project", "Project", async () => (await import("./views/project.js")).projectView],
];

/** A view that has an address and no place on the rail. @type {Record<string, () => Promise<Mount>>} */
const HIDDEN = {
  run: async () => (await import("./views/run.js")).run,
  workflow: async () => (await import("./views/workflow.js")).workflow,
  execution: async () => (await import("./views/execution.js")).execution,
  compare: async () => (await import("./views/compare.js")).compare,
};

const title = h("h1", null, "Bedplate");
const head = h("div", "head");
const content = h("main", { id: "content", tabindex: "-1" });
const lost = h("p", { class: "lost", role: "status", hidden: true }, "The connection to the server is lost. It is tried again; nothing is missing after it.");
const voice = h("div", { class: "hear-only", "aria-live": "polite", role: "status" });
const count = h("span", { class: "count", hidden: true });
const search = searchBox((address) => go(address));

/** @type {View | null} */
let view = null;
let mounted = "";
let name = "Bedplate";
let shown = "";

/** @type {import('./types').Shell} */
const shell = {
  go,
  info: null,
  title(text) {
    shown = text;
    const open = approvals.open.length;
    document.title = `${open ? `(${open}) ` : ""}${text} · ${name}`;
  },
  say(text) {
    voice.textContent = text;
  },
};

function rail() {
  const links = VIEWS.map(([id, label]) => h("a", { href: `/${id}`, data: { view: id } }, icon(id), h("span", null, label), id === "approvals" ? count : null));
  const shade = button("Theme", () => {
    const order = ["auto", "light", "dark"];
    setTheme(order[(order.indexOf(theme()) + 1) % 3] ?? "auto");
    dress();
  }, { class: "quiet" }, icon("auto"));
  const dress = () => {
    const is = theme();
    shade.replaceChildren(icon(is === "auto" ? "auto" : is === "dark" ? "moon" : "sun"));
    shade.setAttribute("aria-label", `Theme: ${is}`);
    shade.title = `Theme: ${is}`;
  };
  dress();
  return h("nav", { class: "rail", "aria-label": "Main" },
    h("a", { class: "mark", href: "/chat", "aria-label": "Bedplate", title: "Bedplate" }, h("img", { src: "/favicon.svg", alt: "", width: 24, height: 24 })),
    h("div", "views", ...links),
    h("div", "tools", h("a", { class: "quiet button", href: "/docs", "aria-label": "API", title: "API", data: { leave: "" } }, icon("docs")),
      button("Keys", () => void showKeys(), { class: "quiet", title: "Keys (?)" }, icon("keys")), shade));
}

/** @returns {import('./types').Address} */
function address() {
  return {
    path: location.pathname,
    parts: location.pathname.split("/").filter(Boolean).map(decode),
    query: new URLSearchParams(location.search),
  };
}

/** @param {string} part */
function decode(part) {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}

/** @param {string} to @param {boolean} [replace] */
function go(to, replace = false) {
  if (replace) history.replaceState(null, "", to);
  else if (to !== location.pathname + location.search + location.hash) history.pushState(null, "", to);
  void show();
}

const showKeys = async () => (await import("./parts/help.js")).showKeys();

let turn = 0;

async function show() {
  const mine = (turn += 1);
  const now = address();
  const id = now.parts[0] ?? "chat";
  const beside = now.query.has("with") && now.parts[id === "runs" ? 1 : 2] && (id === "runs" || id === "workflows");
  const kind = beside ? "compare" : id === "runs" && now.parts[1] ? "run" : id === "workflows" && now.parts[1] ? (now.parts[2] ? "execution" : "workflow") : id;
  for (const link of document.querySelectorAll(".rail [data-view]")) {
    if (/** @type {HTMLElement} */ (link).dataset.view === id) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  if (view && mounted === kind && view.go?.(now)) return;
  const load = VIEWS.find(([view]) => view === kind)?.[2] ?? HIDDEN[kind] ?? VIEWS[0]?.[2];
  if (!load) return;
  let mount;
  try {
    mount = await load();
  } catch {
    fill(content, failure(new Error("This part of the page could not be loaded"), () => void show()));
    return;
  }
  if (mine !== turn) return;
  view?.leave?.();
  content.replaceChildren();
  head.replaceChildren();
  mounted = kind;
  const label = VIEWS.find(([view]) => view === id)?.[1] ?? "Bedplate";
  title.textContent = label;
  shell.title(label);
  document.body.dataset.view = kind;
  view = mount(content, now, shell, head);
}

/** The key that the server asked for is kept with the tab, and what is shown is read again. */
async function askKey() {
  const { dialog } = await import("./parts/dialog.js");
  if (document.querySelector("dialog[open]")) return;
  const field = h("input", { type: "password", autocomplete: "off", "aria-label": "API key", placeholder: "bp_…", required: true });
  const form = h("form", { class: "key", method: "dialog" }, h("p", null, "This server wants a key. It is kept until this tab is closed, and sent to this server only."), field,
    h("p", "dim small", "Make one with ", h("code", null, "bedplate keys create page")), h("div", "actions", h("button", { class: "primary" }, "Use this key")));
  const open = dialog("API key", form);
  open.addEventListener("close", () => {
    if (!field.value.trim()) return;
    settings.key = field.value.trim();
    forget();
    view?.leave?.();
    view = null;
    void approvals.refresh();
    void greet();
    void show();
  });
  field.focus();
}

async function greet() {
  try {
    const { info } = await project();
    shell.info = info;
    name = info.project || "Bedplate";
    shell.title(shown);
  } catch {
    // The view says what is wrong.
  }
}

let waitsForGo = 0;

/** @param {KeyboardEvent} event */
function key(event) {
  if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey) return;
  if (writing(event.target)) {
    if (event.key === "Escape" && !document.querySelector("dialog[open]")) /** @type {HTMLElement} */ (event.target).blur();
    return;
  }
  if (document.querySelector("dialog[open]")) return;
  const to = Date.now() < waitsForGo ? GO[event.key] : undefined;
  waitsForGo = 0;
  if (to) go(to);
  else if (event.key === "/") search.focus();
  else if (event.key === "?") void showKeys();
  else if (event.key === "g") waitsForGo = Date.now() + 2000;
  else if (!view?.key?.(event)) return;
  event.preventDefault();
}

document.addEventListener("keydown", key);
document.addEventListener("click", (event) => {
  const link = event.target instanceof Element ? event.target.closest("a") : null;
  if (!link || event.defaultPrevented || event.button || event.ctrlKey || event.metaKey || event.shiftKey || link.target || "leave" in link.dataset) return;
  if (link.origin !== location.origin || !link.getAttribute("href")) return;
  event.preventDefault();
  go(link.pathname + link.search + link.hash);
});
window.addEventListener("popstate", () => void show());
line.addEventListener("change", (event) => (lost.hidden = /** @type {CustomEvent} */ (event).detail));
keyNeeded.addEventListener("needed", () => void askKey());
approvals.addEventListener("change", () => {
  const open = approvals.open.length;
  count.hidden = !open;
  count.textContent = String(open);
  count.setAttribute("aria-label", `${open} open`);
  shell.title(shown);
});

document.body.prepend(
  h("a", { class: "skip", href: "#content", on: { click: (/** @type {Event} */ event) => {
    event.preventDefault();
    content.focus();
  } } }, "Skip to the content"),
  rail(), h("div", "page", h("header", "top", title, head, search.el), lost, content), voice,
);
void greet();
void show();
void approvals.refresh();
