// A fork beside what it was forked from: what both share, where they part, and what is different from there on. Live,
// for runs of agents and executions of workflows alike.

import { path } from "../api.js";
import { button, fill, frame, h, sync, text } from "../parts/dom.js";
import { brief, duration, line as cut1, plural, when } from "../parts/format.js";
import { statusWord } from "../parts/graph.js";
import { icon } from "../parts/icons.js";
import { section } from "../parts/json.js";
import { step } from "../parts/keys.js";
import { chatAddress } from "../parts/sessions.js";
import { badge, rebadge, stateWord } from "../parts/states.js";
import { failure } from "../parts/toast.js";
import { Watch } from "../store/execution.js";
import { Feed } from "../store/feed.js";
import { align, ofExecution, ofRun } from "../store/lines.js";

/** @typedef {import('../store/lines.js').Line} Line */
/** @typedef {import('../store/lines.js').Pair} Pair */
/** @typedef {{ id: string, lines(): Line[], ready(): boolean, status(): string, began(): number, forked(): { from: string, at: number } | null, href(): string, name(): string, more: () => (HTMLElement | null)[], close(): void }} Side */

/** What the mark between two lines says. @type {Record<string, [string, string]>} */
const MARKS = { same: ["=", "the same"], differs: ["≠", "different"], left: ["←", "only in the original"], right: ["→", "only in the fork"] };

/** How many pairs are drawn. */
const ROWS = 1_000;

/**
 * @param {HTMLElement} root
 * @param {import('../types').Address} address
 * @param {import('../types').Shell} shell
 * @param {HTMLElement} head
 * @returns {import('../types').View}
 */
export function compare(root, address, shell, head) {
  const isWorkflow = address.parts[0] === "workflows";
  const workflow = isWorkflow ? (address.parts[1] ?? "") : "";
  const own = (isWorkflow ? address.parts[2] : address.parts[1]) ?? "";
  const other = address.query.get("with") ?? "";
  const draw = frame(show);
  const fail = (/** @type {any} */ error) => fill(note, failure(error));
  const sides = [own, other].map((id) => (isWorkflow ? execution(workflow, id, draw, fail) : agentRun(id, draw, fail)));
  const note = h("div", null, h("p", "line dim", "Opening…"));
  const heads = h("div", "pair heads");
  const verdict = h("p", { class: "dim", role: "status" });
  const rows = h("div", { class: "pairs", role: "group", "aria-label": "The two side by side" });
  const only = button("Differences only", () => {
    only.setAttribute("aria-pressed", String(only.getAttribute("aria-pressed") !== "true"));
    show();
  }, { "aria-pressed": "false" });
  const all = h("div", { class: "compare", hidden: true }, heads, verdict, rows);
  root.append(h("div", "pad", note, all));
  fill(head, h("a", { class: "button", href: isWorkflow ? path("workflows", workflow, own) : path("runs", own) }, icon("left"), h("span", null, isWorkflow ? "Execution" : "Run")), only);
  shell.title("Side by side");

  function show() {
    const [one, two] = sides;
    if (!one?.ready() || !two?.ready()) return;
    note.replaceChildren();
    all.hidden = false;
    // The original stands on the left, whichever of the two was opened.
    const forks = one.forked()?.from === two.id ? [two, one] : two.forked()?.from === one.id ? [one, two] : [two, one];
    const [left, right] = /** @type {[Side, Side]} */ (forks);
    const forked = right.forked();
    const at = forked?.from === left.id ? forked.at : 0;
    const pairs = align(left.lines(), right.lines(), at);
    top(left, right, at);
    const counts = { same: 0, differs: 0, left: 0, right: 0 };
    for (const pair of pairs) counts[pair.mark] += 1;
    const shared = pairs.filter((pair) => pair.shared && pair.mark === "same").length;
    text(verdict, [
      `${plural(shared, "line")} in common`, `then ${counts.same - shared} the same`, `${counts.differs} different`, `${counts.left} only in the original`, `${counts.right} only in the fork`,
    ].join(" · "));
    const wanted = only.getAttribute("aria-pressed") === "true" ? pairs.filter(({ mark }) => mark !== "same") : pairs;
    const border = wanted.findIndex(({ shared }) => !shared);
    /** @type {(Pair & { key: string, parts: boolean })[]} */
    const keyed = wanted.slice(0, ROWS).map((pair, index) => ({ ...pair, key: `${pair.left?.seq ?? ""}:${pair.right?.seq ?? ""}`, parts: at > 0 && index === border }));
    sync(rows, keyed, (pair) => pair.key, (pair) => row(pair, at));
  }

  let stamp = "";
  /** @param {Side} left @param {Side} right @param {number} at */
  function top(left, right, at) {
    const now = [left.status(), right.status(), left.name(), right.name(), at].join();
    if (now === stamp) return;
    stamp = now;
    fill(heads, ...[left, right].map((side, index) => h("section", { "aria-label": index ? "Fork" : "Original" },
      h("div", "line", h("h2", null, index ? "Fork" : "Original"), badge(side.status())),
      h("p", "dim small line", h("a", { href: side.href() }, side.name()), h("code", { title: side.id }, side.id.slice(0, 8)), when(side.began()), index && at ? `after position ${at}` : null, ...side.more()))));
  }

  /** @param {Pair & { parts: boolean }} pair @param {number} at */
  function row(pair, at) {
    let now = pair;
    const [left, right] = [cell(), cell()];
    const mark = h("span", "mark");
    const whole = h("div", { class: "pair whole", hidden: true });
    const toggle = h("button", { type: "button", class: "pair head", "aria-expanded": "false", on: { click: () => open(whole.hasAttribute("hidden")) } }, left.el, mark, right.el);
    const parting = h("p", { class: "parting small dim", hidden: true }, `They part here, after position ${at}`);
    const el = h("div", "pair-row", parting, toggle, whole);

    /** @param {boolean} yes */
    function open(yes) {
      whole.hidden = !yes;
      toggle.setAttribute("aria-expanded", String(yes));
      fill(whole, ...(yes ? [now.left, now.right].map((line) => h("div", null, ...(line ? [section("Input", line.input ?? null), line.output === undefined ? null : section("Output", line.output)] : [h("p", "dim small", "Not here")]))) : []));
    }

    let stamp = "";
    const update = (/** @type {Pair & { parts: boolean }} */ next) => {
      now = next;
      const [sign, words] = MARKS[next.mark] ?? ["", ""];
      el.dataset.mark = next.mark;
      parting.hidden = !next.parts;
      left.show(next.left);
      // What was copied took as long as it did there, whenever it was written again.
      right.show(next.right && next.shared && next.mark === "same" ? { ...next.right, took: next.left?.took ?? null } : next.right);
      text(mark, sign);
      mark.title = words;
      toggle.setAttribute("aria-label", `${next.left?.name ?? next.right?.name}: ${words}`);
      const now_ = JSON.stringify([next.left?.output, next.right?.output, next.left?.status, next.right?.status]);
      if (stamp && stamp !== now_ && !whole.hasAttribute("hidden")) open(true);
      stamp = now_;
    };
    update(pair);
    return { el, update };
  }

  /** One side of a row. */
  function cell() {
    const name = h("span", "name");
    const out = h("span", "out dim");
    const took = h("span", "num dim");
    const mark = badge("done");
    const place = h("span", "what");
    const el = h("span", "cell", place, name, out, took, mark);
    let kind = "";
    return {
      el,
      /** @param {Line | null} line */
      show(line) {
        el.classList.toggle("blank", !line);
        el.style.setProperty("--level", String(line?.level ?? 0));
        if (kind !== (line?.kind ?? "")) {
          kind = line?.kind ?? "";
          fill(place, line ? icon(line.kind) : null);
        }
        text(name, line?.name ?? "");
        const said = line ? (line.brief ?? (line.output === undefined ? cut1(brief(line.input, 160)) : cut1(brief(line.output, 160)))) : "";
        text(out, said);
        out.title = said;
        text(took, line?.took ? duration(line.took) : "");
        mark.hidden = !line;
        if (line) {
          rebadge(mark, line.status);
          if (stateWord(line.status) === line.status && mark.lastChild) mark.lastChild.textContent = statusWord(line.status);
        }
      },
    };
  }

  return {
    title: "Side by side",
    leave: () => sides.forEach((side) => side.close()),
    key: (event) => step(event, rows, ".head"),
  };
}

/** An execution as a side. @param {string} workflow @param {string} id @param {() => void} draw @param {(error: any) => void} fail @returns {Side} */
function execution(workflow, id, draw, fail) {
  const watch = new Watch(id, draw, fail);
  watch.start();
  return {
    id,
    lines: () => ofExecution(watch),
    ready: () => Boolean(watch.now),
    status: () => watch.now?.status ?? "",
    began: () => Date.parse(watch.now?.started_at ?? ""),
    forked: () => (watch.now?.forked_from ? { from: watch.now.forked_from.id, at: watch.now.forked_from.at } : null),
    href: () => path("workflows", watch.now?.workflow ?? workflow, id),
    name: () => watch.now?.workflow ?? workflow,
    more: () => [],
    close: () => watch.close(),
  };
}

/** An agent's run as a side. @param {string} id @param {() => void} draw @param {(error: any) => void} fail @returns {Side} */
function agentRun(id, draw, fail) {
  const feed = new Feed(draw, fail);
  feed.follow(id);
  const run = () => feed.state;
  return {
    id,
    lines: () => ofRun(run()),
    ready: () => feed.current,
    status: () => run().open?.state ?? (run().busy ? "queued" : (run().turns.at(-1)?.state ?? "idle")),
    began: () => Date.parse(feed.entries[0]?.at ?? ""),
    forked: () => run().forked,
    href: () => path("runs", id),
    name: () => run().agent,
    more: () => [h("a", { href: chatAddress({ session_id: run().session, user_id: run().user }) }, "Chat")],
    close: () => feed.close(),
  };
}
