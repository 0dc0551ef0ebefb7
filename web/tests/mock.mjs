// A stand-in server for work on the page: the HTTP API in memory, with a small journal machine behind it that streams,
// asks, fails and waits. Not a test and never shipped; the page's tests run against the real server.
//
//   node tests/mock.mjs [port]      MOCK_DELAY=ms between pieces of text, MOCK_KEY=bp_… to want a key, MOCK_EMPTY=1 for no data

import { createHash, randomBytes } from "node:crypto";
import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import { dirname, extname, join, normalize } from "node:path";
import { fileURLToPath } from "node:url";

const WEB = join(dirname(fileURLToPath(import.meta.url)), "..");
const PORT = Number(process.argv[2] ?? 7979);
/** Between two pieces of text, in milliseconds; short while the store is filled. */
let DELAY = 1;
const KEY = process.env.MOCK_KEY;
const POLICY = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; font-src 'self'; manifest-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
const MODEL = { provider: "rehearsal", model: "rehearsal-1", foundation_model: false };

const tool = (name, description, more = {}) => ({ name, description, input_schema: { type: "object", properties: {} }, read_only: true, destructive: false, idempotent: true, open_world: false, approval: "never", ...more });
const TOOLS = [
  tool("search_catalogue", 'Search the catalogue by words, genre and price. Use it for "Do you have a manga about cooking for less than 10 dollars?".'),
  tool("recommend_titles", 'Recommend manga that is in stock. Use it for "recommend a romance" or "what else is there by this author".'),
  tool("list_my_orders", 'List the customer\'s own orders, newest first. Use it for "show my orders", "what did I order?" or "where is my parcel?".'),
  tool("order_status", 'Look up one order by its number. Use it for "Where is my order MA-10218?", "track my parcel" or "has it shipped?".'),
  tool("change_shipping_address", "Change the shipping address of an order that has not shipped.", { read_only: false, destructive: true }),
  tool("start_return", "Start the return of an order and refund it.", { read_only: false, destructive: true, idempotent: false, approval: "preview.amount + preview.refunded_before > 50" }),
  tool("store_policy", 'Read the shop\'s policies, for example "What is your return policy?".'),
  tool("calculate", "Evaluate an arithmetic expression."), tool("current_time", "Tell the time in a time zone."),
];
const AGENTS = [
  { name: "analyst", description: "Weighs findings, compares options and says what follows from them.", route: "default", model: MODEL, default: false, tools: TOOLS.slice(-2), definition: "b".repeat(64) },
  { name: "mangaassist", description: "Answers what a manga shop's customers ask about titles, orders, returns and the shop.", route: "default", model: MODEL, default: true, tools: TOOLS, definition: "a".repeat(64) },
];

/** @type {Map<string, Run>} */
const runs = new Map();
let now = () => Date.now();

class Run {
  constructor(session, user, agent) {
    this.id = createHash("sha256").update(`${user}/${session}`).digest("hex").slice(0, 32);
    Object.assign(this, { session, user, agent, entries: [], watchers: new Set(), partial: null, status: "idle", title: "", created: now(), touched: now(), keys: new Map(), answers: new Map(), cancel: false, queue: [], working: false });
    runs.set(this.id, this);
    this.add("run_started", { kind: "agent", name: agent, user, session });
  }
  add(type, fields = {}) {
    const entry = { seq: this.entries.length + 1, at: new Date(now()).toISOString(), type, ...fields };
    this.entries.push(entry);
    this.tell("entry", entry, `${this.id}:${entry.seq}`);
    return entry.seq;
  }
  tell(event, data, id) {
    for (const watcher of this.watchers) watcher(event, data, id);
  }
  body() {
    return { run_id: this.id, session_id: this.session, user_id: this.user, agent: this.agent, title: this.title, status: this.status, parent_run_id: null, created_at: new Date(this.created).toISOString(), touched_at: new Date(this.touched).toISOString(), events: this.entries.length };
  }
  turns() {
    const turns = [];
    for (const entry of this.entries) {
      if (entry.type === "turn_started") turns.push({ turn: entry.seq, status: "running", message: null, started_at: entry.at, ended_at: null, usage: { input: 0, output: 0, cache_read: 0, cache_write: 0 }, cost_usd: 0, iterations: 0, tool_calls: 0 });
      const turn = turns.at(-1);
      if (entry.type === "model_replied") {
        turn.usage.input += entry.usage.input;
        turn.usage.output += entry.usage.output;
        turn.cost_usd += (entry.cost ?? 0) / 1e6;
        turn.iterations += 1;
      }
      if (entry.type === "tool_requested") turn.tool_calls += 1;
      if (entry.type === "turn_ended") Object.assign(turn, { status: entry.outcome, ended_at: entry.at, message: entry.message ?? null });
    }
    return turns;
  }
  questions() {
    const open = new Map();
    for (const entry of this.entries) {
      if (entry.type === "question_asked") {
        const asked = this.entries.find(({ seq }) => seq === entry.call);
        const reply = this.entries.find(({ seq }) => seq === asked.reply);
        const use = reply.message.content.filter(({ type }) => type === "tool_use")[asked.index];
        open.set(entry.call, { run_id: this.id, session_id: this.session, agent: this.agent, user_id: this.user, call: entry.call, kind: entry.kind, tool: asked.name, input: use.input, question: entry.question, preview: entry.preview, deadline: new Date(entry.deadline).toISOString() });
      }
      if (entry.type === "question_answered" || entry.type === "tool_returned") open.delete(entry.call);
    }
    return [...open.values()];
  }
}

const wait = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
const usage = (text) => ({ input: 400 + text.length, output: Math.ceil(text.length / 4) + 8 });

/** What the model would do: tool calls first, then an answer. */
function plan(text) {
  const low = text.toLowerCase();
  if (/damaged|return|money back/.test(low)) {
    return { calls: [["order_status", { order_id: "MA-10198" }, { order_id: "MA-10198", status: "delivered", total_usd: 60.94 }], ["start_return", { order_id: "MA-10198", reason: "damaged", details: text }, { return_id: "RT-00412", order_id: "MA-10198", status: "awaiting parcel", refund_usd: 60.94 }]], ask: true, answer: "Your return **RT-00412** is started. 60.94 USD are refunded within 5 working days after the parcel has reached us." };
  }
  if (/order|parcel/.test(low)) {
    return { calls: [["list_my_orders", {}, { rows: [{ order_id: "MA-10218", status: "processing", total_usd: 24.87 }, { order_id: "MA-10208", status: "shipped", total_usd: 41.5 }, { order_id: "MA-10198", status: "delivered", total_usd: 60.94 }] }]], answer: "You have three orders:\n\n| Order | Status | Total |\n|---|---|---:|\n| MA-10218 | processing | 24.87 USD |\n| MA-10208 | shipped, arrives *24 November 2026* | 41.50 USD |\n| MA-10198 | delivered | 60.94 USD |\n\nWhich of them do you mean?" };
  }
  if (/\d\s*[*+/-]\s*\d/.test(low)) {
    const expression = /[\d.]+\s*[*+/-]\s*[\d.]+/.exec(low)[0];
    const [a, op, b] = /([\d.]+)\s*([*+/-])\s*([\d.]+)/.exec(expression).slice(1);
    const value = { "*": a * b, "+": +a + +b, "-": a - b, "/": a / b }[op];
    return { calls: [["calculate", { expression }, { value }]], answer: `${expression} = **${value}**` };
  }
  if (/time/.test(low)) return { calls: [["current_time", { time_zone: "Asia/Tokyo" }, "2026-11-21T00:51:07+09:00"]], answer: "In Tokyo it is 00:51 on 21 November 2026." };
  if (/fail/.test(low)) return { fail: true, calls: [] };
  if (/echo /.test(low)) return { calls: [], answer: text.slice(low.indexOf("echo ") + 5) };
  if (/long|story|markdown/.test(low)) return { calls: [], reasoning: "The reader wants something long. A structure with headings, a list and code will show everything.", answer: LONG };
  if (/manga|recommend|search|find|cooking|romance/.test(low)) {
    return { parallel: true, calls: [["search_catalogue", { words: "cooking", max_price: 10 }, { rows: [{ title: "Miso Moon", price: 9.99, stock: 10 }, { title: "The Lantern Street Noodle Stand", price: 8.99, stock: 24 }] }], ["recommend_titles", { genre: "food" }, { rows: [{ title: "Miso Moon" }] }]], answer: "Two titles fit and are in stock:\n\n- *The Lantern Street Noodle Stand*, 8.99 USD a volume. A retired train driver opens a noodle cart under the railway arches.\n- *Miso Moon*, 9.99 USD a volume, five volumes, complete.\n\nShall I tell you more about one of them?" };
  }
  return { calls: [], answer: "I am the assistant of this manga shop. I can find titles, follow your orders, change an address and start a return." };
}

const LONG = `### How a bedplate carries an engine

The bedplate is the **heavy plate** that everything else is bolted to. It does not move, and it has *three* tasks:

1. It keeps the parts aligned.
2. It carries their weight into the foundation:
   - the main bearings,
   - the columns, and
   - the thrust block.
3. It takes up vibration.

> Whatever moves, moves relative to it.

A calculation with \`calculate\`:

\`\`\`python
def load(parts):
    return sum(part.mass * 9.81 for part in parts)  # newtons
\`\`\`

| Part | Mass (kg) | Load (kN) |
|:-----|----------:|----------:|
| Bearings | 1200 | 11.8 |
| Columns | 3400 | 33.4 |
| Thrust block | 800 | 7.8 |

See [the manual](https://example.com/manual) or [a trap](javascript:alert(1)); ![a picture](https://example.com/x.png) is not loaded, and <b>markup</b> stays text.`;

async function work(run) {
  if (run.working) return;
  run.working = true;
  for (let next = run.queue.shift(); next; next = run.queue.shift()) {
    if (next.queued) run.add("queued_turn_started", { queued: next.queued });
    await turn(run, next.text);
  }
  run.working = false;
}

async function turn(run, text) {
  run.status = "running";
  run.cancel = false;
  const todo = plan(text);
  const end = (outcome, message) => {
    run.add("turn_ended", message ? { outcome, message } : { outcome });
    run.status = "idle";
  };
  if (todo.fail) {
    for (let attempt = 1; attempt <= 2; attempt += 1) {
      const call = run.add("model_called", { route: "default", from: 2, attempt, max_tokens: 1024, deadline: now() + 60000 });
      await wait(DELAY * 20);
      run.add("model_failed", { call, code: "model_overloaded", message: "the provider answered 529: overloaded", retryable: attempt < 2 });
    }
    return end("model_failed", "the provider answered 529: overloaded");
  }
  const rounds = todo.parallel ? [todo.calls] : todo.calls.map((call) => [call]);
  for (const round of rounds) {
    const content = round.map(([name, input]) => ({ type: "tool_use", id: `toolu_${randomBytes(4).toString("hex")}`, name, input }));
    const reply = await model(run, content, todo.reasoning);
    if (reply === null) return end("cancelled");
    await Promise.all(round.map(async ([name, , output], index) => {
      const asks = name === "start_return" && todo.ask;
      const call = run.add("tool_requested", { reply, index, name, ...(asks ? {} : { deadline: now() + 10000 }) });
      const began = now();
      const say = (outcome, value, error) => run.add("tool_returned", { call, outcome, output: { content: [typeof value === "string" ? { type: "text", text: value } : { type: "json", json: value }], ...(error ? { is_error: true } : {}) }, took_ms: Math.max(1, now() - began) });
      if (asks) {
        await wait(DELAY * 4);
        const preview = { order_id: "MA-10198", customer: "Robin Hale", delivered_on: "2026-11-14", amount: 60.94, amount_text: "60.94", refunded_before: 0, items: "2 x Miso Moon, vol. 3; 4 x Knife and Rice, vol. 1" };
        run.add("tool_prepared", { call, preparation: { ask: { question: "Refund 60.94 USD to Robin Hale?", preview } } });
        run.add("question_asked", { call, kind: "approval", question: "Refund 60.94 USD to Robin Hale for order MA-10198, delivered on 2026-11-14: 2 x Miso Moon, vol. 3; 4 x Knife and Rice, vol. 1?", preview, deadline: now() + 86_400_000 });
        run.status = "waiting";
        run.tell("settled", {});
        const said = await new Promise((resolve) => run.answers.set(call, resolve));
        run.status = "running";
        if (!said) return void say("cancelled", "The turn was cancelled before this ran.", true);
        run.add("question_answered", { call, approved: said.approved, by: run.user, ...(said.note ? { note: said.note } : {}) });
        if (!said.approved) return void say("refused", `A person refused this call${said.note ? `: ${said.note}` : ""}.`, true);
        run.add("tool_begun", { call, deadline: now() + 10000 });
      }
      await wait(DELAY * (6 + index * 8));
      say("done", output);
    }));
    if (run.cancel) return end("cancelled");
  }
  const refused = run.entries.findLast(({ type }) => type === "tool_returned" || type === "turn_started")?.outcome === "refused";
  const said = await model(run, [{ type: "text", text: refused ? "The refund was refused by a member of staff." : todo.answer }], todo.calls.length ? null : todo.reasoning);
  end(said === null ? "cancelled" : "completed");
}

/** Streams a reply and commits it; null when it was cancelled. */
async function model(run, content, reasoning) {
  const call = run.add("model_called", { route: "default", from: 2, max_tokens: 1024, deadline: now() + 60000 });
  const began = now();
  if (reasoning) content = [{ type: "reasoning", text: reasoning }, ...content];
  run.partial = { call, message: { role: "assistant", content: [] } };
  await wait(DELAY * 8);
  for (const [index, block] of content.entries()) {
    const kind = block.type;
    const text = block.text ?? JSON.stringify(block.input);
    const shown = kind === "tool_use" ? { type: kind, id: block.id, name: block.name, input: {}, malformed: "" } : { type: kind, text: "" };
    run.partial.message.content.push(shown);
    run.tell("block", { call, index, kind, id: block.id, name: block.name });
    for (const piece of text.match(/\S+\s*|\s+/g) ?? []) {
      await wait(DELAY);
      if (run.cancel) {
        run.add("cancel_requested", { by: run.user, reason: "requested" });
        run.add("model_replied", { call, message: run.partial.message, stop_reason: "end_turn", usage: usage(text), model: "rehearsal-1", partial: true });
        run.partial = null;
        return null;
      }
      if (kind === "tool_use") shown.malformed += piece;
      else shown.text += piece;
      run.tell("delta", { call, index, kind: kind === "tool_use" ? "input" : kind, text: piece });
    }
  }
  run.partial = null;
  const all = content.map((block) => block.text ?? JSON.stringify(block.input)).join("");
  return run.add("model_replied", { call, message: { role: "assistant", content }, stop_reason: content.at(-1).type === "tool_use" ? "tool_use" : "end_turn", usage: usage(all), cost: process.env.MOCK_COST ? all.length * 31 : 0, model: "rehearsal-1", took_ms: now() - began });
}

function start(run, text, key) {
  const known = run.keys.get(key);
  if (known) return { turn: known, joined: true };
  const message = { role: "user", content: [{ type: "text", text }] };
  const busy = run.working || run.status !== "idle";
  const fields = { key, request_hash: "0".repeat(64), message, definition: "a".repeat(64) };
  const seq = run.add(busy ? "turn_queued" : "turn_started", fields);
  run.keys.set(key, seq);
  run.title = text.slice(0, 80);
  run.touched = now();
  run.queue.push({ text, queued: busy ? seq : null });
  setTimeout(() => void work(run), 0);
  return { turn: seq, joined: false };
}

const server = createServer(async (request, response) => {
  const url = new URL(request.url, `http://${request.headers.host}`);
  const parts = url.pathname.split("/").filter(Boolean).map(decodeURIComponent);
  const chunks = [];
  for await (const chunk of request) chunks.push(chunk);
  const body = chunks.length ? JSON.parse(Buffer.concat(chunks)) : {};
  const json = (status, value) => {
    response.writeHead(status, { "content-type": "application/json", "x-request-id": randomBytes(8).toString("hex") });
    response.end(JSON.stringify(value));
  };
  const fail = (status, code, message, hint) => json(status, { error: { code, message, ...(hint ? { hint } : {}), request_id: randomBytes(8).toString("hex") } });
  if (parts[0] !== "v1") return file(url.pathname, response);
  if (KEY && request.headers["x-api-key"] !== KEY) return fail(401, "unauthorized", "a key is needed", "send it as x-api-key; `bedplate keys create` makes one");
  await wait(5);
  const stream = (run, after, first, done) => {
    response.writeHead(200, { "content-type": "text/event-stream", "cache-control": "no-store" });
    const write = (event, data, id) => response.write(`${id ? `id: ${id}\n` : ""}event: ${event}\ndata: ${JSON.stringify(data)}\n\n`);
    if (first) write("started", first);
    const watcher = (event, data, id) => {
      if (event === "settled") return done && (write("done", { status: "waiting" }), response.end());
      write(event, data, id);
      if (done && event === "entry" && data.type === "turn_ended" && data.seq > first.turn) {
        write("done", { status: data.outcome });
        response.end();
      }
    };
    for (const entry of run.entries.slice(after)) watcher("entry", entry, `${run.id}:${entry.seq}`);
    if (run.partial) write("partial", run.partial);
    write("caught_up", {});
    run.watchers.add(watcher);
    const beat = setInterval(() => response.write(": heartbeat\n\n"), 15_000);
    response.on("close", () => {
      clearInterval(beat);
      run.watchers.delete(watcher);
    });
  };
  const view = (run) => {
    const turns = run.turns();
    const add = (of) => turns.reduce((sum, turn) => sum + of(turn), 0);
    return { ...run.body(), at: run.entries.length, turns, questions: run.questions(), usage: { input: add((turn) => turn.usage.input), output: add((turn) => turn.usage.output), cache_read: 0, cache_write: 0 }, cost_usd: add((turn) => turn.cost_usd) };
  };
  const list = () => {
    const { user_id, agent, q, status, limit } = Object.fromEntries(url.searchParams);
    const all = [...runs.values()].filter((run) => (!user_id || run.user === user_id) && (!agent || run.agent === agent) && (!status || run.status === status) && (!q || (run.title + run.session).toLowerCase().includes(q.toLowerCase())));
    return all.sort((a, b) => b.touched - a.touched).slice(0, Number(limit ?? 50)).map((run) => run.body());
  };
  const route = `${request.method} ${parts[1]}${parts[3] ? `/${parts[3]}` : parts[2] ? "/one" : ""}${parts[5] ? `/${parts[5]}` : ""}`;
  const run = runs.get(parts[2]);
  if (parts[1] === "runs" && parts[2] && !run) return fail(404, "run_not_found", "there is no such run");
  const session = parts[1] === "sessions" && parts[2] ? [...runs.values()].find((run) => run.session === parts[2] && run.user === (url.searchParams.get("user_id") ?? "anonymous")) : null;
  if (parts[1] === "sessions" && parts[2] && !session) return fail(404, "session_not_found", "this user has no such session");
  switch (route) {
    case "GET info": return json(200, { name: "bedplate", version: "0.1.0", project: "mangaassist", default_agent: "mangaassist", open: !KEY, user_id: null, model: MODEL, notice: "Answers come from a deterministic stand-in, which is no foundation model. Set a model key to use a real one." });
    case "GET agents": return json(200, { agents: process.env.MOCK_NO_AGENTS ? [] : AGENTS });
    case "GET models": return json(200, { object: "list", data: [{ id: "default", object: "model", created: 0, owned_by: "rehearsal", model: "rehearsal-1", foundation_model: false }] });
    case "GET approvals": return json(200, { approvals: [...runs.values()].flatMap((run) => run.questions()) });
    case "GET runs": return json(200, { runs: list(), next_cursor: null });
    case "GET sessions": return json(200, { sessions: list(), next_cursor: null });
    case "GET sessions/one": return json(200, view(session));
    case "DELETE sessions/one": runs.delete(session.id); return json(200, { deleted: { runs: 1, blobs: 0 } });
    case "GET runs/one": return json(200, view(run));
    case "POST agents/invoke": {
      if (body.input === "busy") return fail(409, "session_busy", "turn 2 is under way on this session");
      const id = body.session_id ?? randomBytes(6).toString("hex");
      const found = [...runs.values()].find((run) => run.session === id && run.user === (body.user_id ?? "anonymous")) ?? new Run(id, body.user_id ?? "anonymous", parts[2]);
      const { turn, joined } = start(found, body.input, request.headers["idempotency-key"] ?? randomBytes(8).toString("hex"));
      return stream(found, turn - 1, { run_id: found.id, session_id: id, turn, joined, queued_behind: null, model: MODEL }, true);
    }
    case "GET runs/events": {
      const last = /:(\d+)$/.exec(request.headers["last-event-id"] ?? "")?.[1];
      const after = Number(last ?? url.searchParams.get("after") ?? 0);
      if (/event-stream/.test(request.headers.accept)) return stream(run, after);
      return json(200, { events: run.entries.slice(after, after + Number(url.searchParams.get("limit") ?? 100)), next_after: null });
    }
    case "POST runs/cancel": {
      run.cancel = true;
      for (const [call, answer] of run.answers) {
        run.answers.delete(call);
        answer(null);
      }
      return json(200, { cancelled: true });
    }
    case "POST runs/calls/answer": {
      const answer = run.answers.get(Number(parts[4]));
      if (!answer) return fail(409, "already_answered", "this question was answered");
      run.answers.delete(Number(parts[4]));
      answer(body);
      return json(200, { answered: true });
    }
    case "GET runs/calls/request": {
      const messages = run.entries.filter((entry) => entry.seq < Number(parts[4]) && entry.message?.content).map((entry) => entry.message);
      return json(200, { model: "default", system: [{ type: "text", text: `You are MangaAssist. The customer is signed in as ${run.user}.` }], messages, tools: TOOLS.map(({ name, description, input_schema }) => ({ name, description, input_schema })), max_tokens: 1024, temperature: 0.2 });
    }
    case "POST runs/fork": {
      const fork = new Run(randomBytes(6).toString("hex"), run.user, run.agent);
      fork.entries = structuredClone(run.entries.slice(0, body.at ?? run.entries.length));
      fork.title = run.title;
      fork.add("forked", { from: run.id, at: body.at ?? run.entries.length, session: fork.session });
      return json(201, fork.body());
    }
    case "GET runs/replay": return json(200, { events: run.entries.length, same: true, differences: [] });
    default: return fail(404, "not_found", "there is nothing at this address");
  }
});

const TYPES = { ".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml", ".html": "text/html" };

function file(path, response) {
  if (path === "/openapi.json" && process.env.MOCK_OPENAPI) {
    response.writeHead(200, { "content-type": "application/json" });
    return response.end(readFileSync(process.env.MOCK_OPENAPI));
  }
  const name = path === "/docs" ? "docs.html" : path.startsWith("/assets/") || path === "/favicon.svg" ? normalize(path).slice(1) : "index.html";
  try {
    const bytes = readFileSync(join(WEB, name));
    response.writeHead(200, { "content-type": `${TYPES[extname(name)]}; charset=utf-8`, "cache-control": "no-cache", "content-security-policy": POLICY, "referrer-policy": "no-referrer", "x-content-type-options": "nosniff" });
    response.end(bytes);
  } catch {
    response.writeHead(404).end();
  }
}

/** Fills the store with conversations of the last days, played on a clock of their own. */
async function seed() {
  const asks = [["Show my orders", 3 * 86400], ["Do you have a manga about cooking for less than 10 dollars?", 86400], ["Tell me a long story", 7200], ["What time is it in Tokyo?", 3000], ["Please fail", 1500], ["What is 25 * 47?", 400]];
  for (const [index, [text, ago]] of asks.entries()) {
    const run = new Run(`s-${index}-${randomBytes(3).toString("hex")}`, "web-user", index === 5 ? "analyst" : "mangaassist");
    const from = Date.now() - ago * 1000;
    const began = Date.now();
    for (const question of index === 0 ? [text, "Find me a romance", "And what is 3 * 9.99?", "Tell me a long story", "Show my orders", "What time is it?", "What did I order?"] : [text]) {
      start(run, question, randomBytes(8).toString("hex"));
      do await wait(2);
      while (run.working || run.queue.length);
    }
    for (const entry of run.entries) entry.at = new Date(Date.parse(entry.at) - began + from).toISOString();
    run.touched = from;
    run.created = from;
  }
}

if (!process.env.MOCK_EMPTY) await seed();
DELAY = Number(process.env.MOCK_DELAY ?? 25);
server.listen(PORT, "127.0.0.1", () => console.log(`http://127.0.0.1:${PORT}`));
