// Measures Restate (server and Node SDK) and prints one line of JSON; the fields are described in ../README.md.
//
// Usage: node bench.mjs --packages DIR [--tmp DIR] [--seconds 6] [--at-once 256] [--runs 300] [--waiting 5000]
//
// Both processes run with their defaults, fsync included. That fsync is on is not taken on trust: the server's dumped
// configuration has `rocksdb-disable-wal-fsync = false` for the log server, which holds the journal, and its counter
// `restate_rocksdb_wal_synced_total{db="log-server"}` must have grown with the runs, else this program fails.
import { mkdtempSync } from "node:fs";
import { Agent } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { parseArgs } from "node:util";
import { call, latencies, openWaiting, throughput } from "./load.mjs";
import * as processes from "./processes.mjs";

const { values: options } = parseArgs({
  options: {
    packages: { type: "string" },
    tmp: { type: "string", default: tmpdir() },
    seconds: { type: "string", default: "6" },
    "at-once": { type: "string", default: "256" },
    runs: { type: "string", default: "300" },
    waiting: { type: "string", default: "5000" },
  },
});

process.on("exit", processes.stopAll);
for (const signal of ["SIGINT", "SIGTERM"]) process.on(signal, () => process.exit(130));
const seconds = Number(options.seconds);
setTimeout(() => fail(new Error("took too long")), (60 + 2 * seconds) * 1000).unref();

try {
  console.log(JSON.stringify(await measure()));
  process.exit(0);
} catch (error) {
  fail(error);
}

function fail(error) {
  console.error(`restate: ${error.message}`);
  process.exit(1);
}

async function measure() {
  const folder = mkdtempSync(join(options.tmp, "restate-"));
  processes.removeAtEnd(folder);
  const ports = {
    node: await processes.freePort(),
    ingress: await processes.freePort(),
    admin: await processes.freePort(),
    service: await processes.freePort(),
  };
  const durability = await processes.durabilityConfig(options.packages, ports, folder);
  if (!durability.walFsync) throw new Error("fsync is off by configuration");
  const service = processes.startService(options.packages, ports.service, folder);
  await processes.untilListening(service, ports.service);

  const first = await timedStart(ports, folder);
  await register(ports);
  await untilAnswer(ports);
  await processes.stop(first.server);
  const second = await timedStart(ports, folder, { answer: true });
  const loaded = await measureRuns(ports, second.server, service);
  await processes.stop(second.server);

  // On a server of its own, since one that has been under load has free heap that would hide the cost.
  const waiting = Number(options.waiting) > 0 ? await measureWaiting(ports, service) : null;
  await processes.stop(service);

  return {
    peer: "restate",
    version: processes.serverVersion(options.packages),
    fsync: durability.walFsync,
    log_provider: durability.provider,
    ...loaded,
    first_start_ready_ms: round(first.readyMs),
    second_start_ready_ms: round(second.readyMs),
    second_start_first_answer_ms: round(second.answerMs),
    waiting,
  };
}

/** Measures idle memory, then single runs, then many at once, on a server that is ready. */
async function measureRuns(ports, server, service) {
  await sleep(2000);
  const idleServer = processes.residentMemory(server);
  const idleService = processes.residentMemory(service);

  await latencies(ports.ingress, 3, 200);
  const threeSteps = await latencies(ports.ingress, 3, Number(options.runs));

  const syncsBefore = await processes.walSyncs(ports.node);
  const atOnce = Number(options["at-once"]);
  // Node compiles hot code as it goes; without this the first of the two rates would pay for both.
  await throughput(ports.ingress, 10, atOnce, 2);
  const ten = await throughput(ports.ingress, 10, atOnce, seconds);
  const thirty = await throughput(ports.ingress, 30, atOnce, seconds);
  const syncs = (await processes.walSyncs(ports.node)) - syncsBefore;
  if (syncs === 0) throw new Error("no write-ahead log was synced under load");

  return {
    at_once: atOnce,
    seconds,
    steps_per_s_runs_of_10: round(ten.stepsPerSecond),
    steps_per_s_runs_of_30: round(thirty.stepsPerSecond),
    runs_of_10: ten.runs,
    runs_of_30: thirty.runs,
    wal_syncs_under_load: syncs,
    three_steps_p50_ms: round(quantile(threeSteps, 0.5)),
    three_steps_p99_ms: round(quantile(threeSteps, 0.99)),
    three_steps_runs: threeSteps.length,
    idle_server_rss_bytes: idleServer.rss,
    idle_server_anon_bytes: idleServer.anon,
    idle_service_rss_bytes: idleService.rss,
    loaded_server_rss_bytes: processes.residentMemory(server).rss,
    loaded_service_rss_bytes: processes.residentMemory(service).rss,
  };
}

/** Opens the waiting connections on a fresh server and returns what they cost. */
async function measureWaiting(ports, service) {
  const folder = mkdtempSync(join(options.tmp, "restate-"));
  processes.removeAtEnd(folder);
  const { server } = await timedStart(ports, folder);
  await register(ports);
  await untilAnswer(ports);
  await latencies(ports.ingress, 3, 50);
  await sleep(1000);
  const serverBefore = processes.residentMemory(server);
  const serviceBefore = processes.residentMemory(service);

  const asked = Number(options.waiting);
  const clients = openWaiting(ports.ingress, asked);
  const end = performance.now() + 25_000;
  let suspended = 0;
  while (suspended < asked && clients.failures.length === 0 && performance.now() < end) {
    await sleep(500);
    suspended = await suspendedRuns(ports);
  }
  await sleep(1000);
  const serverAfter = processes.residentMemory(server);
  const serviceAfter = processes.residentMemory(service);
  clients.close();
  await processes.stop(server);

  return {
    asked,
    suspended,
    failures: clients.failures.length,
    first_failure: clients.failures[0] ?? null,
    server_rss_before_bytes: serverBefore.rss,
    server_rss_after_bytes: serverAfter.rss,
    server_bytes_each: suspended ? Math.round((serverAfter.rss - serverBefore.rss) / suspended) : null,
    service_bytes_each: suspended ? Math.round((serviceAfter.rss - serviceBefore.rss) / suspended) : null,
  };
}

/**
 * Starts the server on `folder` and times, from the start of its process, until its ingress and its admin interface
 * say that they are healthy and, where the service is known already, until a run of three steps has been answered.
 */
async function timedStart(ports, folder, { answer } = { answer: false }) {
  const begin = performance.now();
  const server = processes.startServer(options.packages, ports, folder);
  await processes.untilOk(server, `http://127.0.0.1:${ports.admin}/health`);
  await processes.untilOk(server, `http://127.0.0.1:${ports.ingress}/restate/health`);
  const readyMs = performance.now() - begin;
  if (answer) await untilAnswer(ports);
  return { server, readyMs, answerMs: answer ? performance.now() - begin : null };
}

async function register(ports) {
  const response = await fetch(`http://127.0.0.1:${ports.admin}/deployments`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ uri: `http://127.0.0.1:${ports.service}` }),
  });
  if (!response.ok) throw new Error(`the service was not registered: ${response.status} ${await response.text()}`);
}

/** Waits until one run of three steps is answered; a server that is healthy may still refuse for a moment. */
async function untilAnswer(ports) {
  const agent = new Agent({ keepAlive: false });
  const end = performance.now() + 20_000;
  for (;;) {
    try {
      return await call(agent, ports.ingress, "steps", { n: 3 }, 10_000);
    } catch (error) {
      if (performance.now() > end) throw error;
      await sleep(2);
    }
  }
}

async function suspendedRuns(ports) {
  const response = await fetch(`http://127.0.0.1:${ports.admin}/query`, {
    method: "POST",
    headers: { "content-type": "application/json", accept: "application/json" },
    body: JSON.stringify({ query: "SELECT count(*) AS n FROM sys_invocation_status WHERE status = 'suspended'" }),
  });
  if (!response.ok) throw new Error(`the query was refused: ${response.status} ${await response.text()}`);
  return Number((await response.json()).rows[0].n);
}

function quantile(sorted, q) {
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * q))];
}

function round(value) {
  return value === null ? null : Math.round(value * 100) / 100;
}
