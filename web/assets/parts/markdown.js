// Markdown as DOM nodes: paragraphs, headings, lists, quotes, tables, code, emphasis, links. Text is never markup, links
// lead only to http, https and mailto, and images are named but not loaded.

import { h } from "./dom.js";

/** @typedef {{ kind: string, source: string, lines: string[], level?: number }} Block */

/** @type {WeakMap<Element, string[]>} */
const shown = new WeakMap();

/**
 * Shows a text in `node`. Blocks that did not change keep their nodes, so a growing text neither flickers nor loses a
 * selection.
 * @param {Element} node
 * @param {string} text
 */
export function markdown(node, text) {
  const before = shown.get(node) ?? [];
  const blocks = split(text.replaceAll("\r\n", "\n").split("\n"));
  const sources = blocks.map((block) => block.kind + block.source);
  let same = 0;
  while (same < before.length && same < sources.length && before[same] === sources[same]) same += 1;
  while (node.childNodes.length > same) node.lastChild?.remove();
  for (const block of blocks.slice(same)) node.append(draw(block));
  shown.set(node, sources);
}

const FENCE = /^\s{0,3}(```+|~~~+)\s*([\w+#.-]*)/;
const HEADING = /^\s{0,3}(#{1,6})\s+(.*?)\s*#*$/;
const ITEM = /^(\s*)([-*+]|\d{1,9}[.)])\s+(.*)$/;
const RULE = /^\s{0,3}([-*_])\s*(\1\s*){2,}$/;
const DIVIDER = /^\s*\|?\s*:?-+:?\s*(\|\s*:?-+:?\s*)*\|?\s*$/;

/** @param {string[]} lines @returns {Block[]} */
function split(lines) {
  /** @type {Block[]} */
  const blocks = [];
  let at = 0;
  /** @param {string} kind @param {number} end @param {Partial<Block>} [more] */
  const take = (kind, end, more = {}) => {
    const part = lines.slice(at, end);
    blocks.push({ kind, source: part.join("\n"), lines: part, ...more });
    at = end;
  };
  while (at < lines.length) {
    const line = lines[at] ?? "";
    const fence = FENCE.exec(line);
    if (!line.trim()) at += 1;
    else if (fence) {
      let end = at + 1;
      while (end < lines.length && !(lines[end] ?? "").trim().startsWith(fence[1] ?? "```")) end += 1;
      take("code", Math.min(end + 1, lines.length));
    } else if (HEADING.test(line)) take("heading", at + 1);
    else if (RULE.test(line)) take("rule", at + 1);
    else if (/^\s{0,3}>/.test(line)) take("quote", until((next) => !/^\s{0,3}>/.test(next)));
    else if (ITEM.test(line)) take("list", until((next, index) => endsList(lines, next, index)));
    else if (line.includes("|") && DIVIDER.test(lines[at + 1] ?? "") && (lines[at + 1] ?? "").includes("-")) {
      take("table", until((next) => !next.includes("|")));
    } else {
      take("paragraph", until((next) => !next.trim() || FENCE.test(next) || HEADING.test(next) || ITEM.test(next) || /^\s{0,3}>/.test(next)));
    }
  }
  return blocks;

  /** @param {(line: string, index: number) => boolean} ends */
  function until(ends) {
    let end = at + 1;
    while (end < lines.length && !ends(lines[end] ?? "", end)) end += 1;
    return end;
  }
}

/** A list goes on over a blank line when an item or an indented line follows. @param {string[]} lines @param {string} line @param {number} index */
function endsList(lines, line, index) {
  if (line.trim()) return !ITEM.test(line) && !/^\s/.test(line) && !(lines[index - 1] ?? "").trim();
  const next = lines[index + 1] ?? "";
  return !(ITEM.test(next) || (/^\s+\S/.test(next)));
}

/** @param {Block} block @returns {HTMLElement} */
function draw(block) {
  switch (block.kind) {
    case "code": return code(block);
    case "heading": return heading(block);
    case "rule": return h("hr");
    case "quote": return quote(block);
    case "list": return list(block.lines);
    case "table": return table(block.lines);
    default: return h("p", null, ...inline(block.lines.map((line) => line.trim()).join("\n")));
  }
}

/** @param {Block} block */
function code(block) {
  const fence = FENCE.exec(block.lines[0] ?? "");
  const last = block.lines.at(-1)?.trim() ?? "";
  const closed = block.lines.length > 1 && last.startsWith(fence?.[1] ?? "```");
  const text = block.lines.slice(1, closed ? -1 : undefined).join("\n");
  return h("pre", { tabindex: "0" }, h("code", null, text));
}

/** @param {Block} block */
function heading(block) {
  const match = HEADING.exec(block.lines[0] ?? "");
  // The page's own headings are h1 and h2.
  const level = Math.min((match?.[1]?.length ?? 1) + 2, 6);
  return h(/** @type {"h3"} */ (`h${level}`), null, ...inline(match?.[2] ?? ""));
}

/** @param {Block} block */
function quote(block) {
  const inside = h("blockquote");
  for (const part of split(block.lines.map((line) => line.replace(/^\s{0,3}>\s?/, "")))) inside.append(draw(part));
  return inside;
}

/** @param {string[]} lines */
function list(lines) {
  const first = ITEM.exec(lines[0] ?? "");
  const base = first?.[1]?.length ?? 0;
  const ordered = /\d/.test(first?.[2] ?? "");
  /** @type {string[][]} */
  const items = [];
  for (const line of lines) {
    const match = ITEM.exec(line);
    if (match && (match[1]?.length ?? 0) <= base + 1) items.push([match[3] ?? ""]);
    else items.at(-1)?.push(line);
  }
  const start = Number.parseInt(first?.[2] ?? "1", 10);
  const node = ordered ? h("ol", start === 1 ? null : { start }) : h("ul");
  for (const item of items) node.append(h("li", null, ...content(item)));
  return node;
}

/** @param {string[]} lines */
function content(lines) {
  const [first = "", ...rest] = lines;
  const indent = Math.min(...rest.filter((line) => line.trim()).map((line) => line.search(/\S/)));
  const inner = rest.map((line) => line.slice(Number.isFinite(indent) ? indent : 0));
  const blocks = split([first, ...inner]);
  // An item of one paragraph is shown without a paragraph around it.
  return blocks.flatMap((block, index) => {
    if (block.kind === "paragraph" && index === 0) return inline(block.lines.map((line) => line.trim()).join("\n"));
    return [draw(block)];
  });
}

/** @param {string[]} lines */
function table(lines) {
  const cells = (/** @type {string} */ line) =>
    line.trim().replace(/^\||\|$/g, "").split(/(?<!\\)\|/).map((cell) => cell.trim().replaceAll("\\|", "|"));
  const aligned = cells(lines[1] ?? "").map((cell) => (/^:-+:$/.test(cell) ? "center" : /-:$/.test(cell) ? "right" : ""));
  const row = (/** @type {string} */ line, /** @type {"th" | "td"} */ tag) =>
    h("tr", null, ...cells(line).map((cell, index) => h(tag, aligned[index] || null, ...inline(cell))));
  const body = lines.slice(2).map((line) => row(line, "td"));
  return h("div", { class: "scroll", tabindex: "0" }, h("table", null, h("thead", null, row(lines[0] ?? "", "th")), h("tbody", null, ...body)));
}

/** What starts something in a line of text. */
const MARKS = /\\([\\`*_{}[\]()#+.!|~<>-])|(`+)|(\*\*|__|~~)|([*_])|(!?\[)|(https?:\/\/[^\s<>"'`)\]]+)|(\n)/g;

/**
 * Draws the text of a line: one pass, no backtracking over the whole.
 * @param {string} text
 * @param {number} [depth]
 * @returns {(Node | string)[]}
 */
export function inline(text, depth = 0) {
  /** @type {(Node | string)[]} */
  const nodes = [];
  let from = 0;
  const marks = new RegExp(MARKS);
  for (let match = marks.exec(text); match; match = marks.exec(text)) {
    const found = depth > 8 ? null : mark(text, match, depth);
    if (!found) continue;
    if (match.index > from) nodes.push(text.slice(from, match.index));
    nodes.push(...found.nodes);
    from = found.end;
    marks.lastIndex = from;
  }
  if (from < text.length) nodes.push(text.slice(from));
  return nodes;
}

/** @param {string} text @param {RegExpExecArray} match @param {number} depth @returns {{ nodes: (Node | string)[], end: number } | null} */
function mark(text, match, depth) {
  const [whole, escaped, ticks, strong, emphasis, bracket, address, newline] = match;
  const start = match.index;
  const after = start + whole.length;
  if (escaped) return { nodes: [escaped], end: after };
  if (newline) return { nodes: [text.slice(0, start).endsWith("  ") ? h("br") : "\n"], end: after };
  if (ticks) {
    const close = text.indexOf(ticks, after);
    return close < 0 ? null : { nodes: [h("code", null, text.slice(after, close).replace(/^ (.+) $/, "$1"))], end: close + ticks.length };
  }
  if (strong || emphasis) return span(text, start, whole, depth);
  if (bracket) return link(text, start, bracket, depth);
  if (address) {
    const clean = address.replace(/[.,;:!?]+$/, "");
    return { nodes: [anchor(clean, [clean])], end: start + clean.length };
  }
  return null;
}

/** @param {string} text @param {number} start @param {string} sign @param {number} depth */
function span(text, start, sign, depth) {
  const from = start + sign.length;
  if (/\s|^$/.test(text[from] ?? "")) return null;
  // Underscores inside a word (order_id) are letters.
  if (sign.startsWith("_") && /\w/.test(text[start - 1] ?? "")) return null;
  let close = text.indexOf(sign, from + 1);
  while (close > 0 && (/\s/.test(text[close - 1] ?? "") || (sign.length === 1 && (text[close + 1] === sign || text[close - 1] === sign)) || (sign.startsWith("_") && /\w/.test(text[close + sign.length] ?? "")))) {
    close = text.indexOf(sign, close + (sign.length === 1 && text[close + 1] === sign ? 2 : 1));
  }
  if (close < 0) return null;
  const tag = sign === "~~" ? "s" : sign.length === 2 ? "strong" : "em";
  return { nodes: [h(tag, null, ...inline(text.slice(from, close), depth + 1))], end: close + sign.length };
}

/** @param {string} text @param {number} start @param {string} bracket @param {number} depth */
function link(text, start, bracket, depth) {
  const from = start + bracket.length;
  const middle = text.indexOf("](", from);
  const close = middle < 0 ? -1 : text.indexOf(")", middle);
  if (close < 0) return null;
  const label = text.slice(from, middle);
  const [target = ""] = text.slice(middle + 2, close).trim().split(/\s/, 1);
  if (label.includes("\n\n") || !/^(https?:\/\/|mailto:)/i.test(target)) return null;
  const words = bracket === "![" ? [`Image: ${label || target}`] : inline(label, depth + 1);
  return { nodes: [anchor(target, words)], end: close + 1 };
}

/** @param {string} target @param {(Node | string)[]} words */
function anchor(target, words) {
  return h("a", { href: target, rel: "noopener noreferrer nofollow", target: "_blank" }, ...words);
}
