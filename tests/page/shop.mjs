// Cases against the manga shop with the rehearsal model: what its people do all day.

import { answer, api, bare, check, equal, lastText, runOf, say, shot, visit } from "./harness.mjs";
import { contrast, focusVisible } from "./look.mjs";

export const shop = {
  async "a whole conversation: example, follow-up, steps, list, address"(base) {
    const { page, guard } = await visit(base);
    await page.locator(".examples button").first().waitFor();
    await shot(page, "chat-empty");
    check((await page.locator(".notice").innerText()).includes("no foundation model"), "the page says that no foundation model answers");
    const question = await page.locator(".examples button").first().innerText();
    await page.locator(".examples button").first().click();
    const first = await answer(page, 1);
    equal(await first.locator(".said").innerText(), question, "the question on the page");
    equal(bare(await first.locator(".prose").last().innerText()), bare(await lastText(base, page)), "the first answer");

    await say(page, "What is 25 * 47?");
    const second = await answer(page, 2);
    check((await second.locator(".prose").last().innerText()).includes("1175"), "the product is in the answer");
    check((await second.locator(".work summary").innerText()).includes("calculate"), "the fold names the tool");
    await second.locator(".work summary").click();
    const row = second.locator(".row[data-kind=tool]");
    await row.locator(".head").click();
    check((await row.locator(".whole").innerText()).includes("25 * 47"), "the row opens to the exact input");
    await shot(page, "chat-steps");
    const titles = await page.locator(".sessions .title").allInnerTexts();
    check(titles.some((title) => title.includes("25 * 47")), `the list has the conversation: ${titles.join(", ")}`);

    await page.reload();
    await answer(page, 2);
    equal(await page.locator(".turns > .turn").count(), 2, "turns after a reload");
    await guard();
  },

  async "a refusal in the conversation, with a note that the agent reads"(base) {
    const { page, guard } = await visit(base);
    await say(page, "MA-10198 arrived damaged, I want my money back");
    const card = page.locator(".approval");
    await card.waitFor();
    equal(await card.locator(".amount").innerText(), "60.94 USD", "the amount comes first");
    await shot(page, "approval-chat");
    await card.getByLabel("Note to the agent").fill("Please send a photo first");
    await card.getByRole("button", { name: "Refuse" }).click();
    await answer(page, 1);
    check((await card.innerText()).includes("Please send a photo first"), "the card keeps the note");
    const { events } = await api(base, `/v1/runs/${await runOf(base, page)}/events?limit=200`);
    const said = events.find((event) => event.type === "question_answered");
    equal(said?.approved, false, "the journal's answer");
    equal(said?.note, "Please send a photo first", "the journal's note");
    equal(events.find((event) => event.type === "tool_returned")?.outcome, "refused", "the call's outcome");
    await guard();
  },

  async "by keyboard alone: keys, search, lists, a message, a decision"(base) {
    const { page, guard } = await visit(base);
    await page.locator(".examples button").first().waitFor();
    await page.keyboard.type("What is 6 * 7?");
    await page.keyboard.press("Enter");
    await answer(page, 1);
    await page.keyboard.press("Escape");
    await page.keyboard.press("?");
    await page.getByRole("dialog").waitFor();
    await page.keyboard.press("Escape");
    await page.getByRole("dialog").waitFor({ state: "detached" });
    await page.keyboard.press("g");
    await page.keyboard.press("r");
    await page.locator("table.runs tbody tr").first().waitFor();
    await page.keyboard.press("j");
    await page.keyboard.press("Enter");
    await page.waitForURL(/\/runs\/[0-9a-f]{32}/);
    await page.locator(".timeline .row").first().waitFor();
    await page.keyboard.press("j");
    await page.keyboard.press("Enter");
    await page.locator(".row.open").waitFor();
    await page.keyboard.press("[");
    await page.waitForURL(/at=\d+/);
    await page.keyboard.press("/");
    await page.keyboard.type("6 * 7");
    await page.locator(".found [role=option]").first().waitFor();
    await page.keyboard.press("Enter");
    await page.waitForURL(/\/chat\//);
    await answer(page, 1);
    await page.keyboard.press("n");
    await page.waitForURL(/\/chat$/);
    await page.keyboard.press("Escape");
    await page.keyboard.press("c");
    await page.keyboard.type("What is 6 * 9?");
    await page.keyboard.press("Shift+Enter");
    await page.keyboard.type("And why?");
    await page.keyboard.press("Enter");
    const turn = await answer(page, 1);
    equal(await turn.locator(".said").innerText(), "What is 6 * 9?\nAnd why?", "a message of two lines");

    await page.keyboard.type("MA-10198 arrived damaged, I want my money back");
    await page.keyboard.press("Enter");
    await page.locator(".approval").waitFor();
    await page.keyboard.press("Escape");
    await page.keyboard.press("g");
    await page.keyboard.press("a");
    await page.locator(".cards .approval").waitFor();
    await page.keyboard.press("j");
    for (let step = 0; step < 8; step += 1) {
      await page.keyboard.press("Tab");
      if ((await page.evaluate(() => document.activeElement.textContent)) === "Refuse") break;
    }
    await page.keyboard.press("Enter");
    await page.locator(".empty").waitFor();
    await page.goBack();
    await answer(page, 2);
    check((await page.locator(".approval").innerText()).includes("Refused"), "the decision stands in the conversation");
    await focusVisible(page, 24);
    await guard();
  },

  async "an approval under Approvals, which the open conversation follows by itself"(base) {
    const { page, guard } = await visit(base);
    await say(page, "MA-10198 arrived damaged, I want my money back");
    await page.locator(".approval").waitFor();
    const other = await visit(base, "/approvals");
    await other.page.locator(".approval").waitFor();
    await shot(other.page, "approvals");
    await other.page.getByRole("button", { name: "Approve" }).first().click();
    await answer(page, 1);
    check((await page.locator(".approval").innerText()).includes("Approved"), "the card in the conversation says so");
    await page.waitForFunction(() => document.querySelector(".rail .count")?.hidden);
    equal((await api(base, "/v1/approvals")).approvals.length, 0, "open questions");
    check((await lastText(base, page)).includes("RT-"), "the return has a number");
    await other.page.locator(".empty").waitFor();
    await shot(other.page, "approvals-empty");
    await shot(page, "approval-done");
    await other.guard();
    await guard();
  },

  async "a run: time line, what the model saw, a position, the journal, fork, replay"(base) {
    const { page, guard } = await visit(base);
    await say(page, "What is 17 * 3?");
    await answer(page, 1);
    const run = await runOf(base, page);
    await page.getByRole("link", { name: "Time line" }).first().click();
    await page.locator(".timeline .row").nth(3).waitFor();
    const { events } = await api(base, `/v1/runs/${run}/events?limit=200`);
    const calls = events.filter((event) => ["model_called", "tool_requested"].includes(event.type)).length;
    equal(await page.locator(".timeline .row").count(), calls + 1, "rows: a turn and its calls");
    await page.locator(".row[data-kind=model] .head").first().click();
    await page.getByRole("button", { name: "What did it see?" }).click();
    await page.getByText("System prompt").waitFor();
    check((await page.locator(".saw").innerText()).includes("MangaAssist"), "the system prompt is shown");
    await shot(page, "run");

    await page.goto(`${base}/runs/${run}?at=3`);
    await page.locator(".timeline .row").first().waitFor();
    equal(await page.locator(".timeline .row").count(), 2, "rows at position 3: the turn and the first model call");
    await page.getByRole("button", { name: "Now" }).click();
    await page.getByRole("button", { name: "Journal" }).click();
    equal(await page.locator(".journal li").count(), events.length, "lines of the journal");
    await shot(page, "run-journal");
    await page.getByRole("button", { name: "Check by replay" }).click();
    await page.getByText("no difference").waitFor();
    await page.keyboard.press("Escape");
    await page.getByRole("button", { name: "Fork from here" }).click();
    await page.waitForURL(/\/chat\//);
    await answer(page, 1);
    await say(page, "What is 2 + 2?");
    check((await (await answer(page, 2)).innerText()).includes("4"), "the fork goes on");
    await guard();
  },

  async "360 pixels: nothing scrolls sideways, the list is a drawer"(base) {
    const { page, guard } = await visit(base, "/", { viewport: { width: 360, height: 740 }, isMobile: true, hasTouch: true });
    await page.locator(".examples button").first().waitFor();
    await shot(page, "phone-empty");
    await say(page, "Show my orders");
    await answer(page, 1);
    await shot(page, "phone-chat");
    await page.getByRole("button", { name: "Conversations" }).tap();
    await page.locator(".side.open .sessions a").first().waitFor();
    await shot(page, "phone-drawer");
    for (const view of ["runs", "approvals", "models", "costs", "project"]) {
      await page.goto(`${base}/${view}`);
      await page.locator("main table, main .empty, main .approval, main .agent").first().waitFor();
      const wide = await page.evaluate(() => document.documentElement.scrollWidth);
      equal(wide, 360, `width of ${view}`);
      await shot(page, `phone-${view}`);
    }
    await page.goto(`${base}/runs`);
    await page.locator("table.runs a").first().tap();
    await page.locator(".timeline .row").first().waitFor();
    await shot(page, "phone-run");
    await guard();
  },

  async "light and dark: every text has contrast AA, the choice is kept"(base) {
    for (const colorScheme of ["light", "dark"]) {
      const { page, guard } = await visit(base, "/", { colorScheme });
      await say(page, "What is 25 * 47, and what is your return policy?");
      await answer(page, 1);
      for (const path of [new URL(page.url()).pathname + new URL(page.url()).search, "/runs", "/approvals", "/models", "/costs", "/project", "/docs"]) {
        await page.goto(base + path);
        await page.locator("main table, main .empty, main .approval, main .agent, main article").first().waitFor();
        const poor = await page.evaluate(contrast);
        check(poor.length === 0, `${colorScheme} ${path}: ${poor.slice(0, 5).join("; ")}`);
        await shot(page, `${colorScheme}-${path.split(/[/?]/)[1]}`);
      }
      await page.goto(`${base}/runs`);
      const shade = () => page.evaluate(() => getComputedStyle(document.body).backgroundColor);
      const before = await shade();
      const other = colorScheme === "light" ? 2 : 1;
      for (let press = 0; press < other; press += 1) await page.getByRole("button", { name: /^Theme/ }).click();
      check((await shade()) !== before, "the other theme looks different");
      const chosen = await shade();
      await page.reload();
      equal(await shade(), chosen, "the theme after a reload");
      await guard();
    }
  },

  async "the description of the API draws every operation"(base) {
    const { page, guard } = await visit(base, "/docs");
    await page.locator("article").first().waitFor();
    const { paths } = await api(base, "/openapi.json");
    const count = Object.values(paths).flatMap((methods) => Object.keys(methods).filter((name) => ["get", "post", "put", "patch", "delete"].includes(name))).length;
    equal(await page.locator("article").count(), count, "operations");
    await guard();
  },

  async "the first paint needs less than 100 KB of script"(base) {
    const { page, guard } = await visit(base);
    await page.locator(".examples button").first().waitFor();
    const found = await page.evaluate(() => {
      const paint = performance.getEntriesByName("first-contentful-paint")[0].startTime;
      const scripts = performance.getEntriesByType("resource").filter((entry) => entry.name.endsWith(".js"));
      const sum = (list) => list.reduce((total, entry) => total + entry.decodedBodySize, 0);
      return { first: sum(scripts.filter((entry) => entry.responseEnd <= paint)), all: sum(scripts), paint: Math.round(paint) };
    });
    console.log(`        first paint after ${found.paint} ms with ${found.first} bytes of script; ${found.all} bytes for a whole chat`);
    check(found.first > 10_000 && found.first < 100_000, `scripts of the first paint: ${found.first} bytes`);
    await guard();
  },

  async "2,560 pixels"(base) {
    const { page, guard } = await visit(base, "/runs", { viewport: { width: 2560, height: 1300 } });
    await page.locator("table.runs a").first().click();
    await page.locator(".timeline .row").first().waitFor();
    await shot(page, "wide-run");
    await page.goto(`${base}/`);
    await page.locator(".examples button").first().waitFor();
    await shot(page, "wide-chat");
    await guard();
  },
};
