// An execution as the server tells it, kept up to date: its stream says that something happened, and it is read again.

import { ApiError, get, path, query, reached, send } from "../api.js";
import { events } from "../sse.js";

/** @typedef {import('../types').Execution} Execution */
/** @typedef {import('../types').HistoryEvent} HistoryEvent */

/** How many events of a history are read at a time, and how many unasked. */
const PAGE = 200;
const FIRST = 2_000;

/** Between two readings at least, in milliseconds, however much happens; after one that took long, four times as long as it took. */
const CALM = 120;

export class Watch {
  /**
   * @param {string} id
   * @param {() => void} changed
   * @param {(error: any) => void} broken
   */
  constructor(id, changed, broken) {
    this.id = id;
    this.changed = changed;
    this.broken = broken;
    /** @type {Execution | null} */
    this.now = null;
    /** @type {HistoryEvent[]} */
    this.history = [];
    /** The state that each event belongs to. @type {Map<number, string>} */
    this.of = new Map();
    this.more = false;
    this.most = FIRST;
    this.closing = new AbortController();
    this.reading = false;
    this.asked = false;
  }

  start() {
    void this.read();
    void this.listen();
  }

  close() {
    this.closing.abort();
  }

  /** Reads the execution, and the events that are new. */
  async read() {
    if (this.reading) {
      this.asked = true;
      return;
    }
    this.reading = true;
    const began = Date.now();
    const { signal } = this.closing;
    try {
      const now = await get(path("v1", "executions", this.id), signal);
      do {
        const page = await get(query(path("v1", "executions", this.id, "history"), { after: this.history.at(-1)?.id, limit: PAGE }), signal);
        for (const event of page.events) this.take(event);
        this.more = page.next_after !== null;
      } while (this.more && this.history.length < this.most);
      this.now = now;
      this.changed();
    } catch (error) {
      if (!signal.aborted) this.broken(error);
    }
    await new Promise((resolve) => setTimeout(resolve, Math.max(CALM, 4 * (Date.now() - began))));
    this.reading = false;
    if (this.asked && !signal.aborted) {
      this.asked = false;
      void this.read();
    }
  }

  /** @param {HistoryEvent} event */
  take(event) {
    this.history.push(event);
    const state = /State(Entered|Exited)$/.test(event.type) ? event.state : this.of.get(event.previous_event_id);
    if (state && !/^Execution/.test(event.type)) this.of.set(event.id, state);
  }

  /** Reads more of a long history. */
  further() {
    this.most = this.history.length + FIRST;
    return this.read();
  }

  async listen() {
    const { signal } = this.closing;
    let wait = 0;
    let last = "";
    while (!signal.aborted) {
      try {
        /** @type {Record<string, string>} */
        const headers = { accept: "text/event-stream" };
        if (last) headers["last-event-id"] = last;
        const response = await send("GET", path("v1", "executions", this.id, "events"), { headers, signal });
        for await (const event of events(response)) {
          wait = 0;
          if (event.id) last = event.id;
          if (event.event === "entry" || event.event === "caught_up") void this.read();
        }
      } catch (error) {
        if (signal.aborted || (error instanceof ApiError && !error.passing)) return;
      }
      wait = Math.min(wait ? wait * 2 : 400, 8_000);
      if (wait > 800) reached(false);
      await new Promise((resolve) => setTimeout(resolve, wait));
      if (!signal.aborted) void this.read();
    }
  }
}
