// The conversations of a user: search, open, delete.

import { get, path, query, remove } from "../api.js";
import { button, fill, h, sync, text } from "./dom.js";
import { retime, when } from "./format.js";
import { icon } from "./icons.js";
import { badge, rebadge, stateWord } from "./states.js";
import { failure, toast, toastError } from "./toast.js";

/** @typedef {import('../types').Run} Run */

/** How often the list is read again while nothing tells it to, in milliseconds. */
const EVERY = 15_000;

/** Returns the address of a conversation. @param {{ session_id: string, user_id: string }} run */
export function chatAddress(run) {
  return query(path("chat", run.session_id), { user: run.user_id });
}

/**
 * @param {() => string} user
 * @param {(session: string) => void} gone called when a conversation was deleted
 */
export function sessions(user, gone) {
  const list = h("ul", { class: "sessions", "aria-label": "Conversations" });
  const state = h("div", "note dim small");
  const search = h("input", { type: "search", placeholder: "Search conversations", "aria-label": "Search conversations", on: { input: () => later(200) } });
  const more = button("Show more", () => {
    limit += 50;
    void refresh();
  }, { class: "quiet small", hidden: true });
  const el = h("div", "list", search, list, state, more);
  let open = "";
  let limit = 50;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let timer;
  let turn = 0;

  /** @param {number} wait */
  function later(wait) {
    clearTimeout(timer);
    timer = setTimeout(() => void refresh(), wait);
  }

  async function refresh() {
    const mine = (turn += 1);
    try {
      const page = await get(query("/v1/sessions", { user_id: user(), q: search.value.trim(), limit: Math.min(limit, 200) }));
      if (mine !== turn) return;
      show(page.sessions);
      more.hidden = !page.next_cursor || limit >= 200;
    } catch (error) {
      if (mine === turn && !list.childElementCount) fill(state, failure(error, () => void refresh()));
    }
    if (!document.hidden) later(EVERY);
  }

  /** @param {Run[]} runs */
  function show(runs) {
    sync(list, runs, (run) => run.run_id, item);
    if (runs.length) state.replaceChildren();
    else fill(state, search.value ? "Nothing found." : "Conversations appear here.");
  }

  /** @param {Run} run */
  function item(run) {
    const title = h("span", "title");
    const at = when(run.touched_at);
    const mark = badge(run.status);
    const link = h("a", { href: chatAddress(run) }, title, h("span", "meta dim small", mark, h("span", null, run.agent), at));
    const drop = button("Delete", () => void erase(run), { class: "quiet drop" }, icon("trash"));
    drop.setAttribute("aria-label", `Delete: ${run.title || run.session_id}`);
    const el = h("li", null, link, drop);
    const update = (/** @type {Run} */ next) => {
      run = next;
      text(title, next.title || next.session_id);
      retime(at, next.touched_at);
      rebadge(mark, next.status);
      mark.title = stateWord(next.status);
      if (next.session_id === open) link.setAttribute("aria-current", "page");
      else link.removeAttribute("aria-current");
    };
    update(run);
    return { el, update };
  }

  /** @param {Run} run */
  async function erase(run) {
    const { confirm } = await import("./dialog.js");
    const sure = await confirm("Delete this conversation?", `“${run.title || run.session_id}” and its journal are removed for good. A turn under way is cancelled.`, "Delete");
    if (!sure) return;
    try {
      await remove(query(path("v1", "sessions", run.session_id), { user_id: run.user_id }));
      toast("Deleted");
      if (run.session_id === open) gone(run.session_id);
    } catch (error) {
      toastError(error);
    }
    await refresh();
  }

  const onVisible = () => !document.hidden && later(0);
  document.addEventListener("visibilitychange", onVisible);
  return {
    el,
    refresh,
    /** @param {string} session */
    select(session) {
      open = session;
      void refresh();
    },
    leave() {
      turn += 1;
      clearTimeout(timer);
      document.removeEventListener("visibilitychange", onVisible);
    },
  };
}
