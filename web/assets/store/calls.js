// Model calls, newest first, kept up to date as they end: pages of the past, and a stream that goes on where it was.

import { ApiError, get, query, reached, send } from "../api.js";
import { events } from "../sse.js";

/** @typedef {import('../types').CallRecord} CallRecord */

/** How many calls a page has. */
const PAGE = 50;

/** How many calls are held at most; older ones are read again by paging. */
const MOST = 150;

/** Before a connection that was lost is tried again, in milliseconds: at first, and at most. */
const PAUSE = [500, 10_000];

export class Calls {
  /**
   * @param {() => void} changed
   * @param {(error: any) => void} broken called when the first page cannot be read
   */
  constructor(changed, broken) {
    this.changed = changed;
    this.broken = broken;
    /** @type {Map<string, CallRecord>} */
    this.known = new Map();
    /** What `before` must be for the next page; null: there is none. @type {string | null} */
    this.older = null;
    this.read = false;
    this.live = false;
    /** @type {AbortController | null} */
    this.connection = null;
    /** @type {Record<string, string>} */
    this.asked = {};
    /** Ends the pause before the next try. */
    this.wake = () => {};
    this.onVisible = () => !document.hidden && this.wake();
    document.addEventListener("visibilitychange", this.onVisible);
  }

  /** Returns the calls, newest first. */
  get list() {
    return [...this.known.values()].toSorted((a, b) => (a.id < b.id ? 1 : -1));
  }

  /** Shows other calls: those that the parameters mean. @param {Record<string, string>} asked */
  open(asked) {
    this.connection?.abort();
    this.asked = asked;
    this.known = new Map();
    this.older = null;
    this.read = false;
    const connection = new AbortController();
    this.connection = connection;
    void this.follow(connection);
  }

  close() {
    document.removeEventListener("visibilitychange", this.onVisible);
    this.connection?.abort();
  }

  /** Reads the first page and what comes after it, for as long as somebody looks. @param {AbortController} connection */
  async follow({ signal }) {
    let pause = PAUSE[0] ?? 500;
    while (!signal.aborted) {
      try {
        // A call that ended while the first page was read comes with the stream, so that none falls between.
        const stream = this.asked.to ? null : await send("GET", query("/v1/records", { ...this.asked, from: "" }), { headers: { accept: "text/event-stream" }, signal });
        await this.first(signal);
        if (!stream) return;
        this.live = true;
        this.changed();
        pause = PAUSE[0] ?? 500;
        for await (const { event, data } of events(stream)) {
          if (signal.aborted) return;
          if (event === "record") this.take([data]);
          else if (event === "lagged") await this.first(signal);
          this.changed();
        }
      } catch (error) {
        if (signal.aborted) return;
        this.live = false;
        if (error instanceof ApiError && !error.passing) return this.broken(error);
        if (!this.read) this.broken(error);
        else reached(false);
      }
      this.live = false;
      this.changed();
      await new Promise((resolve) => {
        const timer = setTimeout(resolve, pause);
        this.wake = () => {
          clearTimeout(timer);
          resolve(null);
        };
      });
      pause = Math.min(pause * 2, PAUSE[1] ?? 10_000);
    }
  }

  /** @param {AbortSignal} signal */
  async first(signal) {
    const { records, next_before: next } = await get(query("/v1/records", { ...this.asked, limit: PAGE }), signal);
    // After a long time away there may be more than a page of new ones: what is held then begins anew.
    if (this.read && records.length === PAGE && !records.some((/** @type {CallRecord} */ { id }) => this.known.has(id))) this.known = new Map();
    if (!this.known.size) this.older = next;
    this.take(records);
    this.read = true;
    this.changed();
  }

  /** Reads the next page of the past. */
  async more() {
    const { signal } = this.connection ?? new AbortController();
    const { records, next_before: next } = await get(query("/v1/records", { ...this.asked, limit: PAGE, before: this.older }), signal);
    this.older = next;
    this.take(records, Infinity);
    this.changed();
  }

  /** @param {CallRecord[]} records @param {number} [most] */
  take(records, most = MOST) {
    for (const record of records) this.known.set(record.id, record);
    const extra = this.known.size - most;
    if (extra <= 0) return;
    const list = this.list;
    for (const { id } of list.slice(-extra)) this.known.delete(id);
    this.older = list.at(-extra - 1)?.id ?? this.older;
  }
}
