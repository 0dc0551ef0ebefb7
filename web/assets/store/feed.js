// Keeps a run up to date: starts turns, follows its journal live, and goes on where it was after a lost connection.

import { ApiError, get, path, query, reached, send } from "../api.js";
import { events } from "../sse.js";
import { RunState } from "./run.js";

/** How often the start of a turn is tried again by itself; the idempotency key makes that safe. */
const TRIES = 4;

/** How long a hidden page with an idle run keeps its connection, in milliseconds. */
const HIDDEN = 60_000;

export class Feed {
  /**
   * @param {() => void} changed
   * @param {(error: any) => void} broken called once when following has no sense any more
   */
  constructor(changed, broken) {
    this.changed = changed;
    this.broken = broken;
    this.state = new RunState();
    /** All events, for the raw journal. @type {import('../types').Entry[]} */
    this.entries = [];
    /** @type {string | null} */
    this.run = null;
    /** Whether everything that is committed was read. */
    this.current = false;
    /** The connection that is open, POST or GET; there is never more than one. @type {AbortController | null} */
    this.connection = null;
    this.closed = false;
    /** The position of the turn that was started last: once it was read, the turn is on the page. */
    this.committed = 0;
    this.onVisible = () => this.visibility();
    document.addEventListener("visibilitychange", this.onVisible);
    /** @type {ReturnType<typeof setTimeout> | undefined} */
    this.pause = undefined;
  }

  /** Follows a run from its beginning or from where it was. @param {string} run */
  follow(run) {
    this.run = run;
    void this.listen();
  }

  close() {
    this.closed = true;
    clearTimeout(this.pause);
    document.removeEventListener("visibilitychange", this.onVisible);
    this.connection?.abort();
  }

  /**
   * Starts a turn and reads it until it ends or waits, then follows the run. Returns when the server has committed the
   * start; throws when it refused it or was not reached.
   * @param {string} agent
   * @param {{ input: string, session_id: string, user_id?: string }} body
   * @param {string} key the idempotency key
   * @param {(attempt: number) => void} retrying
   */
  async start(agent, body, key, retrying) {
    const connection = this.take();
    this.committed = 0;
    const response = await this.insist(agent, body, key, retrying, connection.signal);
    const stream = events(response);
    let first;
    try {
      first = await stream.next();
      if (first.done) throw new ApiError(0, "unreachable", "The connection was lost before the turn began");
      this.run = first.value.data.run_id;
      this.committed = first.value.data.turn;
      await this.catchUp(first.value.data.turn, connection.signal);
    } catch (error) {
      // The start may be committed: what is known of the run is read before the reader is asked to send again.
      if (this.run) this.follow(this.run);
      throw error;
    }
    this.changed();
    // The stream of a turn that waits is about that turn; the run's own shows the one before it as well.
    if (first.value.data.queued_behind) void this.listen();
    else void this.drain(stream, connection);
  }

  /** Reads what stands before a turn and was not read yet: its stream begins with the turn. @param {number} turn @param {AbortSignal} signal */
  async catchUp(turn, signal) {
    while (this.state.seq < turn - 1) {
      const page = await get(query(path("v1", "runs", this.run ?? "", "events"), { after: this.state.seq, limit: 200 }), signal);
      const entries = page.events.filter((/** @type {{ seq: number }} */ { seq }) => seq < turn);
      if (!entries.length) return;
      for (const data of entries) this.hear({ event: "entry", data });
    }
  }

  /** @param {string} agent @param {any} body @param {string} key @param {(attempt: number) => void} retrying @param {AbortSignal} signal */
  async insist(agent, body, key, retrying, signal) {
    for (let attempt = 1; ; attempt += 1) {
      try {
        return await send("POST", path("v1", "agents", agent, "invoke"), {
          body, signal, headers: { accept: "text/event-stream", "idempotency-key": key },
        });
      } catch (error) {
        if (attempt >= TRIES || !(error instanceof ApiError) || !error.passing) {
          if (this.run && !this.closed) this.follow(this.run);
          throw error;
        }
        retrying(attempt);
        await sleep(400 * 2 ** attempt);
      }
    }
  }

  /** @param {AsyncGenerator<any>} stream @param {AbortController} connection */
  async drain(stream, connection) {
    try {
      for await (const event of stream) this.hear(event);
    } catch {
      // The journal has what the stream would have said.
    }
    if (this.connection === connection && !this.closed) void this.listen();
  }

  async listen() {
    const connection = this.take();
    let wait = 0;
    while (!connection.signal.aborted) {
      try {
        const after = this.state.seq;
        const response = await send("GET", query(path("v1", "runs", this.run ?? "", "events"), { after }), {
          headers: { accept: "text/event-stream", "last-event-id": `${this.run}:${after}` }, signal: connection.signal,
        });
        for await (const event of events(response)) {
          wait = 0;
          this.hear(event);
        }
      } catch (error) {
        if (connection.signal.aborted) return;
        if (error instanceof ApiError && !error.passing) {
          this.broken(error);
          return;
        }
      }
      if (connection.signal.aborted) return;
      wait = Math.min(wait ? wait * 2 : 400, 8_000);
      if (wait > 800) reached(false);
      await sleep(wait * (0.75 + Math.random() / 2));
    }
  }

  /** @param {{ event: string, data: any }} event */
  hear({ event, data }) {
    if (event === "entry") {
      if (this.state.apply(data)) this.entries.push(data);
    } else if (event === "caught_up") this.current = true;
    else this.state.hear(event, data);
    this.changed();
  }

  /** Ends the connection that is open and returns the next one. */
  take() {
    this.connection?.abort();
    this.connection = new AbortController();
    return this.connection;
  }

  /** A hidden page with nothing under way gives its connection back: a browser has six of them for a server. */
  visibility() {
    clearTimeout(this.pause);
    if (!this.run || this.closed) return;
    if (document.hidden) {
      this.pause = setTimeout(() => {
        if (!this.state.busy) this.connection?.abort();
      }, HIDDEN);
    } else if (this.connection?.signal.aborted) void this.listen();
  }
}

/** @param {number} ms */
function sleep(ms) {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
