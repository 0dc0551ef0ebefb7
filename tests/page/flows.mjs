// Cases against examples/workflows: graphs, executions that are started from the page, decisions, stop and redrive.

import { api, check, equal, shot, visit } from "./harness.mjs";
import { contrast, focusVisible } from "./look.mjs";

/** Starts a workflow from its page and waits until its execution is shown. */
async function start(page, base, name, input, mocks) {
  await page.goto(`${base}/workflows`);
  await page.getByRole("link", { name, exact: true }).click();
  await page.locator(".graph .face").first().waitFor();
  await page.getByRole("textbox", { name: "Input as JSON" }).fill(JSON.stringify(input));
  if (mocks) await page.getByLabel("Prepared answers").selectOption(mocks);
  await page.getByRole("button", { name: "Start", exact: true }).click();
  await page.locator(".execution .visits button").first().waitFor();
}

const face = (page, state) => page.locator(`.graph .face[data-state="${state}"]`);
const ended = (page, word) => page.locator(".execution > header .badge", { hasText: word }).waitFor();
const idOf = (page) => new URL(page.url()).pathname.split("/")[3];

export const flows = {
  async "workflows: the table names every workflow of the project"(base) {
    const { page, guard } = await visit(base, "/workflows");
    await page.locator("table.workflows tbody tr").first().waitFor();
    const { workflows } = await api(base, "/v1/workflows");
    equal(JSON.stringify(await page.locator("table.workflows td:first-child").allInnerTexts()), JSON.stringify(workflows.map(({ name }) => name)), "names");
    await shot(page, "workflows");
    await guard();
  },

  async "workflows: each graph has every state, in boxes of their own that lie within their parents"(base) {
    const { page, guard } = await visit(base, "/workflows");
    const { workflows } = await api(base, "/v1/workflows");
    const names = (machine) => Object.entries(machine.States).flatMap(([name, state]) => [name, ...[...(state.Branches ?? []), state.ItemProcessor, state.Iterator].filter(Boolean).flatMap(names)]);
    for (const { name } of workflows) {
      await page.goto(`${base}/workflows`);
      await page.getByRole("link", { name, exact: true }).click();
      await page.locator(".graph .face").first().waitFor();
      const { definition } = await api(base, `/v1/workflows/${name}`);
      const drawn = await page.locator(".graph .face").evaluateAll((all) => all.map((node) => node.dataset.state));
      equal(JSON.stringify(drawn.sort()), JSON.stringify(names(JSON.parse(definition)).sort()), `states of ${name}`);
      const clashes = await page.evaluate(() => {
        const boxes = [...document.querySelectorAll(".graph .node")].map((node) => [node, node.querySelector(".shape").getBoundingClientRect()]);
        return boxes.flatMap(([one, a], at) => boxes.slice(at + 1).filter(([other, b]) => {
          const apart = a.right <= b.left || b.right <= a.left || a.bottom <= b.top || b.bottom <= a.top;
          if (one.contains(other)) return !(b.left >= a.left && b.right <= a.right && b.top >= a.top && b.bottom <= a.bottom);
          return !apart;
        }).map(([other]) => `${one.textContent} / ${other.textContent}`));
      });
      equal(clashes.join("; "), "", `boxes of ${name} that lie over one another`);
      await shot(page, `workflow-${name}`);
    }
    await guard();
  },

  async "workflows: an input that is no JSON is refused with its place, and nothing is started"(base) {
    const { page, guard } = await visit(base, "/workflows");
    await page.getByRole("link", { name: "refund-approval", exact: true }).click();
    await page.getByRole("textbox", { name: "Input as JSON" }).fill('{\n  "amount": 80,\n  oops\n}');
    await page.getByRole("button", { name: "Start", exact: true }).click();
    const said = await page.getByRole("alert").innerText();
    check(/line 3/.test(said), `the line is named: ${said}`);
    equal(new URL(page.url()).pathname, "/workflows/refund-approval", "the address");
    equal((await api(base, "/v1/executions?workflow=refund-approval")).executions.length, 0, "executions");
    await shot(page, "workflow-bad-input");
    await guard();
  },

  async "workflows: a refund waits on its graph, and goes on live when the inbox approves it"(base) {
    const { page, guard } = await visit(base, "/workflows");
    await start(page, base, "refund-approval", { order: "A-17", amount: 80 });
    await page.locator('.face[data-state="AskAPerson"][data-status="waiting"]').waitFor();
    check(/waiting/.test(await face(page, "AskAPerson").getAttribute("aria-label")), "the state is named, not only coloured");
    await shot(page, "execution-waiting");
    const inbox = await visit(base, "/approvals");
    const card = inbox.page.locator(".approval", { hasText: "A-17" });
    await card.waitFor();
    check(/Refund 80 for order A-17/.test(await card.innerText()), "the question");
    check(/Times out in 1 d|Times out in 24 h/.test(await card.innerText()), `the deadline: ${await card.innerText()}`);
    await shot(inbox.page, "approvals-workflow");
    await card.getByRole("button", { name: "Approve", exact: true }).click();
    await ended(page, "Succeeded");
    await page.locator('.face[data-state="Approved"][data-status="done"]').waitFor();
    const { output } = await api(base, `/v1/executions/${idOf(page)}`);
    equal(JSON.stringify(output), JSON.stringify({ order: "A-17", amount: 80, refunded: true }), "the output");
    await inbox.guard();
    await guard();
  },

  async "workflows: a refusal on the execution's own page is shown as caught, with input, output and events"(base) {
    const { page, guard } = await visit(base, "/workflows");
    await start(page, base, "refund-approval", { order: "B-2", amount: 900 });
    await page.getByRole("textbox", { name: "Note" }).fill("too much");
    await page.getByRole("button", { name: "Refuse", exact: true }).click();
    await ended(page, "Succeeded");
    await page.locator('.face[data-state="AskAPerson"][data-status="caught"]').waitFor();
    await face(page, "AskAPerson").focus();
    await page.keyboard.press("Enter");
    const panel = page.getByRole("region", { name: "State" });
    const said = await panel.innerText();
    for (const word of ["AskAPerson", "caught", "Approval.Refused", "too much", "Input", "Output", "TaskSubmitted"]) check(said.includes(word), `the panel names ${word}: ${said}`);
    check(new URL(page.url()).searchParams.get("state") === "AskAPerson", "the address names the state");
    await shot(page, "execution-caught");
    await guard();
  },

  async "workflows: a failure says what it was, and redrive goes on from it"(base) {
    const { page, guard } = await visit(base, "/workflows");
    await start(page, base, "research", { user_id: "u", research_query: "q" }, "ResearchFails");
    await ended(page, "Failed");
    await page.locator('.face[data-state="ResearchAgent"][data-status="failed"]').waitFor();
    check(/the agent gave no answer/.test(await page.locator(".execution .outcome").innerText()), "the cause");
    await shot(page, "execution-failed");
    await page.getByRole("button", { name: "Redrive" }).click();
    await page.getByText("Redriven", { exact: true }).waitFor();
    equal((await api(base, `/v1/executions/${idOf(page)}`)).redrives, 1, "redrives");
    await guard();
  },

  async "workflows: three agents in a line, and two side by side with an evaluator, run to their ends"(base) {
    const { page, guard } = await visit(base, "/workflows");
    await start(page, base, "research", { user_id: "u", research_query: "What is a model?" });
    await ended(page, "Succeeded");
    equal(await page.locator('.face[data-status="done"]').count(), 3, "states done");
    await start(page, base, "fan-out", { question: "Is it good?" });
    await ended(page, "Succeeded");
    for (const state of ["Angles", "Facts", "Doubts", "Done"]) equal(await face(page, state).getAttribute("data-status"), "done", state);
    const { events } = await api(base, `/v1/executions/${idOf(page)}`);
    equal(await page.locator(".history li").count(), events, "events of the history");
    await shot(page, "execution-fan-out");
    const here = new URL(page.url()).pathname;
    await page.goto(`${base}/runs`);
    await page.locator(`table.runs a[href="/runs/${here.split("/")[3]}"]`).click();
    await page.locator(".execution .visits button").first().waitFor();
    equal(new URL(page.url()).pathname, here, "where the list of runs leads");
    await guard();
  },

  async "workflows: stop ends what waits"(base) {
    const { page, guard } = await visit(base, "/workflows");
    await start(page, base, "refund-approval", { order: "C-3", amount: 70 });
    await page.locator('.face[data-status="waiting"]').waitFor();
    await page.getByRole("button", { name: "Stop" }).click();
    await ended(page, "Stopped");
    equal((await api(base, `/v1/executions/${idOf(page)}`)).status, "ABORTED", "the status");
    await page.locator(".approval").waitFor({ state: "detached" });
    await guard();
  },

  async "workflows: light, dark and 360 pixels: contrast, focus, and no sideways scrolling"(base) {
    for (const options of [{ colorScheme: "light" }, { colorScheme: "dark" }, { viewport: { width: 360, height: 740 } }]) {
      const { page, guard } = await visit(base, "/workflows", options);
      const name = options.colorScheme ?? "phone";
      await start(page, base, "refund-approval", { order: "D-4", amount: 75 });
      await page.locator('.face[data-status="waiting"]').waitFor();
      const poor = await page.evaluate(contrast);
      check(poor.length === 0, `${name}: ${poor.slice(0, 5).join("; ")}`);
      equal(await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth), 0, `sideways scrolling on ${name}`);
      await shot(page, `execution-${name}`);
      await focusVisible(page, 30);
      await page.getByRole("link", { name: "Workflow", exact: true }).click();
      await page.locator(".graph .face").first().waitFor();
      await shot(page, `workflow-${name}`);
      await guard();
    }
  },
};
