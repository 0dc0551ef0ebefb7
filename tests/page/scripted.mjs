// Cases against scripted agents: slow answers, markup, failures, a server that dies, a server that wants a key.

import { answer, api, bare, check, equal, lastText, runOf, say, shot, visit } from "./harness.mjs";

/** Returns the words of the answer that are on the page now. */
const shown = (page) => page.locator(".prose").last().innerText().catch(() => "");

async function choose(page, agent) {
  await page.locator(".examples button").first().waitFor();
  await page.getByLabel("Agent").selectOption(agent);
}

/** Waits until at least so many words of the story are on the page. */
async function words(page, count) {
  await page.waitForFunction((word) => document.querySelector(".prose")?.textContent?.includes(word), `word${count} `);
}

export const scripted = {
  async "a reload in mid-stream loses nothing"({ url }) {
    const { page, guard } = await visit(url);
    await choose(page, "story");
    await say(page, "Tell me a story");
    await words(page, 20);
    await shot(page, "chat-streaming");
    const before = bare(await shown(page));
    const second = await visit(url, new URL(page.url()).pathname + new URL(page.url()).search);
    await page.reload();
    await words(page, 20);
    const after = bare(await shown(page));
    check(after.startsWith(before.slice(0, -8)), `what was there is there again: ${before.slice(-40)} / ${after.slice(0, 80)}`);
    check(await page.locator(".turn.live").count(), "the turn is still under way after the reload");
    for (const one of [page, second.page]) {
      await answer(one, 1);
      equal(bare(await shown(one)), bare(await lastText(url, page)), "the whole answer");
      equal(await one.locator(".turns > .turn").count(), 1, "turns");
    }
    const { events } = await api(url, `/v1/runs/${await runOf(url, page)}/events?limit=200`);
    equal(events.filter((event) => event.type === "turn_started").length, 1, "turns in the journal");
    await second.guard();
    await guard();
  },

  async "text grows without jumps: what is read stays where it is"({ url }) {
    const { page, guard } = await visit(url, "/", { viewport: { width: 1280, height: 360 } });
    await choose(page, "story");
    await say(page, "Tell me a story");
    await page.waitForFunction(() => document.querySelector(".log").scrollTop > 40);
    const heading = page.locator(".prose > *").first();
    await heading.evaluate((node) => (window.first = node));
    await page.locator(".log").evaluate((log) => (log.scrollTop = 0));
    const top = await heading.evaluate((node) => node.getBoundingClientRect().top);
    await words(page, 90);
    equal(await heading.evaluate((node) => node.getBoundingClientRect().top), top, "the place of the first line");
    check(await heading.evaluate((node) => node === window.first), "the first block is the same node");
    await page.getByRole("button", { name: "Latest" }).waitFor();
    await answer(page, 1);
    await guard();
  },

  async "stop ends the answer, keeps what was said, and the conversation goes on"({ url }) {
    const { page, guard } = await visit(url);
    await choose(page, "story");
    await say(page, "Tell me a story");
    await words(page, 15);
    await page.getByRole("button", { name: "Stop" }).click();
    const turn = await answer(page, 1);
    check((await turn.innerText()).includes("Cancelled"), "the turn says that it was cancelled");
    check((await turn.innerText()).includes("word15"), "what was said is kept");
    await shot(page, "chat-cancelled");
    await say(page, "Again, please");
    await words(page, 5);
    await page.getByRole("button", { name: "Stop" }).click();
    await answer(page, 2);
    await guard();
  },

  async "a second message waits for the first"({ url }) {
    const { page, guard } = await visit(url);
    await choose(page, "story");
    await say(page, "Tell me a story");
    await words(page, 5);
    await say(page, "And another one");
    await page.getByText("Queued").waitFor();
    await shot(page, "chat-queued");
    await say(page, "And a third");
    const third = page.locator(".turns > .turn").nth(2);
    await third.getByRole("button", { name: "Withdraw" }).click();
    await third.getByText("Cancelled").waitFor();
    await answer(page, 1);
    await page.waitForFunction(() => document.querySelectorAll(".turns > .turn")[1]?.querySelector(".prose"));
    await page.getByRole("button", { name: "Stop" }).click();
    await answer(page, 2);
    const { events } = await api(url, `/v1/runs/${await runOf(url, page)}/events?limit=200`);
    equal(events.filter((event) => event.type === "turn_queued").length, 2, "turns that waited");
    equal(events.filter((event) => event.type === "queued_turn_started").length, 1, "turns of them that began");
    await guard();
  },

  async "markup of a person, a model and a tool stays text"({ url }) {
    const { page, guard } = await visit(url);
    await choose(page, "markup");
    const probe = '<img src=x onerror="window.xss=1"><script>window.xss=1</script>';
    await say(page, probe);
    const turn = await answer(page, 1);
    equal(await turn.locator(".said").innerText(), probe, "the person's text");
    check((await turn.locator(".prose").innerText()).includes("<img src=x onerror=window.xss=1>"), "the model's text");
    await turn.locator(".work summary").click();
    for (const row of await turn.locator(".row .head").all()) await row.click();
    await shot(page, "chat-markup");
    const run = await runOf(url, page);
    for (const path of [null, `/runs/${run}`, "/runs"]) {
      if (path) {
        await page.goto(url + path);
        await page.locator("main .row .head, main table a").first().waitFor();
      }
      const found = await page.evaluate(() => ({
        ran: window.xss, elements: document.querySelectorAll("main img, main script, main iframe, main svg[onload]").length,
        links: [...document.querySelectorAll("main a")].map((link) => link.protocol).filter((protocol) => !["http:", "https:", "mailto:"].includes(protocol)),
      }));
      equal(found.ran, undefined, "a script that ran");
      equal(found.elements, 0, "elements made from text");
      equal(found.links.length, 0, `links to ${found.links}`);
    }
    await page.goBack();
    await guard();
  },

  async "a model that fails: the page says what happened and what to do"({ url }) {
    const { page, guard } = await visit(url);
    await choose(page, "fails");
    await say(page, "Hello?");
    const turn = await answer(page, 1);
    const text = await turn.locator(".outcome").innerText();
    check(text.includes("Model failed") && text.includes("bedplate doctor"), text);
    await shot(page, "chat-failed");
    await guard();
  },

  async "a session that is not there, and a view of nothing"({ url }) {
    const { page, guard } = await visit(url, "/chat/nobody?user=nobody", { offline: true });
    await page.getByText("no such session", { exact: false }).waitFor();
    await page.getByRole("link", { name: "Start a new conversation" }).click();
    await page.locator(".examples button").first().waitFor();
    await page.goto(`${url}/runs/${"0".repeat(32)}`);
    await page.getByText("no such run").waitFor();
    await shot(page, "error");
    await guard();
  },

  async "kill -9 in mid-stream and a new start: a quiet line, then the whole answer, once"(server) {
    const { url } = server;
    const { page, guard } = await visit(url, "/", { offline: true });
    await choose(page, "story");
    await say(page, "Tell me a story");
    await words(page, 20);
    await server.kill();
    await page.locator(".lost:not([hidden])").waitFor();
    await shot(page, "connection-lost");
    await server.start();
    await page.locator(".lost").waitFor({ state: "hidden" });
    await answer(page, 1);
    equal(bare(await shown(page)), bare(await lastText(url, page)), "the whole answer");
    const { events } = await api(url, `/v1/runs/${await runOf(url, page)}/events?limit=200`);
    equal(events.filter((event) => event.type === "turn_started").length, 1, "turns in the journal");
    equal(events.filter((event) => event.type === "turn_ended").length, 1, "ends in the journal");
    await guard();
  },

  async "a message to a server that is away: nothing is lost, nothing is doubled"(server) {
    const { url } = server;
    const { page, guard } = await visit(url, "/", { offline: true });
    await choose(page, "markup");
    await say(page, "First");
    await answer(page, 1);
    await server.kill();
    await say(page, "Second");
    await page.getByText("trying again").waitFor();
    await server.start();
    await page.waitForFunction(() => document.querySelectorAll(".turns > .turn").length === 2 || [...document.querySelectorAll("button")].some((button) => button.textContent === "Send again"));
    const again = page.getByRole("button", { name: "Send again" });
    if (await again.count()) await again.click();
    await answer(page, 2);
    const { events } = await api(url, `/v1/runs/${await runOf(url, page)}/events?limit=200`);
    equal(events.filter((event) => event.type === "turn_started").length, 2, "turns in the journal");
    await guard();
  },

  async "a server with a key: the page asks for it, keeps it with the tab, and speaks for its user"(server) {
    const { url } = server;
    const made = await api(url, "/v1/keys", { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify({ name: "page", user_id: "ann" }) });
    const { page, guard } = await visit(url, "/", { offline: true });
    await page.getByRole("dialog").waitFor();
    await shot(page, "key");
    await page.getByLabel("API key").last().fill(made.key);
    await page.getByRole("button", { name: "Use this key" }).click();
    await choose(page, "markup");
    equal(await page.getByLabel("As user").inputValue(), "ann", "the user that the key is bound to");
    await say(page, "Hello");
    await answer(page, 1);
    await page.reload();
    await answer(page, 1);
    equal(await page.evaluate(() => JSON.stringify(Object.entries(localStorage)).includes("bp_")), false, "the key in local storage");
    await guard();
  },
};
