// One prompt, sent to several routes side by side: what each says as it comes, with its tokens, cost, times and end.

import { freshId, get } from "../api.js";
import { button, copier, fill, frame, h, sync, text } from "../parts/dom.js";
import { empty } from "../parts/empty.js";
import { count, duration, money } from "../parts/format.js";
import { icon } from "../parts/icons.js";
import { pretty, section } from "../parts/json.js";
import { why } from "../parts/record.js";
import { failure } from "../parts/toast.js";
import { Attempt } from "../store/attempt.js";
import { CODE } from "../store/code.js";
import { NOTHING, addressOf, promptOf } from "../store/prompt.js";
import { badge, rebadge } from "../parts/states.js";

/** @typedef {import('../store/prompt.js').Prompt} Prompt */

/** How many routes are asked at once. */
const MOST = 6;

/** How many are chosen for whoever chose none. */
const FEW = 2;

/** What was written, for whoever comes back to it without its address. @type {Prompt} */
let kept = NOTHING;

/** The states of an attempt as those of a run. @type {Record<Attempt["state"], string>} */
const STATE = { waiting: "queued", streaming: "running", done: "completed", failed: "failed", stopped: "cancelled" };

/** @param {HTMLElement} root @param {import('../types').Address} _address @param {import('../types').Shell} shell @returns {import('../types').View} */
export function playground(root, _address, shell) {
  /** @type {Prompt} */
  let prompt = promptOf(location.hash) ?? kept;
  /** @type {Attempt[]} */
  let attempts = [];
  /** @type {{ id: string, owned_by: string, model: string, foundation_model: boolean }[]} */
  let routes = [];
  let announced = true;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let timer;

  const area = (/** @type {keyof Prompt} */ name, /** @type {string} */ label, /** @type {number} */ rows, /** @type {string} */ hint) =>
    h("textarea", { name, rows, placeholder: hint, "aria-label": label, spellcheck: "false", on: { input: changed } });
  const number = (/** @type {keyof Prompt} */ name, /** @type {string} */ label, /** @type {Record<string, any>} */ more) =>
    h("input", { type: "number", name, "aria-label": label, placeholder: "default", on: { input: changed }, ...more });
  const fields = {
    system: area("system", "System", 3, "You are …"),
    user: area("user", "Prompt", 3, "What shall they answer?"),
    temperature: number("temperature", "Temperature", { min: 0, max: 2, step: 0.1 }),
    max_tokens: number("max_tokens", "Most tokens", { min: 1, step: 1 }),
    tools: area("tools", "Tools as JSON", 6, '[{"type": "function", "function": {"name": "weather", "description": "…", "parameters": {"type": "object", "properties": {"city": {"type": "string"}}}}}]'),
    schema: area("schema", "Schema of the answer as JSON", 6, '{"type": "object", "required": ["answer"], "properties": {"answer": {"type": "string"}}}'),
  };
  const picks = h("div", { class: "picks", role: "group", "aria-label": "Routes" });
  const wrong = h("p", { class: "bad small", role: "alert", hidden: true });
  const go = button("Run", () => start(), { class: "primary", title: "Run (Ctrl Enter)" }, icon("right"), h("span", null, "Run"));
  const stop = button("Stop", () => halt(), { hidden: true }, icon("stop"), h("span", null, "Stop"));
  const more = h("details", "extras", h("summary", null, "Tools and schema"), h("div", "two", labelled("Tools", fields.tools), labelled("Schema of the answer", fields.schema)));
  const form = h("form", { class: "prompt", on: { submit: (/** @type {Event} */ event) => {
    event.preventDefault();
    start();
  } } },
  h("div", "two", labelled("System", fields.system), labelled("Prompt", fields.user)), more,
  h("div", "run-line", picks, h("label", "pick", h("span", "dim", "Temperature"), fields.temperature), h("label", "pick", h("span", "dim", "Most tokens"), fields.max_tokens),
    h("div", "actions", copier("Copy address", () => location.origin + addressOf(prompt)), stop, go)), wrong);
  const columns = h("div", "columns");
  const note = h("div");
  root.append(h("div", "pad playground", form, note, columns));
  const redraw = frame(draw);

  /** @param {string} name @param {HTMLElement} field */
  function labelled(name, field) {
    return h("label", "field", h("span", "dim small", name), field);
  }

  function put() {
    for (const [name, field] of Object.entries(fields)) field.value = String(prompt[/** @type {keyof Prompt} */ (name)]);
    more.open = Boolean(prompt.tools || prompt.schema);
    pick();
  }

  function changed() {
    const now = Object.fromEntries(Object.entries(fields).map(([name, field]) => [name, field.value]));
    prompt = { ...prompt, ...now };
    save();
  }

  function save() {
    kept = prompt;
    clearTimeout(timer);
    timer = setTimeout(() => location.pathname === "/models/playground" && history.replaceState(null, "", addressOf(prompt)), 300);
  }

  function pick() {
    fill(picks, ...routes.map(({ id, model, foundation_model: real }) => {
      const on = prompt.routes.includes(id);
      return button(id, () => {
        prompt = { ...prompt, routes: on ? prompt.routes.filter((name) => name !== id) : [...prompt.routes, id].slice(-MOST) };
        save();
        pick();
        /** @type {HTMLElement | null} */ (picks.querySelector(`[data-route="${CSS.escape(id)}"]`))?.focus();
      }, { "aria-pressed": String(on), class: "small", title: real ? model : `${model}: no foundation model`, data: { route: id } }, id);
    }));
    go.disabled = !prompt.routes.length;
  }

  /** Returns the request without its model; throws where a field is no JSON. */
  function request() {
    const json = (/** @type {"tools" | "schema"} */ name, /** @type {string} */ label) => {
      if (!prompt[name].trim()) return undefined;
      try {
        return JSON.parse(prompt[name]);
      } catch (error) {
        more.open = true;
        fields[name].focus();
        throw new Error(`${label}: ${/** @type {Error} */ (error).message}`);
      }
    };
    const schema = json("schema", "The schema is no JSON");
    const tools = json("tools", "The tools are no JSON");
    const figure = (/** @type {string} */ value) => (value === "" ? undefined : Number(value));
    return {
      messages: [...(prompt.system.trim() ? [{ role: "system", content: prompt.system }] : []), { role: "user", content: prompt.user }],
      temperature: figure(prompt.temperature), max_tokens: figure(prompt.max_tokens), tools,
      response_format: schema && { type: "json_schema", json_schema: { name: "answer", schema } },
    };
  }

  function start() {
    if (!prompt.routes.length) return;
    wrong.hidden = true;
    if (!prompt.user.trim()) {
      fields.user.focus();
      return;
    }
    let body;
    try {
      body = request();
    } catch (error) {
      wrong.hidden = false;
      wrong.textContent = /** @type {Error} */ (error).message;
      return;
    }
    halt();
    const id = freshId();
    announced = false;
    attempts = prompt.routes.map((route, index) => new Attempt(route, { model: route, stream: true, stream_options: { include_usage: true }, ...body }, `playground-${id}-${index + 1}`, redraw));
    for (const attempt of attempts) void attempt.run();
    draw();
  }

  function halt() {
    for (const attempt of attempts) attempt.cancel();
  }

  function draw() {
    const busy = attempts.some(({ over }) => !over);
    stop.hidden = !busy;
    const best = busy ? {} : winners(attempts);
    sync(columns, attempts.map((attempt) => ({ attempt, best })), ({ attempt }) => attempt.session, column);
    note.hidden = attempts.length > 0;
    if (!busy && attempts.length && !announced) {
      announced = true;
      shell.say(`${attempts.filter(({ state }) => state === "done").length} of ${attempts.length} answered`);
    }
  }

  /** @param {KeyboardEvent} event */
  const onKey = (event) => {
    if (event.key !== "Enter" || !(event.ctrlKey || event.metaKey)) return;
    event.preventDefault();
    start();
  };
  root.addEventListener("keydown", onKey);

  async function read() {
    try {
      const { data } = await get("/v1/models");
      const all = data.filter((/** @type {any} */ { id }) => !id.startsWith("agent/"));
      routes = [...all.filter((/** @type {any} */ { id }) => id === "default"), ...all.filter((/** @type {any} */ { id }) => id !== "default")];
      const known = prompt.routes.filter((name) => routes.some(({ id }) => id === name));
      prompt = { ...prompt, routes: known.length ? known : routes.slice(0, FEW).map(({ id }) => id) };
      pick();
      const lone = routes.length < 2;
      fill(note, empty("models", "Nothing was asked yet", lone ? "There is one route only. Another one in bedplate.toml gives something to compare:" : "Choose routes, write a prompt, and press Run or Ctrl Enter. The answers stream side by side.",
        lone ? '[models.other]\nprovider = "openai_compatible"\nmodel = "…"\nbase_url = "http://127.0.0.1:8000/v1"\n\n[routes.other]\nmodel = "other"' : undefined));
    } catch (error) {
      fill(note, failure(error, () => void read()));
    }
  }

  put();
  void read();
  return {
    title: "Playground",
    leave() {
      clearTimeout(timer);
      root.removeEventListener("keydown", onKey);
      halt();
    },
    go() {
      const next = promptOf(location.hash);
      if (next && addressOf(next) !== addressOf(prompt)) {
        prompt = next;
        kept = next;
        put();
      }
      return true;
    },
  };
}

/** Returns which attempts were the fastest and the cheapest, where there is somebody to compare with. @param {Attempt[]} attempts @returns {{ fast?: Attempt, cheap?: Attempt }} */
function winners(attempts) {
  const done = attempts.filter(({ state }) => state === "done");
  if (done.length < 2) return {};
  const least = (/** @type {(attempt: Attempt) => number} */ of) => done.reduce((best, one) => (of(one) < of(best) ? one : best));
  const priced = done.every(({ record }) => record && record.cost_usd !== null) && new Set(done.map(({ record }) => record?.cost_usd)).size > 1;
  return { fast: least(({ whole }) => whole ?? Infinity), ...(priced ? { cheap: least(({ record }) => record?.cost_usd ?? Infinity) } : {}) };
}

/** @param {{ attempt: Attempt, best: { fast?: Attempt, cheap?: Attempt } }} item */
function column({ attempt }) {
  const state = badge(STATE[attempt.state]);
  const model = h("span", "dim small of");
  const figures = h("dl", "figures");
  const prizes = h("span", "prizes");
  const reasoning = h("details", { class: "thought", hidden: true }, h("summary", "dim small", "Reasoning"), h("p", "dim"));
  const said = h("div", { class: "said-text", tabindex: "0", role: "region", "aria-label": `Answer of ${attempt.route}` });
  const uses = h("div", "uses");
  const error = h("div");
  const raw = h("div", "raw");
  const link = h("span");
  let shown = "";
  let stamp = "";

  const views = h("div", { class: "choice", role: "group", "aria-label": "What is shown" }, ...[["", "Answer"], ["request", "Request"], ["response", "Response"]].map(([id = "", name = ""]) =>
    button(name, () => {
      shown = id;
      update({ attempt, best: {} });
    }, { class: "small", data: { shown: id }, "aria-pressed": String(!id) })));
  const form = h("select", { "aria-label": "Copy as", on: { change: async () => {
    const [, make] = CODE[form.value] ?? [];
    if (make) await navigator.clipboard.writeText(make(attempt.request)).then(() => told("Copied"), () => told("Not allowed"));
    form.value = "";
  } } }, h("option", { value: "" }, "Copy as…"), ...Object.entries(CODE).map(([id, [name]]) => h("option", { value: id }, name)));
  const first = /** @type {HTMLOptionElement} */ (form.options[0]);
  /** @param {string} word */
  function told(word) {
    first.textContent = word;
    setTimeout(() => (first.textContent = "Copy as…"), 1200);
  }

  const el = h("section", { class: "try", "aria-label": attempt.route, data: { route: attempt.route } },
    h("header", null, h("h3", null, attempt.route), model, prizes, state), figures, error, reasoning, said, uses, raw, h("footer", null, views, form, link));

  /** @type {{ fast?: Attempt, cheap?: Attempt }} */
  let prize = {};
  /** @param {{ attempt: Attempt, best: { fast?: Attempt, cheap?: Attempt } }} next */
  function update({ best }) {
    if (Object.keys(best).length) prize = best;
    rebadge(state, STATE[attempt.state]);
    const record = attempt.record;
    text(model, record?.model ?? attempt.told["x-bedplate-model"]?.split(";")[0] ?? "");
    text(said, attempt.said);
    const thought = attempt.reasoning;
    reasoning.hidden = !thought;
    text(/** @type {Node} */ (reasoning.lastChild), thought);
    said.hidden = shown !== "" || !attempt.said;
    raw.hidden = shown === "";
    uses.hidden = shown !== "";
    for (const node of views.querySelectorAll("button")) node.setAttribute("aria-pressed", String(node.dataset.shown === shown));
    const now = JSON.stringify([attempt.state, attempt.first, attempt.usage, record?.id, shown, shown ? attempt.raw.length : 0, attempt.uses, attempt.error, prize.fast === attempt, prize.cheap === attempt]);
    if (now === stamp) return;
    stamp = now;
    fill(prizes, prize.fast === attempt ? h("span", "tag on", "fastest") : null, prize.cheap === attempt ? h("span", "tag on", "cheapest") : null);
    const wait = h("span", "dim", "…");
    /** @type {[string, Node | string | null, string?][]} */
    const facts = [
      ["First token", attempt.first === null ? (attempt.over ? "–" : wait) : duration(attempt.first)], ["Whole", attempt.whole === null ? "…" : duration(attempt.whole)],
      ["Tokens", attempt.usage ? `${count(attempt.usage.input)} → ${count(attempt.usage.output)}` : attempt.over ? "–" : "…"],
      ["Cost", record ? (record.cost_usd === null ? "no price" : money(record.cost_usd)) : attempt.state === "stopped" ? "–" : "…"],
      ["Ended", attempt.stop ? attempt.stop.replaceAll("_", " ") : attempt.over ? "–" : "…"],
      ["Attempts", record && record.attempts > 1 ? String(record.attempts) : null], ["Why", record?.reason ? why(record.reason) : null], ["Cache", record?.cache && record.cache !== "bypass" ? record.cache.replaceAll("_", " ") : null],
    ];
    fill(figures, ...facts.filter(([, value]) => value).map(([name, value]) => h("div", null, h("dt", "dim small", name), h("dd", "num", value))));
    fill(error, attempt.error ? h("div", { class: "outcome bad", role: "alert" }, icon("warn"), h("div", null, h("p", "strong", attempt.error.title), h("p", null, attempt.error.text))) : null);
    fill(uses, ...attempt.uses.filter(Boolean).map((use) => section(`Calls ${use.name}`, parsed(use.input))));
    if (shown === "request") fill(raw, section("Request", attempt.request));
    else if (shown === "response") fill(raw, section("Headers", attempt.told), section("Body", attempt.raw.startsWith("{") ? parsed(attempt.raw) : attempt.raw));
    else raw.replaceChildren();
    fill(link, record ? h("a", { class: "small", href: `/models?call=${record.id}` }, "Record") : null, attempt.said ? copier("Copy answer", () => attempt.said) : attempt.over ? copier("Copy as JSON", () => pretty(attempt.told)) : null);
  }
  update({ attempt, best: {} });
  return { el, update };
}

/** A text that is JSON is shown as JSON. @param {string} raw */
function parsed(raw) {
  try {
    return JSON.parse(raw);
  } catch {
    return raw;
  }
}
