// Cases for going back: forks of executions and of agents' runs beside their originals, replays, and the tree of runs.

import { api, check, equal, shot, visit } from "./harness.mjs";
import { contrast, focusVisible } from "./look.mjs";

const post = (base, path, body) => api(base, path, { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(body) });
const run = (base, name, input, wait = 30) => post(base, `/v1/workflows/${name}/executions`, { input, wait_seconds: wait });
const rows = (page, mark) => page.locator(`.pair-row[data-mark="${mark}"]`);

/** Waits until the marks of the two lines are these, in order. */
async function marks(page, expected) {
  const read = () => page.locator(".pair-row").evaluateAll((all) => all.map((row) => `${row.dataset.mark} ${row.querySelector(".cell:not(.blank) .name").textContent}`).join(", "));
  for (let tries = 0; tries < 200 && (await read()) !== expected; tries += 1) await page.waitForTimeout(50);
  equal(await read(), expected, "the two lines");
}

/** Starts a refund that a person refuses, and returns its id. */
async function refused(base, order) {
  const { id } = await run(base, "refund-approval", { order, amount: 90 }, 0);
  for (;;) {
    const { tasks } = await api(base, `/v1/executions/${id}`);
    if (tasks.length) {
      await post(base, `/v1/runs/${id}/calls/${tasks[0].call}/answer`, { approved: false, note: "no" });
      break;
    }
  }
  for (;;) if ((await api(base, `/v1/executions/${id}`)).status !== "RUNNING") return id;
}

export const forks = {
  async "forks: a refusal is taken back in a fork, which stands live beside its original"(base) {
    const id = await refused(base, "F-1");
    const { page, guard } = await visit(base, `/workflows/refund-approval/${id}`);
    await page.getByRole("button", { name: "Fork from AskAPerson" }).first().click();
    const dialog = page.getByRole("dialog", { name: "Fork from AskAPerson" });
    equal(JSON.stringify(JSON.parse(await dialog.getByRole("textbox").inputValue())), JSON.stringify({ order: "F-1", amount: 90 }), "the input of the state");
    await dialog.getByRole("textbox").fill("{ no");
    await dialog.getByRole("button", { name: "Fork", exact: true }).click();
    check(/Not JSON/.test(await dialog.getByRole("alert").innerText()), "what is no JSON is refused");
    await dialog.getByRole("textbox").fill(JSON.stringify({ order: "F-1", amount: 60 }));
    await shot(page, "fork-dialog");
    await dialog.getByRole("button", { name: "Fork", exact: true }).click();
    await page.waitForURL(/\?with=/);
    await marks(page, "same HowMuch, differs AskAPerson, left Refused");
    await shot(page, "fork-waiting");
    const fork = new URL(page.url()).pathname.split("/")[3];
    const inbox = await visit(base, "/approvals");
    const card = inbox.page.locator(".approval", { hasText: "Refund 60 for order F-1" });
    await card.getByRole("button", { name: "Approve", exact: true }).click();
    await marks(page, "same HowMuch, differs AskAPerson, left Refused, right Approved");
    await shot(page, "fork-beside");
    await page.getByRole("button", { name: "Differences only" }).click();
    equal(await rows(page, "same").count(), 0, "rows that are the same");
    await rows(page, "differs").locator(".head").focus();
    await page.keyboard.press("Enter");
    const whole = await rows(page, "differs").locator(".whole").innerText();
    const inputs = await rows(page, "differs").locator(".whole .value").filter({ hasText: "Input" }).locator("pre").allInnerTexts();
    equal(inputs.map((text) => JSON.parse(text).amount).join(), "90,60", "both inputs");
    check(/"approved": true/.test(whole), `the decision: ${whole}`);
    await shot(page, "fork-open");
    equal((await api(base, `/v1/executions/${fork}`)).output.refunded, true, "the fork's end");
    equal((await api(base, `/v1/executions/${id}`)).output.refunded, false, "the original's end");
    await page.getByRole("link", { name: "Execution", exact: true }).click();
    await page.getByRole("link", { name: "Side by side" }).waitFor();
    await inbox.guard();
    await guard();
  },

  async "forks: with the workflow as it is now, a failure that was mended goes through from where it failed"(base) {
    const definition = (error) => JSON.stringify({ StartAt: "First", States: { First: { Type: "Pass", Result: { n: 1 }, Next: "Then" }, Then: error ? { Type: "Fail", Error: error } : { Type: "Fail", Error: "Other", Comment: "still" } } });
    const put = (definition) => api(base, "/v1/workflows/mended", { method: "PUT", headers: { "content-type": "application/json" }, body: JSON.stringify({ definition }) });
    await put(definition("Broken"));
    const { id } = await run(base, "mended", {});
    await put(definition(null));
    const { page, guard } = await visit(base, `/workflows/mended/${id}`);
    await page.getByRole("button", { name: "Fork from Then" }).first().click();
    await page.getByRole("combobox", { name: "Definition" }).selectOption("current");
    await page.getByRole("button", { name: "Fork", exact: true }).click();
    await page.waitForURL(/\?with=/);
    const fork = new URL(page.url()).pathname.split("/")[3];
    await page.locator(".heads .badge", { hasText: "Failed" }).nth(1).waitFor();
    equal((await api(base, `/v1/executions/${fork}`)).error, "Other", "the fork ran the new definition");
    equal((await api(base, `/v1/executions/${id}`)).error, "Broken", "the original is as it was");
    await api(base, "/v1/workflows/mended", { method: "DELETE" });
    await guard();
  },

  async "forks: a number that JavaScript cannot hold goes through a start and a fork as it is"(base) {
    const definition = JSON.stringify({ StartAt: "Keep", States: { Keep: { Type: "Pass", End: true } } });
    await api(base, "/v1/workflows/numbers", { method: "PUT", headers: { "content-type": "application/json" }, body: JSON.stringify({ definition }) });
    const { page, guard } = await visit(base, "/workflows/numbers");
    await page.getByRole("textbox", { name: "Input as JSON" }).fill('{"order": 9007199254740993, "note": "a"}');
    await page.getByRole("button", { name: "Start", exact: true }).click();
    await page.getByRole("button", { name: "Fork from Keep" }).first().click();
    const field = page.getByRole("dialog").getByRole("textbox");
    equal(await field.inputValue(), '{\n  "order": 9007199254740993,\n  "note": "a"\n}', "the input of the state");
    await field.fill((await field.inputValue()).replace('"a"', '"b"'));
    await page.getByRole("button", { name: "Fork", exact: true }).click();
    await page.waitForURL(/\?with=/);
    const fork = new URL(page.url()).pathname.split("/")[3];
    await page.locator(".heads .badge", { hasText: "Succeeded" }).nth(1).waitFor();
    const { events } = await api(base, `/v1/executions/${fork}/history`);
    equal(events.findLast(({ type }) => type === "PassStateEntered").details.input, '{"order":9007199254740993,"note":"b"}', "the input of the fork's state");
    await api(base, "/v1/workflows/numbers", { method: "DELETE" });
    await guard();
  },

  async "forks: an execution replays without a difference, whole and from its time line"(base) {
    const { id } = await run(base, "fan-out", { question: "Is it good?" });
    const { page, guard } = await visit(base, `/workflows/fan-out/${id}`);
    await page.getByRole("button", { name: "Replay", exact: true }).click();
    check(/no difference/.test(await page.getByRole("dialog").innerText()), await page.getByRole("dialog").innerText());
    await page.keyboard.press("Escape");
    await page.getByRole("button", { name: "Replay up to Evaluate" }).first().click();
    check(/up to \d+, no difference/.test(await page.getByRole("dialog").innerText()), await page.getByRole("dialog").innerText());
    await guard();
  },

  async "forks: an agent's run is forked before a call from its time line, and stands beside the original"(base) {
    const { id } = await run(base, "fan-out", { question: "And this?" });
    const { children } = await api(base, `/v1/runs/${id}/children`);
    const child = children.find(({ name }) => name === "researcher");
    const { page, guard } = await visit(base, `/runs/${child.run_id}`);
    await page.locator('.timeline .row[data-kind="model"] .head').first().click();
    await shot(page, "run-entry");
    await page.getByRole("button", { name: "Replay to here" }).click();
    check(/no difference/.test(await page.getByRole("dialog").innerText()), await page.getByRole("dialog").innerText());
    await page.keyboard.press("Escape");
    await page.getByRole("button", { name: "Fork before this" }).click();
    await page.waitForURL(/\?with=/);
    await page.locator(".pair-row").nth(1).waitFor();
    await page.waitForFunction(() => [...document.querySelectorAll(".heads .badge")].every((badge) => /Completed/.test(badge.textContent)));
    equal(await page.locator(".heads h2").first().innerText(), "Original", "the left side");
    equal(await rows(page, "left").count() + (await rows(page, "right").count()), 0, "the rehearsal goes the same way");
    await shot(page, "fork-run");
    await page.locator(".heads").getByRole("link", { name: "Chat" }).last().waitFor();
    await guard();
  },

  async "tree: an execution shows the agents' runs that it started, and each leads back up"(base) {
    const { id } = await run(base, "fan-out", { question: "What is a tree?" });
    const { page, guard } = await visit(base, `/workflows/fan-out/${id}`);
    const tree = page.getByRole("list", { name: "Tree of runs" });
    await tree.getByRole("link", { name: "researcher" }).first().waitFor();
    const { children } = await api(base, `/v1/runs/${id}/children`);
    equal(await tree.locator(".node").count(), 1 + children.length, "nodes");
    equal(await tree.locator("[aria-current]").innerText(), "fan-out", "where one is");
    await shot(page, "tree-execution");
    await tree.getByRole("link", { name: "analyst" }).first().click();
    await page.waitForURL(/\/runs\//);
    await tree.locator("[aria-current]", { hasText: "analyst" }).waitFor();
    equal(await tree.locator(".node").first().locator("a").first().innerText(), "fan-out", "the top");
    await shot(page, "tree-run");
    await guard();
  },

  async "tree: what was shown more of a run that goes on stays when it is read again"(base) {
    const { id } = await run(base, "refund-approval", { order: "F-5", amount: 90 }, 0);
    const { page, guard } = await visit(base, "/workflows");
    const all = Array.from({ length: 260 }, (_, index) => ({ run_id: `${index}`.padStart(32, "0"), kind: "agent", name: "researcher", session_id: `s${index}`, title: `Child ${index}`, status: "completed", user_id: "", created_at: new Date(index).toISOString(), touched_at: new Date(index).toISOString() }));
    let fromTheTop = 0;
    await page.route(`**/v1/runs/${id}/children*`, (route) => {
      const asked = new URL(route.request().url()).searchParams;
      const [from, limit] = [Number(asked.get("cursor") ?? 0), Number(asked.get("limit"))];
      if (!from) fromTheTop += 1;
      check(limit >= 1 && limit <= 200, `limit ${limit}`);
      return route.fulfill({ json: { children: all.slice(from, from + limit), next_cursor: from + limit < all.length ? String(from + limit) : null } });
    });
    await page.goto(`${base}/workflows/refund-approval/${id}`);
    const nodes = page.locator(".tree ul ul .node");
    const more = page.locator(".tree").getByRole("button", { name: "Show more" });
    await nodes.nth(49).waitFor();
    for (const count of [100, 150, 200, 250, 260]) {
      await more.click();
      await page.waitForFunction((count) => document.querySelectorAll(".tree ul ul .node").length === count, count);
    }
    // The next reading begins after all was shown; when the one after it begins, the next is drawn.
    const after = fromTheTop + 2;
    while (fromTheTop < after) await page.waitForTimeout(100);
    equal(await nodes.count(), all.length, "children that are shown");
    check(await more.isHidden(), "there is no more");
    await post(base, `/v1/executions/${id}/stop`, {});
    await guard();
  },

  async "tree: the children of a distributed Map stand under their map run with its sums"(base) {
    const { id } = await run(base, "review-batch", {});
    const { page, guard } = await visit(base, `/workflows/review-batch/${id}`);
    const group = page.locator(".tree .node", { hasText: "Map run of Reviews" });
    await group.waitFor();
    check(/10 items · 10 succeeded/.test(await group.innerText()), await group.innerText());
    await group.getByRole("button").focus();
    await page.keyboard.press("Enter");
    await page.locator(".tree ul ul ul .node").first().waitFor();
    equal(await page.locator(".tree ul ul ul .node").count(), 10, "children");
    await shot(page, "tree-map");
    await page.locator(".tree ul ul ul .node a").first().click();
    await page.locator('.face[data-state="Score"][data-status="done"]').waitFor();
    await page.locator(".tree ul ul ul [aria-current]").waitFor();
    equal(await page.locator(".tree .node").first().locator("a").first().innerText(), "review-batch", "the top");
    await shot(page, "tree-child");
    await guard();
  },

  async "forks: light, dark and 360 pixels: contrast, focus, and no sideways scrolling"(base) {
    const id = await refused(base, "F-9");
    const { events } = await api(base, `/v1/executions/${id}/history`);
    const at = events.find(({ type }) => type === "TaskStateEntered").seq;
    const fork = await post(base, `/v1/executions/${id}/fork`, { at });
    for (const options of [{ colorScheme: "light" }, { colorScheme: "dark" }, { viewport: { width: 360, height: 740 } }, { viewport: { width: 2560, height: 1300 } }]) {
      const name = options.colorScheme ?? `${options.viewport.width}`;
      const { page, guard } = await visit(base, `/workflows/refund-approval/${fork.id}?with=${id}`, options);
      await page.locator(".pair-row .head").first().waitFor();
      await page.locator(".pair-row .head").nth(1).click();
      const poor = await page.evaluate(contrast);
      check(poor.length === 0, `${name}: ${poor.slice(0, 5).join("; ")}`);
      equal(await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth), 0, `sideways scrolling on ${name}`);
      await shot(page, `fork-${name}`);
      await focusVisible(page, 20);
      await guard();
    }
    await post(base, `/v1/executions/${fork.id}/stop`, {});
  },
};
