// The chat: conversations at the side, the open one in the middle, streaming, decisions in the stream.

import { ApiError, freshId, get, path, post, query } from "../api.js";
import { button, fill, frame, h, sync, text } from "../parts/dom.js";
import { composer } from "../parts/composer.js";
import { icon } from "../parts/icons.js";
import { chatAddress, sessions } from "../parts/sessions.js";
import { explain, failure, toastError } from "../parts/toast.js";
import { line } from "../parts/format.js";
import { approvals } from "../store/approvals.js";
import { Feed } from "../store/feed.js";
import { examples, project } from "../store/project.js";
import { words } from "../store/run.js";
import { settings } from "../store/settings.js";
import { step } from "../parts/keys.js";

/** How a turn is drawn is not needed for the first paint, and is loaded beside it. @type {typeof import('../parts/turn.js').turnPart | null} */
let turnPart = null;
const loading = import("../parts/turn.js").then((module) => (turnPart = module.turnPart));

/** How much is below before a way to the end is offered, in pixels. */
const NEAR = 64;

/** @typedef {{ text: string, key: string, state: "sending" | "again" | "failed", attempt: number, error?: any }} Pending */

/**
 * @param {HTMLElement} root
 * @param {import('../types').Address} address
 * @param {import('../types').Shell} shell
 * @param {HTMLElement} head
 * @returns {import('../types').View}
 */
export function chat(root, address, shell, head) {
  /** @type {import('../types').Agent[]} */
  let agents = [];
  let session = "";
  let owner = "";
  /** @type {Feed | null} */
  let feed = null;
  /** What was sent and is not in the journal yet. @type {Pending | null} */
  let pending = null;
  /** Whether a turn was under way when last looked, to say when it is over. */
  let wasBusy = false;
  let asked = 0;
  /** Whether the reader is at the end and follows what comes. */
  let pinned = true;
  let top = 0;

  const turns = h("div", "turns");
  const foot = h("div", "pending");
  const start = h("div", "start");
  const log = h("div", { class: "log", tabindex: "-1" }, h("div", "column", start, turns, foot));
  const latest = button("Latest", () => follow(true), { class: "latest small", hidden: true }, icon("down"), " Latest");
  const write = composer((words) => void ask(words), () => void stop());
  const notice = h("p", "notice dim small");
  const side = h("aside", { class: "side", "aria-label": "Conversations" });
  const list = sessions(() => user(), () => shell.go("/chat"));
  side.append(h("a", { class: "new button", href: "/chat" }, icon("plus"), "New conversation"), list.el);
  const shade = h("div", { class: "shade", on: { click: () => drawer(false) } });
  root.append(h("div", "chat", side, shade, h("section", { class: "talk", "aria-label": "Conversation" }, log, h("div", "write", latest, write.el, notice))));

  const agent = h("select", { "aria-label": "Agent", on: { change: () => chooseAgent(agent.value) } });
  const who = h("input", { type: "text", class: "who", "aria-label": "As user", maxlength: 128, spellcheck: "false", autocomplete: "off", on: { change: () => chooseUser(who.value) } });
  const timeline = h("a", { class: "button", hidden: true, "aria-label": "Time line", title: "Time line" }, icon("runs"), h("span", null, "Time line"));
  const menu = button("Conversations", () => drawer(!side.classList.contains("open")), { class: "quiet only-narrow" }, icon("menu"));
  fill(head, menu, h("label", "pick", h("span", "dim small", "Agent"), agent), h("label", "pick", h("span", "dim small", "as user"), who), timeline);

  /** @param {boolean} open */
  function drawer(open) {
    side.classList.toggle("open", open);
    shade.classList.toggle("open", open);
  }

  function user() {
    return owner || settings.user;
  }

  /** @param {string} name */
  function chooseAgent(name) {
    settings.agent = name;
    if (session) shell.go("/chat");
    else showStart();
  }

  /** @param {string} name */
  function chooseUser(name) {
    settings.user = name.trim();
    owner = "";
    who.value = settings.user;
    shell.go("/chat");
    void list.refresh();
  }

  const redraw = frame(draw);

  function draw() {
    if (!feed) return;
    if (!turnPart) return void loading.then(redraw);
    const part = turnPart;
    const { state } = feed;
    if (pending && feed.committed && state.seq >= feed.committed) pending = null;
    if (feed.current || pending || state.turns.length) start.replaceChildren();
    sync(turns, state.turns, (turn) => turn.id, (turn) => part(turn, () => feed?.run ?? ""));
    drawPending();
    write.busy(state.busy);
    timeline.hidden = !feed.run;
    if (feed.run) timeline.href = `/runs/${feed.run}`;
    if (state.agent) pickAgent(state.agent);
    announce();
    if (pinned) follow(false);
    else latest.hidden = below() < NEAR;
    shell.title(line(words(state.turns.at(-1)?.message), 60) || "Chat");
  }

  function drawPending() {
    if (!pending) return foot.replaceChildren();
    const { title, hint } = pending.error ? explain(pending.error) : { title: "", hint: "" };
    fill(foot, h("article", "turn", h("div", "user", h("div", "said", h("p", null, pending.text))), h("div", "reply",
      pending.state === "failed"
        ? h("div", { class: "outcome bad", role: "alert" }, icon("warn"), h("div", null, h("p", "strong", `Not sent: ${title}`), hint ? h("p", "dim", hint) : null,
          h("p", "dim", "Sending again is safe: it cannot run twice."),
          h("div", "actions", button("Send again", () => void deliver()), button("Edit", edit))))
        : h("p", "line live", pending.state === "again" ? `The server was not reached; trying again (${pending.attempt})…` : "Sending…"))));
  }

  function edit() {
    const text = pending?.text ?? "";
    pending = null;
    drawPending();
    write.put(text);
    if (!turns.childElementCount) showStart();
  }

  /** Tells what a reader who does not see the page should know, and no more. */
  function announce() {
    if (!feed) return;
    const { state } = feed;
    const questions = state.questions.length;
    if (questions > asked) {
      shell.say(`A decision is needed: ${state.questions.at(-1)?.asked?.question ?? ""}`);
      void approvals.refresh();
    }
    if (questions !== asked) void list.refresh();
    asked = questions;
    if (wasBusy && !state.busy) {
      const last = state.turns.at(-1);
      shell.say(`Answer: ${line(last?.steps.map((step) => words(step.reply)).join(" ") ?? "", 300)}`);
      void list.refresh();
    } else if (!wasBusy && state.busy && feed.current) shell.say("Working");
    wasBusy = state.busy;
  }

  /** How far the end is below what is seen, in pixels. */
  function below() {
    return log.scrollHeight - log.scrollTop - log.clientHeight;
  }

  /** @param {boolean} asked */
  function follow(asked) {
    log.scrollTop = log.scrollHeight;
    pinned = true;
    top = log.scrollTop;
    latest.hidden = true;
    if (asked) write.focus();
  }

  // Whoever scrolls up reads, and is not moved until they come back to the end.
  log.addEventListener("scroll", () => {
    if (below() < 8) pinned = true;
    else if (log.scrollTop < top) pinned = false;
    top = log.scrollTop;
    latest.hidden = pinned || below() < NEAR;
  }, { passive: true });

  /** @param {string} said */
  async function ask(said) {
    if (pending && pending.state !== "failed") return;
    pending = { text: said, key: `page-${freshId(12)}`, state: "sending", attempt: 0 };
    if (!session) {
      session = freshId(6);
      owner = settings.user;
      history.replaceState(null, "", chatAddress({ session_id: session, user_id: owner }));
      feed = new Feed(redraw, broken);
    }
    start.replaceChildren();
    drawPending();
    follow(false);
    await deliver();
  }

  /** Sends what is pending; a repeat has the same key and so joins the turn that may have begun. */
  async function deliver() {
    if (!pending || !feed) return;
    const mine = pending;
    Object.assign(mine, { state: "sending", error: undefined });
    drawPending();
    const name = feed.state.agent || agent.value;
    try {
      await feed.start(name, { input: mine.text, session_id: session, user_id: owner }, mine.key, (attempt) => {
        Object.assign(mine, { state: "again", attempt });
        drawPending();
      });
      list.select(session);
    } catch (error) {
      if (pending !== mine) return;
      Object.assign(mine, { state: "failed", error });
      drawPending();
      follow(false);
    }
  }

  async function stop() {
    if (!feed?.run) return;
    try {
      await post(path("v1", "runs", feed.run, "cancel"), {});
    } catch (error) {
      toastError(error);
    }
  }

  /** @param {any} error */
  function broken(error) {
    fill(start, failure(error, () => feed?.run && feed.follow(feed.run)));
  }

  /** @param {string} name */
  function pickAgent(name) {
    if (agent.value !== name && [...agent.options].some((option) => option.value === name)) agent.value = name;
  }

  async function showStart() {
    const found = agents.find(({ name }) => name === agent.value) ?? agents[0];
    if (!found || session) return;
    fill(start, h("div", "welcome",
      h("h2", null, found.name), h("p", "dim", found.description),
      h("ul", "examples", ...examples(found).map((question) => h("li", null, button(question, () => void ask(question))))),
    ));
  }

  /** Opens a conversation: everything is read from its journal, so a reload in mid-answer loses nothing. @param {string} id @param {string} of */
  async function open(id, of) {
    const mine = new Feed(redraw, broken);
    feed?.close();
    feed = mine;
    session = id;
    owner = of;
    pending = null;
    wasBusy = false;
    asked = 0;
    pinned = true;
    turns.replaceChildren();
    sync(turns, [], String, () => ({ el: turns, update() {} }));
    foot.replaceChildren();
    write.busy(false);
    timeline.hidden = true;
    who.value = of || settings.user;
    list.select(id);
    drawer(false);
    if (!id) {
      shell.title("Chat");
      pickAgent(settings.agent ?? "");
      await showStart();
      if (matchMedia("(hover: hover)").matches) write.focus();
      return;
    }
    fill(start, h("p", "line dim", "Opening…"));
    try {
      const run = await get(query(path("v1", "sessions", id), { user_id: of }));
      if (feed === mine) mine.follow(run.run_id);
    } catch (error) {
      if (feed !== mine) return;
      const missing = error instanceof ApiError && error.status === 404;
      fill(start, failure(error, missing ? undefined : () => void open(id, of)), missing ? h("p", null, h("a", { class: "button", href: "/chat" }, "Start a new conversation")) : null);
    }
  }

  async function begin() {
    try {
      const known = await project();
      agents = known.agents;
      const usual = settings.agent && agents.some(({ name }) => name === settings.agent) ? settings.agent : known.info.default_agent;
      fill(agent, ...agents.map(({ name }) => h("option", { value: name }, name)));
      agent.value = usual ?? agents[0]?.name ?? "";
      who.disabled = settings.bound !== null;
      who.value = owner || settings.user;
      text(notice, known.info.notice ?? "");
      notice.hidden = !known.info.notice;
      if (!agents.length) fill(start, failure(new ApiError(404, "no_agents", "This project has no agents", "Write one: agents/<name>.md with a description, its tools and a system prompt.")));
      else if (!session) await showStart();
    } catch (error) {
      fill(start, failure(error, () => void begin()));
    }
  }

  const at = (/** @type {import('../types').Address} */ { parts, query }) => open(parts[1] ?? "", query.get("user") ?? "");
  void begin();
  void at(address);

  return {
    title: "Chat",
    leave() {
      feed?.close();
      list.leave();
    },
    go(next) {
      if (next.parts[0] && next.parts[0] !== "chat") return false;
      const id = next.parts[1] ?? "";
      if (id !== session || !id) void at(next);
      return true;
    },
    key(event) {
      if (event.key === "n") shell.go("/chat");
      else if (event.key === "c") write.focus();
      else if (event.key === "Escape" && side.classList.contains("open")) drawer(false);
      else return step(event, side, ".sessions a");
      return true;
    },
  };
}
