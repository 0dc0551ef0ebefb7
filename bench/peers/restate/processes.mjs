// Starts, watches and stops the two processes of the peer: restate-server and the Node service.
//
// Everything started here is ended by `stopAll`, also when the loader fails or is interrupted.
import { spawn } from "node:child_process";
import { closeSync, openSync, readFileSync, rmSync } from "node:fs";
import { get } from "node:http";
import { createRequire } from "node:module";
import { connect, createServer } from "node:net";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";

const SERVER_PACKAGE = "node_modules/@restatedev/restate-server/package.json";
const children = new Set();
const folders = new Set();

/** Returns a port of the loopback address that was free a moment ago. */
export function freePort() {
  return new Promise((resolve, reject) => {
    const probe = createServer();
    probe.once("error", reject);
    probe.listen(0, "127.0.0.1", () => {
      const { port } = probe.address();
      probe.close(() => resolve(port));
    });
  });
}

/** Registers a folder that `stopAll` removes. */
export function removeAtEnd(folder) {
  folders.add(folder);
}

/** Starts restate-server on the given ports and folder, with its defaults otherwise; returns the child process. */
export function startServer(packages, ports, folder) {
  const log = join(folder, "server.log");
  return start(serverProgram(packages), serverArguments(ports, folder), serverEnvironment(ports), log);
}

/**
 * Returns what restate-server itself says of its durability: its effective configuration, dumped with the very
 * arguments and environment that the measured server gets. The journal lives in the log server's RocksDB
 * (`default-provider = "replicated"`), whose write-ahead log is synced unless `rocksdb-disable-wal-fsync` is true.
 */
export async function durabilityConfig(packages, ports, folder) {
  const dump = join(folder, "config.toml");
  const args = [...serverArguments(ports, folder), "--dump-config"];
  const child = start(serverProgram(packages), args, serverEnvironment(ports), dump);
  await ended(child);
  const text = readFileSync(dump, "utf8");
  const logServer = text.slice(text.indexOf("\n[log-server]"));
  return {
    provider: /^default-provider = "(.*)"$/m.exec(text)?.[1] ?? null,
    walFsync: /^rocksdb-disable-wal-fsync = (.*)$/m.exec(logServer)?.[1] === "false",
  };
}

/** Returns the installed version of restate-server. */
export function serverVersion(packages) {
  return JSON.parse(readFileSync(join(packages, SERVER_PACKAGE), "utf8")).version;
}

/** Starts the Node service on `port`; returns the child process. */
export function startService(packages, port, folder) {
  const program = join(import.meta.dirname, "service.mjs");
  return start(process.execPath, [program, packages, String(port)], process.env, join(folder, "service.log"));
}

/** Waits until `child` takes connections on `port`. */
export async function untilListening(child, port) {
  const connects = () =>
    new Promise((resolve) => {
      const socket = connect(port, "127.0.0.1");
      socket.once("error", () => resolve(false));
      socket.once("connect", () => {
        socket.destroy();
        resolve(true);
      });
    });
  await until(child, connects, `port ${port}`, 20);
}

/** Waits until `url` answers 200, asking every few milliseconds; fails when `child` ends or after `seconds`. */
export async function untilOk(child, url, seconds = 20) {
  await until(child, () => answersOk(url), url, seconds);
}

/** Asks a child to end and waits; ends it the hard way after ten seconds. */
export async function stop(child) {
  if (!hasEnded(child)) {
    child.kill("SIGTERM");
    const hard = setTimeout(() => child.kill("SIGKILL"), 10_000);
    await ended(child);
    clearTimeout(hard);
  }
  children.delete(child);
}

/** Ends what still runs and removes the data; synchronous, so that it also works while the process exits. */
export function stopAll() {
  for (const child of children) child.kill("SIGKILL");
  children.clear();
  for (const folder of folders) rmSync(folder, { recursive: true, force: true, maxRetries: 5 });
  folders.clear();
}

/** Returns the resident memory of a process in bytes: all of it, and the part not backed by files. */
export function residentMemory(child) {
  const status = readFileSync(`/proc/${child.pid}/status`, "utf8");
  const bytes = (name) => Number(new RegExp(`^${name}:\\s+(\\d+) kB`, "m").exec(status)[1]) * 1024;
  return { rss: bytes("VmRSS"), anon: bytes("RssAnon") };
}

/** Returns how often the journal's write-ahead log has been synced since the server started, by its own counter. */
export async function walSyncs(nodePort) {
  const text = await (await fetch(`http://127.0.0.1:${nodePort}/metrics`)).text();
  const counters = text.split("\n").filter((line) => line.startsWith("restate_rocksdb_wal_synced_total"));
  const line = counters.find((counter) => counter.includes('db="log-server"'));
  if (!line) throw new Error("the server has no counter of write-ahead-log syncs");
  return Number(line.slice(line.lastIndexOf(" ") + 1));
}

async function until(child, answers, what, seconds) {
  const end = performance.now() + seconds * 1000;
  while (!(await answers())) {
    if (hasEnded(child)) throw new Error(`the process ended before ${what} answered`);
    if (performance.now() > end) throw new Error(`${what} did not answer in ${seconds} s`);
    await sleep(2);
  }
}

// The native program itself, not npm's Node wrapper, so that memory and start time are the server's own.
function serverProgram(packages) {
  const { resolve } = createRequire(join(packages, SERVER_PACKAGE));
  return resolve(`@restatedev/restate-server-${process.platform}-${process.arch}/bin/restate-server`);
}

function serverArguments(ports, folder) {
  return [
    "--no-logo",
    "--listen-mode", "tcp",
    "--node-name", "bench",
    "--base-dir", join(folder, "data"),
    "--bind-address", `127.0.0.1:${ports.node}`,
  ];
}

function serverEnvironment(ports) {
  return {
    ...process.env,
    RESTATE_DISABLE_TELEMETRY: "true",
    DO_NOT_TRACK: "1",
    RESTATE_LOG_FILTER: "warn",
    RESTATE_INGRESS__BIND_ADDRESS: `127.0.0.1:${ports.ingress}`,
    RESTATE_ADMIN__BIND_ADDRESS: `127.0.0.1:${ports.admin}`,
  };
}

function start(program, args, env, outputFile) {
  const output = openSync(outputFile, "a");
  const child = spawn(program, args, { env, stdio: ["pipe", output, output] });
  closeSync(output);
  child.on("error", (error) => console.error(`failed to start ${program}: ${error.message}`));
  children.add(child);
  return child;
}

function hasEnded(child) {
  return child.exitCode !== null || child.signalCode !== null;
}

function ended(child) {
  if (hasEnded(child)) return Promise.resolve();
  return new Promise((resolve) => child.once("close", resolve));
}

function answersOk(url) {
  return new Promise((resolve) => {
    get(url, { agent: false }, (response) => {
      response.resume();
      resolve(response.statusCode === 200);
    }).once("error", () => resolve(false));
  });
}
