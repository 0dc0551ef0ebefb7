// The open questions: read every few seconds while the page is visible, shared by the rail and the view.

import { get } from "../api.js";

/** How often, in milliseconds. */
const EVERY = 5_000;

class Approvals extends EventTarget {
  constructor() {
    super();
    /** @type {import('../types').Question[]} */
    this.open = [];
    /** @type {any} */
    this.error = null;
    this.known = false;
    /** @type {ReturnType<typeof setTimeout> | undefined} */
    this.timer = undefined;
    document.addEventListener("visibilitychange", () => {
      if (!document.hidden) void this.refresh();
    });
  }

  /** Reads them now, and then every few seconds. */
  async refresh() {
    clearTimeout(this.timer);
    try {
      this.open = (await get("/v1/approvals")).approvals;
      this.error = null;
      this.known = true;
    } catch (error) {
      this.error = error;
    }
    this.dispatchEvent(new Event("change"));
    clearTimeout(this.timer);
    if (!document.hidden) this.timer = setTimeout(() => void this.refresh(), EVERY);
  }
}

export const approvals = new Approvals();
