// Cases about model calls and what they cost, against the project in gateway/ and an upstream of its own.

import { execFile } from "node:child_process";
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { CALLS, call, makeCalls } from "./calls.mjs";
import { Server, api, check, equal, shot, visit } from "./harness.mjs";
import { contrast, focusVisible } from "./look.mjs";
import { upstream } from "./upstream.mjs";

const execute = promisify(execFile);

/** Starts the upstream and two servers with the project: one that has calls, one that has none. */
export async function gateway(binary, servers) {
  const up = await upstream();
  servers.push(up);
  const project = mkdtempSync(join(tmpdir(), "bedplate-page-gateway-"));
  servers.push({ stop: () => rmSync(project, { recursive: true, force: true }) });
  cpSync(join(dirname(fileURLToPath(import.meta.url)), "gateway"), project, { recursive: true });
  const file = join(project, "bedplate.toml");
  writeFileSync(file, readFileSync(file, "utf8").replaceAll("UPSTREAM", up.host));
  const [used, fresh] = [new Server(binary, project), new Server(binary, project)];
  servers.push(used, fresh);
  await used.start();
  await fresh.start();
  await makeCalls(used.url);
  return { base: used.url, fresh: fresh.url, mortal: fresh, figures: async (...by) => JSON.parse((await execute(binary, ["costs", project, "--data", used.data, "--json", ...by])).stdout) };
}

const shownMoney = (dollars) => (dollars < 0.0995 ? `$${dollars.toPrecision(2).replace(/0+$/, "")}` : `$${dollars.toFixed(2)}`);
const column = (page, index) => page.locator(`.sums-table tbody td:nth-child(${index})`).allInnerTexts();
const opened = (page) => page.locator(".usage:not(.busy):not([hidden])").waitFor();

const playground = (prompt) => `/models/playground#${new URLSearchParams(prompt)}`;

export const usage = {
  async "costs: figures, rows and bars are those of bedplate costs, by model and by tag"({ base, figures }) {
    const { page, guard } = await visit(base, "/costs");
    await opened(page);
    for (const by of ["model", "tag:project"]) {
      await page.getByLabel("By", { exact: true }).selectOption(by);
      await opened(page);
      const { rows, total } = (await figures("--by", by)).costs;
      await page.locator(".sums-table tbody tr").nth(rows.length - 1).waitFor();
      equal(JSON.stringify(await column(page, 4)), JSON.stringify(rows.map((row) => String(row.calls))), `calls by ${by}`);
      equal(await page.locator(".sums-table tfoot td").nth(1).innerText(), shownMoney(total.cost_usd), "the sum of money");
      const names = rows.map((row) => row[by] ?? "No tag project").sort();
      equal(JSON.stringify((await column(page, 1)).sort()), JSON.stringify(names), `names by ${by}`);
      equal(await page.locator(".legend .entry").count(), rows.length, "entries of the legend");
    }
    check(/bedplate costs --by tag:project --from 30d/.test(await page.locator(".same").innerText()), "the command that says the same");
    await shot(page, "costs");
    await guard();
  },

  async "costs: a chart has a zero and a unit, its legend hides, the keys read it"({ base }) {
    const { page, guard } = await visit(base, "/costs?show=calls&from=24h");
    await opened(page);
    await page.locator(".plot rect").first().waitFor();
    check((await page.locator(".plot .tick").allTextContents()).includes("0"), "the axis begins with 0");
    check(/calls by hour/.test(await page.locator(".chart figcaption").innerText()), "the unit");
    const bars = await page.locator(".plot rect").count();
    await page.locator(".legend .entry").first().click();
    await page.waitForFunction((count) => document.querySelectorAll(".plot rect").length < count, bars);
    equal(await page.locator(".legend .entry").first().getAttribute("aria-pressed"), "false", "what is hidden says so");
    await page.locator(".legend .entry").first().click();
    await page.locator(".plot-area").focus();
    await page.keyboard.press("End");
    const { total } = await api(base, "/v1/costs?from=24h");
    check((await page.locator(".tip").innerText()).includes(String(total.calls)), `the last step has all calls: ${await page.locator(".tip").innerText()}`);
    await shot(page, "costs-chart");
    await guard();
  },

  async "costs: a filter is chosen, stands in the address, and comes back with it"({ base }) {
    const { page, guard } = await visit(base, "/costs");
    await opened(page);
    await page.getByRole("button", { name: "Filter", exact: true }).click();
    await page.locator(".menu").getByRole("button", { name: "User" }).click();
    await page.locator(".menu .item", { hasText: "ben" }).click();
    await page.locator(".chip", { hasText: "ben" }).waitFor();
    const address = new URL(page.url());
    equal(address.searchParams.get("user_id"), "ben", "the user in the address");
    const { total } = await api(base, "/v1/costs?user_id=ben");
    const calls = () => page.locator(".sums-table tfoot td").nth(3).innerText();
    await page.waitForFunction((wanted) => document.querySelector(".sums-table tfoot td:nth-child(4)")?.textContent === wanted, String(total.calls));
    await page.reload();
    await opened(page);
    equal(await calls(), String(total.calls), "calls after a reload");
    await page.getByRole("button", { name: "Without User ben" }).click();
    await page.waitForFunction((wanted) => document.querySelector(".sums-table tfoot td:nth-child(4)")?.textContent !== wanted, String(total.calls));
    equal(new URL(page.url()).searchParams.get("user_id"), null, "the address without it");
    await guard();
  },

  async "costs: budgets say how they stand, at 80 and at 100 per cent"({ base }) {
    const { page, guard } = await visit(base, "/costs");
    const { budgets } = await api(base, "/v1/budgets");
    await page.locator(".budget").nth(budgets.length - 1).waitFor();
    const ben = page.locator(".budget", { hasText: "ben" });
    const { used } = budgets.find(({ who }) => who === "ben");
    equal(await ben.getAttribute("data-state"), "over", "the state of who spent too much");
    check((await ben.innerText()).includes(`${Math.floor(used * 100)} %`), `how much of it: ${await ben.innerText()}`);
    check(/calls go on/.test(await ben.innerText()), "what happens now");
    equal(await page.locator(".budget", { hasText: "everybody" }).getAttribute("data-state"), "fine", "the state of the large one");
    await guard();
  },

  async "costs: a server without calls teaches how to make one"({ fresh }) {
    const { page, guard } = await visit(fresh, "/costs");
    await page.locator(".empty .command").waitFor();
    check(/curl .*\/v1\/chat\/completions/.test(await page.locator(".empty .command code").innerText()), "the command");
    await page.locator(".budget").first().waitFor();
    await shot(page, "costs-empty");
    await guard();
  },

  async "traffic: each call is a line with who, route, model, tokens, cost and what was special about it"({ base }) {
    const { page, guard } = await visit(base, "/models");
    await page.locator("table.calls tbody tr").nth(CALLS.all - 1).waitFor();
    const { records } = await api(base, "/v1/records?limit=200");
    equal(JSON.stringify(await page.locator("table.calls td.route").allInnerTexts()), JSON.stringify(records.map(({ route }) => route)), "routes, newest first");
    const careful = page.locator("table.calls tr", { hasText: "careful" });
    check(/2 attempts/.test(await careful.innerText()) && /fallback/.test(await careful.innerText()), "the second attempt and why");
    check(/rate limited/.test(await page.locator("table.calls tr", { hasText: "limited" }).first().innerText()), "the kind of error");
    await page.locator("table.calls tr", { hasText: "cached" }).waitFor();
    await shot(page, "traffic");
    await guard();
  },

  async "traffic: a call appears when it ends, and none moves what is being read"({ base }) {
    const { page, guard } = await visit(base, "/models", { viewport: { width: 1280, height: 320 } });
    await page.locator("table.calls tbody tr").nth(CALLS.all - 1).waitFor();
    await page.locator(".live:not(.lost)").waitFor();
    await call(base, "default", { user: "live-one" });
    await page.locator("table.calls tr", { hasText: "live-one" }).waitFor();
    const scroller = page.locator(".beside > .pad");
    await scroller.evaluate((node) => (node.scrollTop = 120));
    const third = page.locator("table.calls tbody tr").nth(5);
    const top = await third.evaluate((node) => (window.third = node).getBoundingClientRect().top);
    await call(base, "default", { user: "live-two" });
    await page.getByRole("button", { name: "1 new call" }).waitFor();
    equal(await page.evaluate(() => window.third.getBoundingClientRect().top), top, "the place of what is read");
    await shot(page, "traffic-new");
    await page.getByRole("button", { name: "1 new call" }).click();
    await page.locator("table.calls tr", { hasText: "live-two" }).waitFor();
    await guard();
  },

  async "traffic: one click opens the record with request and response, at an address of its own"({ base }) {
    const { page, guard } = await visit(base, "/models?error=any");
    const line = page.locator("table.calls tbody tr", { hasText: "limited" });
    await line.click();
    const panel = page.getByRole("complementary", { name: "Call" });
    await panel.getByText("Slow down: 1 request a minute").waitFor();
    const said = await panel.innerText();
    for (const word of ["cleo", "limited-1", "openai_compatible", "Chat Completions", "What is the capital of Japan?", "No response came"]) check(said.includes(word), `the panel names ${word}: ${said}`);
    await page.reload();
    await panel.getByText("Slow down: 1 request a minute").waitFor();
    await shot(page, "traffic-record");
    await page.locator("table.calls tbody tr").first().click();
    await page.keyboard.press("Escape");
    await panel.waitFor({ state: "hidden" });
    equal(new URL(page.url()).searchParams.get("call"), null, "the address without the call");
    await page.goto(`${base}/models?route=careful`);
    await page.locator("table.calls tbody tr").first().click();
    await panel.getByText("fallback").waitFor();
    await panel.getByRole("button", { name: "Only calls with project=boreas" }).click();
    await page.locator(".chip", { hasText: "project=boreas" }).waitFor();
    equal(await page.locator("table.calls tbody tr").count(), 1, "calls of the route with the tag");
    await guard();
  },

  async "traffic: a server without calls teaches how to make one, which then appears by itself"({ fresh }) {
    const { page, guard } = await visit(fresh, "/models");
    await page.locator(".empty .command").waitFor();
    await shot(page, "traffic-empty");
    await page.locator(".live:not(.lost)").waitFor();
    await page.goto(`${fresh}/models/latency`);
    await page.locator(".empty .command").waitFor();
    await page.goto(`${fresh}/costs`);
    await page.locator(".empty .command").waitFor();
    await page.goto(`${fresh}/models`);
    await page.locator(".live:not(.lost)").waitFor();
    await call(fresh, "default", { user: "first" });
    await page.locator("table.calls tbody tr", { hasText: "first" }).waitFor();
    await guard();
  },

  async "traffic: a server that dies and comes back: a quiet line, then what came meanwhile and what comes"({ mortal }) {
    await call(mortal.url, "default", { user: "before" });
    const { page, guard } = await visit(mortal.url, "/models", { offline: true });
    await page.locator("table.calls tbody tr", { hasText: "before" }).first().waitFor();
    await page.locator(".live:not(.lost)").waitFor();
    await mortal.kill();
    await page.locator(".lost:not([hidden])").first().waitFor();
    await mortal.start();
    await call(mortal.url, "default", { user: "meanwhile" });
    await page.locator("table.calls tbody tr", { hasText: "meanwhile" }).waitFor();
    await page.locator(".live:not(.lost)").waitFor();
    await call(mortal.url, "default", { user: "after" });
    await page.locator("table.calls tbody tr", { hasText: "after" }).waitFor();
    await page.locator("p.lost").waitFor({ state: "hidden" });
    await guard();
  },

  async "latency: percentiles by route and model and errors by kind are those of the API"({ base }) {
    const { page, guard } = await visit(base, "/models/latency");
    await opened(page);
    const { rows } = await api(base, "/v1/costs?by=route&from=7d");
    const [routes, models, kinds] = [0, 1, 2].map((index) => page.locator("section .sums-table").nth(index));
    equal(await routes.locator("tbody tr").count(), rows.length, "routes");
    const thorough = rows.find(({ route }) => route === "thorough");
    const cells = await routes.locator("tbody tr", { hasText: "thorough" }).locator("td").allInnerTexts();
    const shown = (ms) => (ms < 1000 ? `${Math.round(ms)} ms` : `${(ms / 1000).toFixed(1)} s`);
    equal(JSON.stringify(cells.slice(3, 9)), JSON.stringify([thorough.first_token_ms, thorough.latency_ms].flatMap((found) => [found.p50, found.p95, found.p99].map(shown))), "p50, p95 and p99 of both");
    check(/thorough-1/.test(await models.innerText()), "the models by name");
    check(/rate limited/.test(await kinds.innerText()) && /broken stream/.test(await kinds.innerText()), "the kinds of errors");
    await page.getByRole("button", { name: "Calls", exact: true }).click();
    await page.locator(".plot rect").first().waitFor();
    equal(new URL(page.url()).searchParams.get("show"), "calls", "what is drawn stands in the address");
    await shot(page, "latency");
    await kinds.getByRole("link", { name: "rate limited" }).click();
    await page.locator("table.calls tbody tr").first().waitFor();
    equal(await page.locator("table.calls tbody tr").count(), 1, "the calls that failed so");
    await guard();
  },

  async "health: a model that fails too often is shown as left alone, with its last error"({ base }) {
    for (let index = 0; index < 12; index += 1) await call(base, "broken", { user: "breaker", stream: true });
    const { page, guard } = await visit(base, "/models/health");
    const line = page.locator(".health tbody tr", { hasText: "broken-1" }).first();
    await line.getByText("Left alone, it failed too often").waitFor();
    check(/broken stream/.test(await line.innerText()), "the last error");
    check(/Takes calls/.test(await page.locator(".health tbody tr", { hasText: "thorough-1" }).first().innerText()), "another one takes calls");
    await page.getByRole("link", { name: "careful" }).waitFor();
    await shot(page, "health");
    await guard();
  },

  async "playground: one prompt streams from several routes side by side, each with its figures, errors as they are"({ base }) {
    const { page, guard } = await visit(base, playground({ user: "Tell me a story", system: "You are brief.", routes: "default,thorough,limited,broken" }));
    await page.getByRole("button", { name: "Run" }).click();
    const of = (route) => page.locator(`.try[data-route="${route}"]`);
    await page.waitForFunction(() => /thorough3 /.test(document.querySelector('[data-route="thorough"] .said-text')?.textContent ?? ""));
    check(await of("thorough").getByText("Running").count(), "it streams while it runs");
    await of("thorough").getByText("Completed").waitFor();
    check((await of("thorough").locator(".said-text").innerText()).endsWith("thorough60"), "the whole answer");
    await of("thorough").getByRole("link", { name: "Record" }).waitFor();
    const { records } = await api(base, "/v1/records?route=thorough&limit=1");
    const figures = await of("thorough").locator(".figures").innerText();
    for (const word of [`${records[0].usage.input} → ${records[0].usage.output}`, shownMoney(records[0].cost_usd), "stop"]) check(figures.includes(word), `the figures have ${word}: ${figures}`);
    await of("default").getByText("fastest").waitFor();
    await of("default").getByText("cheapest").waitFor();
    check(/429 Too Many Requests[\s\S]*Slow down: 1 request a minute/.test(await of("limited").innerText()), `the refusal as it is: ${await of("limited").innerText()}`);
    check(/Failed/.test(await of("broken").innerText()), "a broken stream is a failure");
    await shot(page, "playground");
    await of("thorough").getByRole("link", { name: "Record" }).click();
    await page.getByRole("complementary", { name: "Call" }).getByText("thorough60").waitFor();
    // What the browser says of a refused request is no fault of the page.
    await guard(/status of (429|503)/);
  },

  async "playground: what a model says is text, its request and response are shown raw, and curl sends the same"({ base }) {
    const { page, guard, context } = await visit(base, playground({ user: "<script> please", routes: "default" }));
    await context.grantPermissions(["clipboard-read", "clipboard-write"]);
    await page.getByRole("textbox", { name: "Prompt" }).focus();
    await page.keyboard.press("Control+Enter");
    const one = page.locator(".try");
    await one.getByText("Completed").waitFor();
    equal(await one.locator(".said-text").innerText(), "<script>window.xss=1</script> <b>bold</b>", "the text as it is");
    equal(await page.evaluate(() => window.xss), undefined, "nothing of it ran");
    await one.getByRole("button", { name: "Request" }).click();
    check(/"content": "<script> please"/.test(await one.locator(".raw").innerText()), "the raw request");
    await one.getByRole("button", { name: "Response" }).click();
    const raw = await one.locator(".raw").innerText();
    check(/data: \[DONE\]/.test(raw) && /x-bedplate-route/.test(raw), "the raw response with its headers");
    for (const [form, word] of [["openai", "from openai import OpenAI"], ["anthropic", "client.messages.stream("], ["boto3", "client.converse_stream("], ["curl", "curl -sN"]]) {
      await one.getByLabel("Copy as").selectOption(form);
      await one.getByText("Copied").waitFor({ state: "attached" });
      check((await page.evaluate(() => navigator.clipboard.readText())).includes(word), `the code for ${form}`);
    }
    const sent = await execute("bash", ["-c", await page.evaluate(() => navigator.clipboard.readText())]);
    check(/data: \[DONE\]/.test(sent.stdout), `what curl got: ${sent.stdout.slice(0, 200)} ${sent.stderr.slice(0, 200)}`);
    await shot(page, "playground-raw");
    await guard();
  },

  async "playground: tools reach the model, and what is no JSON is said before anything is sent"({ base }) {
    const { page, guard } = await visit(base, playground({ user: "Weather?", routes: "default", tools: "[{ oops" }));
    await page.getByRole("button", { name: "Run" }).click();
    check(/The tools are no JSON/.test(await page.getByRole("alert").innerText()), "what is wrong");
    equal(await page.locator(".try").count(), 0, "nothing was sent");
    await page.getByRole("textbox", { name: "Tools" }).fill('[{"type": "function", "function": {"name": "weather", "parameters": {"type": "object"}}}]');
    await page.getByRole("button", { name: "Run" }).click();
    const one = page.locator(".try");
    await one.getByText("Calls weather").waitFor();
    check(/"city": "Kyoto"/.test(await one.innerText()) && /tool calls/.test(await one.innerText()), "the call and the stop reason");
    await shot(page, "playground-tools");
    await guard();
  },

  async "playground: the prompt stands in the address, and stop ends what streams"({ base }) {
    const { page, guard } = await visit(base, "/models/playground");
    await page.locator(".picks button").first().waitFor();
    await shot(page, "playground-empty");
    await page.getByRole("textbox", { name: "Prompt" }).fill("A long one");
    await page.getByLabel("Temperature").fill("0.3");
    await page.locator(".picks").getByRole("button", { name: "thorough" }).click();
    await page.waitForFunction(() => /thorough/.test(location.hash));
    await page.reload();
    equal(await page.getByRole("textbox", { name: "Prompt" }).inputValue(), "A long one", "the prompt after a reload");
    equal(await page.getByLabel("Temperature").inputValue(), "0.3", "a parameter after a reload");
    await page.locator('.picks [aria-pressed="true"]', { hasText: "thorough" }).waitFor();
    await page.getByRole("button", { name: "Run" }).click();
    await page.waitForFunction(() => /thorough2 /.test(document.querySelector('[data-route="thorough"] .said-text')?.textContent ?? ""));
    await page.getByRole("button", { name: "Stop" }).click();
    await page.locator('.try[data-route="thorough"]').getByText("Cancelled").waitFor();
    check(!/thorough60/.test(await page.locator('.try[data-route="thorough"] .said-text').innerText()), "the rest did not come");
    await guard();
  },

  async "models: light, dark and 360 pixels: contrast, focus, and no sideways scrolling"({ base }) {
    await looks(base, "/models", "table.calls tbody tr", "traffic");
    await looks(base, "/models/latency", ".plot circle", "latency");
    await looks(base, "/models/health", ".health td", "health");
    await looks(base, playground({ user: "Tell me a story", routes: "default,thorough" }), ".picks button", "playground");
  },

  async "costs: what cannot be told apart is drawn together, and a failure says so and is tried again"({ base }) {
    const { page, guard } = await visit(base, "/models/health");
    const refuse = (status, code, message) => (route) => route.fulfill({ status, contentType: "application/json", body: JSON.stringify({ error: { code, message, request_id: "r-1" } }) });
    const crowded = (url) => url.pathname === "/v1/costs" && (url.searchParams.get("by") ?? "").includes(",");
    await page.route(crowded, refuse(400, "too_many_rows", "the table has more than 10000 rows"));
    await page.getByRole("link", { name: "Costs" }).click();
    await opened(page);
    check(/too many to be told apart by model/.test(await page.locator(".chart figcaption").innerText()), "the chart says what it lacks");
    equal(await page.locator(".legend .entry").count(), 1, "one entry for all");
    const { rows } = await api(base, "/v1/costs?by=model");
    equal(await page.locator(".sums-table tbody tr").count(), rows.length, "the table still tells them apart");
    await page.unroute(crowded);
    await page.route((url) => url.pathname === "/v1/costs", refuse(503, "store_unavailable", "the store is away"), { times: 2 });
    await page.getByRole("button", { name: "24 h" }).click();
    await page.getByText("The store is away").waitFor();
    await shot(page, "costs-failed");
    await page.getByRole("button", { name: "Try again" }).click();
    await opened(page);
    await guard(/status of (400|503)/);
  },

  async "costs: light, dark and 360 pixels: contrast, focus, and no sideways scrolling"({ base }) {
    await looks(base, "/costs", ".plot rect", "costs");
  },
};

/** Looks at a view in light, in dark and on a phone. */
async function looks(base, path, ready, name) {
  for (const options of [{ colorScheme: "light" }, { colorScheme: "dark" }, { viewport: { width: 360, height: 740 } }]) {
    const { page, guard } = await visit(base, path, options);
    const look = options.colorScheme ?? "phone";
    await page.locator(ready).first().waitFor();
    const poor = await page.evaluate(contrast);
    check(poor.length === 0, `${look}: ${poor.slice(0, 5).join("; ")}`);
    await focusVisible(page, 30);
    await shot(page, `${name}-${look}`);
    await guard();
  }
}
