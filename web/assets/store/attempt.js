// One prompt sent to one route: its stream, as it came and as what it says, with its times.

import { ApiError, get, open, query } from "../api.js";

/** @typedef {{ name: string, input: string }} Use */

/** When the record of a call is looked for after its end, in milliseconds; records are written in batches. */
const LOOKS = [200, 500, 1_000, 2_000];

export class Attempt {
  /**
   * @param {string} route
   * @param {any} request
   * @param {string} session by which the record of the call is found
   * @param {() => void} changed
   */
  constructor(route, request, session, changed) {
    this.route = route;
    this.request = request;
    this.session = session;
    this.changed = changed;
    /** @type {"waiting" | "streaming" | "done" | "failed" | "stopped"} */
    this.state = "waiting";
    this.said = "";
    this.reasoning = "";
    /** @type {Use[]} */
    this.uses = [];
    /** What came, byte for byte. */
    this.raw = "";
    this.stop = "";
    /** What the server says in headers. @type {Record<string, string>} */
    this.told = {};
    /** @type {{ input: number, output: number } | null} */
    this.usage = null;
    /** @type {{ title: string, text: string } | null} */
    this.error = null;
    this.began = performance.now();
    /** @type {number | null} */
    this.first = null;
    /** @type {number | null} */
    this.whole = null;
    /** @type {import('../types').CallRecord | null} */
    this.record = null;
    this.connection = new AbortController();
  }

  get over() {
    return this.state !== "waiting" && this.state !== "streaming";
  }

  cancel() {
    if (!this.over) this.end("stopped");
    this.connection.abort();
  }

  /** @param {Attempt["state"]} state */
  end(state) {
    this.state = state;
    this.whole = performance.now() - this.began;
    this.changed();
  }

  /** Sends the prompt and reads until the end; never throws. */
  async run() {
    const { signal } = this.connection;
    try {
      const response = await open("POST", "/v1/chat/completions", { body: this.request, headers: { accept: "text/event-stream", "x-bedplate-session": this.session }, signal });
      for (const [name, value] of response.headers) if (name.startsWith("x-bedplate-") || name === "x-request-id" || name === "retry-after") this.told[name] = value;
      if (!response.ok) {
        this.raw = await response.text();
        this.error = { title: `${response.status} ${response.statusText}`.trim(), text: reason(this.raw) };
        this.end("failed");
      } else await this.read(response, signal);
    } catch (error) {
      if (signal.aborted) return;
      this.error = { title: "The stream broke", text: error instanceof ApiError ? error.message : "The connection was lost before the end" };
      this.end("failed");
    }
    await this.find(signal);
  }

  /** @param {Response} response @param {AbortSignal} signal */
  async read(response, signal) {
    if (!response.body) throw new Error("no body");
    const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
    let rest = "";
    for (;;) {
      const { value, done } = await reader.read();
      if (signal.aborted) return;
      if (done) break;
      this.raw += value;
      rest += value;
      const lines = rest.split(/\r?\n/);
      rest = lines.pop() ?? "";
      for (const line of lines) if (line.startsWith("data:")) this.take(line.slice(5).trim());
      this.changed();
    }
    if (this.over) return;
    if (this.stop || this.error) return this.end(this.error ? "failed" : "done");
    this.error = { title: "The stream ended early", text: "It ended without a finish reason." };
    this.end("failed");
  }

  /** @param {string} data */
  take(data) {
    if (data === "[DONE]") return;
    const chunk = JSON.parse(data);
    if (chunk.error) this.error = { title: String(chunk.error.code ?? chunk.error.type ?? "Error"), text: String(chunk.error.message ?? data) };
    if (chunk.usage) this.usage = { input: chunk.usage.prompt_tokens, output: chunk.usage.completion_tokens };
    const choice = chunk.choices?.[0];
    if (!choice) return;
    const { content, reasoning_content: reasoning, tool_calls: calls } = choice.delta ?? {};
    if (content || reasoning || calls) {
      this.first ??= performance.now() - this.began;
      this.state = "streaming";
    }
    this.said += content ?? "";
    this.reasoning += reasoning ?? "";
    for (const call of calls ?? []) {
      const use = (this.uses[call.index] ??= { name: "", input: "" });
      use.name += call.function?.name ?? "";
      use.input += call.function?.arguments ?? "";
    }
    if (choice.finish_reason) this.stop = choice.finish_reason;
  }

  /** Looks for the record of the call: it knows the money, the attempts and the route's reason. @param {AbortSignal} signal */
  async find(signal) {
    for (const pause of LOOKS) {
      await new Promise((resolve) => setTimeout(resolve, pause));
      if (signal.aborted) return;
      const found = await get(query("/v1/records", { session_id: this.session, limit: 1 }), signal).catch(() => null);
      if (!found?.records[0]) continue;
      this.record = found.records[0];
      return this.changed();
    }
  }
}

/** Returns what an error's body says. @param {string} raw */
function reason(raw) {
  try {
    return String(JSON.parse(raw).error.message);
  } catch {
    return raw;
  }
}
