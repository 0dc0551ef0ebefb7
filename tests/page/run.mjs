// Drives the page in Debian's Chromium. Prints a line a case and `N passed, N failed` at the end.
//
//   BEDPLATE_BIN   the binary; default target/release/bedplate. Servers are started from it, with data of their own.
//   BEDPLATE_URL   a running server with examples/mangaassist and fresh data, instead of one that is started for it.
//   ARTEFACTS      where the screenshots go.
//   ONLY           a word: only cases whose name contains it.

import { existsSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { ARTEFACTS, Server, clear, close, launch } from "./harness.mjs";
import { editing } from "./editing.mjs";
import { flows } from "./flows.mjs";
import { forks } from "./forks.mjs";
import { gateway, usage } from "./usage.mjs";
import { scripted } from "./scripted.mjs";
import { shop } from "./shop.mjs";

/** How long a case may take, in milliseconds. */
const PATIENCE = 60_000;

const here = dirname(fileURLToPath(import.meta.url));
const root = join(here, "..", "..");
const binary = process.env.BEDPLATE_BIN ?? join(root, "target", "release", "bedplate");
const hasBinary = existsSync(binary);
let passed = 0;
let skipped = 0;
const failures = [];

async function run(name, work) {
  if (process.env.ONLY && !name.includes(process.env.ONLY)) return;
  const began = Date.now();
  let timer;
  try {
    await Promise.race([work(), new Promise((_, reject) => (timer = setTimeout(() => reject(new Error(`not done after ${PATIENCE / 1000} s`)), PATIENCE)))]);
    passed += 1;
    console.log(`  ok    ${name} (${Date.now() - began} ms)`);
  } catch (error) {
    failures.push(name);
    console.log(`  FAIL  ${name}\n        ${String(error.message ?? error).split("\n").slice(0, 12).join("\n        ")}`);
    await clear(name);
  } finally {
    clearTimeout(timer);
    await clear();
  }
}

console.log(`Chromium ${await launch()}; screenshots in ${ARTEFACTS}`);
const servers = [];
try {
  let base = process.env.BEDPLATE_URL?.replace(/\/$/, "");
  if (!base && hasBinary) {
    const server = await new Server(binary, join(root, "examples", "mangaassist")).start();
    servers.push(server);
    base = server.url;
  }
  if (base) for (const [name, work] of Object.entries(shop)) await run(name, () => work(base));
  else {
    skipped += Object.keys(shop).length;
    console.log(`  skipped: ${skipped} cases, because BEDPLATE_URL is not set and ${binary} does not exist`);
  }
  if (hasBinary) {
    const server = await new Server(binary, join(here, "project")).start();
    servers.push(server);
    for (const [name, work] of Object.entries(scripted)) await run(name, () => work(server));
    const machines = await new Server(binary, join(root, "examples", "workflows")).start();
    servers.push(machines);
    for (const [name, work] of Object.entries({ ...flows, ...editing, ...forks })) await run(name, () => work(machines.url));
    const calls = await gateway(binary, servers);
    for (const [name, work] of Object.entries(usage)) await run(name, () => work(calls));
  } else {
    const count = [scripted, flows, editing, forks, usage].reduce((sum, cases) => sum + Object.keys(cases).length, 0);
    skipped += count;
    console.log(`  skipped: ${count} cases, because ${binary} does not exist (BEDPLATE_BIN names another)`);
  }
} finally {
  await close();
  for (const server of servers) await server.stop();
}
if (skipped) console.log(`${skipped} skipped`);
console.log(`${passed} passed, ${failures.length} failed`);
process.exitCode = failures.length || passed === 0 ? 1 : 0;
