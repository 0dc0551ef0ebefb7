// Servers, browsers and the guards that hold in every case: no console error, no violation of the policy, no request to
// another origin, no horizontal scrolling.

import { spawn } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { chromium } from "playwright-core";

const CHROMIUM = process.env.CHROMIUM ?? "/usr/bin/chromium";
export const ARTEFACTS = process.env.ARTEFACTS ?? join(tmpdir(), "bedplate-page");

/** Fails with a message that says what was expected. */
export function check(holds, message) {
  if (!holds) throw new Error(message);
}

export function equal(found, expected, what) {
  check(found === expected, `${what}: expected ${JSON.stringify(expected)}, found ${JSON.stringify(found)}`);
}

/** A server of its own, on a port that the system chose, with a data folder that goes away with it. */
export class Server {
  constructor(binary, project) {
    this.binary = binary;
    this.project = project;
    this.data = mkdtempSync(join(tmpdir(), "bedplate-page-data-"));
    this.listen = "127.0.0.1:0";
  }

  async start() {
    const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !/^(AWS|ANTHROPIC|OPENAI|OLLAMA|BEDPLATE)_/.test(name)));
    this.process = spawn(this.binary, ["up", this.project, "--listen", this.listen, "--data", this.data, "--model", "rehearsal"], { env, stdio: ["ignore", "pipe", "pipe"] });
    let said = "";
    const address = new Promise((resolve, reject) => {
      const read = (chunk) => {
        said += chunk;
        const found = /http:\/\/127\.0\.0\.1:\d+/.exec(said);
        if (found) resolve(found[0]);
      };
      this.process.stdout.on("data", read);
      this.process.stderr.on("data", read);
      this.process.on("exit", (code) => reject(new Error(`the server ended with ${code}: ${said}`)));
    });
    this.url = await address;
    // It comes back at the same address after it was killed.
    this.listen = new URL(this.url).host;
    for (;;) {
      const ready = await fetch(`${this.url}/readyz`).then((response) => response.ok, () => false);
      if (ready) return this;
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }

  /** Kills it as a power cut would. */
  async kill() {
    this.process.removeAllListeners("exit");
    const gone = new Promise((resolve) => this.process.once("exit", resolve));
    this.process.kill("SIGKILL");
    await gone;
  }

  async stop() {
    if (this.process && this.process.exitCode === null && this.process.signalCode === null) await this.kill();
    rmSync(this.data, { recursive: true, force: true });
  }
}

let browser;

export async function launch() {
  browser = await chromium.launch({ executablePath: CHROMIUM, args: ["--no-sandbox"] });
  mkdirSync(ARTEFACTS, { recursive: true });
  return browser.version();
}

export async function close() {
  await browser?.close();
}

/**
 * Opens the page of a server in a browser of its own, with guards.
 * Options: `offline` allows the console to name failed connections, everything else is Playwright's.
 */
export async function visit(base, path = "/", { offline = false, ...options } = {}) {
  const context = await browser.newContext({ viewport: { width: 1280, height: 800 }, reducedMotion: "reduce", ...options });
  await context.addInitScript(() => {
    window.violations = [];
    document.addEventListener("securitypolicyviolation", (event) => window.violations.push(`${event.violatedDirective} ${event.blockedURI}`));
  });
  const page = await context.newPage();
  const faults = [];
  page.on("console", (message) => {
    if (!["error", "warning"].includes(message.type())) return;
    if (offline && /ERR_|Failed to load resource/.test(message.text())) return;
    faults.push(`console: ${message.text()}`);
  });
  page.on("pageerror", (error) => faults.push(`page error: ${error.message}`));
  page.on("request", (request) => {
    const { protocol, origin } = new URL(request.url());
    if (origin !== base && protocol !== "data:") faults.push(`request to ${request.url()}`);
  });
  await page.goto(base + path);
  /** Options: `expected` names what the console may say of this visit. */
  const guard = async (expected) => {
    for (let index = faults.length - 1; expected && index >= 0; index -= 1) if (expected.test(faults[index])) faults.splice(index, 1);
    faults.push(...(await page.evaluate(() => window.violations)));
    const wide = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
    if (wide > 0) faults.push(`the page scrolls sideways by ${wide} pixels at ${page.url()}`);
    check(faults.length === 0, faults.join("\n"));
    await context.close();
  };
  return { page, guard, context };
}

/** Takes a picture of what is open and closes it: called after a case, and of use when it failed. */
export async function clear(failed) {
  for (const context of browser?.contexts() ?? []) {
    for (const [index, page] of context.pages().entries()) {
      if (failed) await page.screenshot({ path: join(ARTEFACTS, `failed-${failed.replace(/\W+/g, "-").slice(0, 60)}-${index}.png`) }).catch(() => {});
      if (failed) console.log(`        at ${page.url()}`);
    }
    await context.close().catch(() => {});
  }
}

export async function shot(page, name) {
  await page.screenshot({ path: join(ARTEFACTS, `${name}.png`) });
}

/** Writes a message and sends it with Enter. */
export async function say(page, text) {
  await page.getByRole("textbox", { name: "Message" }).fill(text);
  await page.keyboard.press("Enter");
}

/** Waits until the turn with this number (from 1) is over, and returns its answer as it is shown. */
export async function answer(page, number) {
  const turn = page.locator(".turns > .turn").nth(number - 1);
  await turn.waitFor();
  await page.waitForFunction((index) => {
    const turn = document.querySelectorAll(".turns > .turn")[index];
    return turn && !turn.classList.contains("live");
  }, number - 1);
  return turn;
}

export async function api(base, path, options = {}) {
  const response = await fetch(base + path, options);
  check(response.ok, `${path} answered ${response.status}: ${response.ok ? "" : await response.text()}`);
  return response.json();
}

/** Returns the session and user that the page's address names. */
export function addressed(page) {
  const url = new URL(page.url());
  return { session: decodeURIComponent(url.pathname.split("/")[2] ?? ""), user: url.searchParams.get("user") };
}

/** Returns the text of a session's last answer, as the API has it. */
export async function lastText(base, page) {
  const { session, user } = addressed(page);
  const { messages } = await api(base, `/v1/sessions/${encodeURIComponent(session)}/messages?user_id=${encodeURIComponent(user)}&limit=200`);
  const last = messages.findLast((message) => message.role === "assistant");
  return last.content.filter((block) => block.type === "text").map((block) => block.text).join("\n\n");
}

/** Returns the words of a text without spaces and Markdown's marks, to compare what is shown with what was said. */
export function bare(text) {
  return text.replace(/[\s*_`#|>~-]+/g, "").replace(/(\d+)\./g, "$1");
}

/** Returns the open run's id by its session. */
export async function runOf(base, page) {
  const { session, user } = addressed(page);
  return (await api(base, `/v1/sessions/${encodeURIComponent(session)}?user_id=${encodeURIComponent(user)}`)).run_id;
}
