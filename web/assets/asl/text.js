// A JSON text that is changed in places: what is not touched keeps its bytes, its order and its indentation. Pure
// functions from text to text; knows nothing of the States Language.

/** @typedef {(string | number)[]} Path */
/** @typedef {{ key: string, from: number, keyTo: number, value: Place }} Member */
/** @typedef {{ kind: "object" | "array" | "plain", from: number, to: number, members: Member[], items: Place[] }} Place */

/** How wide an inserted value may be on a line of its own, in characters. */
const WIDE = 76;

/**
 * Returns where everything is in a JSON text.
 * @param {string} text valid JSON
 * @returns {Place}
 */
export function places(text) {
  let at = 0;
  const skip = () => {
    while (at < text.length && " \t\r\n".includes(text[at] ?? "")) at += 1;
  };
  const word = () => {
    const from = at;
    at += 1;
    while (at < text.length && text[at] !== '"') at += text[at] === "\\" ? 2 : 1;
    at += 1;
    return /** @type {string} */ (JSON.parse(text.slice(from, at)));
  };
  /** @returns {Place} */
  const value = () => {
    skip();
    /** @type {Place} */
    const place = { kind: "plain", from: at, to: at, members: [], items: [] };
    const open = text[at];
    if (open === "{" || open === "[") {
      place.kind = open === "{" ? "object" : "array";
      at += 1;
      for (skip(); at < text.length && text[at] !== "}" && text[at] !== "]"; skip()) {
        if (open === "{") {
          const from = at;
          const key = word();
          const keyTo = at;
          skip();
          at += 1;
          place.members.push({ key, from, keyTo, value: value() });
        } else place.items.push(value());
        skip();
        if (text[at] === ",") at += 1;
      }
      at += 1;
    } else if (open === '"') word();
    else while (at < text.length && !", \t\r\n}]".includes(text[at] ?? "")) at += 1;
    place.to = at;
    return place;
  };
  return value();
}

/** Returns the place at a path; none when there is nothing. @param {Place} root @param {Path} path @returns {Place | undefined} */
export function placeAt(root, path) {
  /** @type {Place | undefined} */
  let place = root;
  for (const part of path) {
    if (!place) return undefined;
    // Of two members with one name the last one counts, as for JSON.parse.
    place = place.kind === "array" ? place.items[Number(part)] : place.members.findLast((member) => member.key === part)?.value;
  }
  return place;
}

/** How a text is laid out. @param {string} text */
function style(text) {
  const newline = text.includes("\r\n") ? "\r\n" : "\n";
  const unit = /^[ \t]+(?=\S)/m.exec(text)?.[0] ?? "  ";
  const colon = /"\s*:(?! )/.test(text) && !/": /.test(text) ? ":" : ": ";
  return { newline, unit: unit.startsWith("\t") ? "\t" : unit, colon, comma: colon === ": " ? ", " : "," };
}

/** @typedef {ReturnType<typeof style>} Style */

/** Writes a value on one line. @param {any} value @param {Style} how @returns {string} */
function flat(value, how) {
  if (Array.isArray(value)) return `[${value.map((one) => flat(one, how)).join(how.comma)}]`;
  if (value && typeof value === "object") return `{${Object.entries(value).map(([key, one]) => `${JSON.stringify(key)}${how.colon}${flat(one, how)}`).join(how.comma)}}`;
  return JSON.stringify(value) ?? "null";
}

/** Writes a value; what is short and plain stays on one line. @param {any} value @param {Style} how @param {string} base the indentation of the line it begins on @returns {string} */
function wide(value, how, base) {
  const isArray = Array.isArray(value);
  const holds = value && typeof value === "object" && Object.keys(value).length > 0;
  const plain = isArray && value.every((/** @type {any} */ one) => !one || typeof one !== "object");
  if (!holds || (plain && flat(value, how).length <= WIDE)) return flat(value, how);
  const inner = base + how.unit;
  const lines = isArray ? value.map((/** @type {any} */ one) => inner + wide(one, how, inner)) : Object.entries(value).map(([key, one]) => `${inner}${JSON.stringify(key)}${how.colon}${wide(one, how, inner)}`);
  return `${isArray ? "[" : "{"}${how.newline}${lines.join(`,${how.newline}`)}${how.newline}${base}${isArray ? "]" : "}"}`;
}

/** Returns the indentation of the line that a position lies on. @param {string} text @param {number} at */
function indentAt(text, at) {
  const begin = text.lastIndexOf("\n", at - 1) + 1;
  return /^[ \t]*/.exec(text.slice(begin, at))?.[0] ?? "";
}

/** Whether a position is the first thing on its line. @param {string} text @param {number} at */
function leads(text, at) {
  return /(^|\n)[ \t]*$/.test(text.slice(0, at));
}

/** @param {string} text @param {number} from @param {number} to @param {string} with_ */
const splice = (text, from, to, with_) => text.slice(0, from) + with_ + text.slice(to);

/** @param {any} one @param {any} other */
export const same = (one, other) => JSON.stringify(one) === JSON.stringify(other);

/**
 * Puts a value at a path: it takes the place of what is there, or becomes the last member or item of its parent, or the
 * one after the member `after`.
 * @param {string} text
 * @param {Path} path its parent must be there
 * @param {any} value
 * @param {string} [after]
 */
export function put(text, path, value, after) {
  const root = places(text);
  const how = style(text);
  const there = placeAt(root, path);
  if (there) {
    const before = text.slice(there.from, there.to);
    if (same(JSON.parse(before), value)) return text;
    const short = flat(value, how);
    const fits = !before.includes("\n") && short.length <= Math.max(WIDE, before.length);
    return splice(text, there.from, there.to, fits && (value === null || typeof value !== "object" || there.kind !== "plain") ? short : wide(value, how, indentAt(text, there.from)));
  }
  const parent = placeAt(root, path.slice(0, -1));
  const last = path.at(-1);
  if (!parent || parent.kind === "plain" || last === undefined) return text;
  const isArray = parent.kind === "array";
  const head = isArray ? "" : `${JSON.stringify(String(last))}${how.colon}`;
  /** @type {{ from: number, to: number }[]} */
  const own = isArray ? parent.items : parent.members.map((member) => ({ from: member.from, to: member.value.to }));
  const wanted = isArray ? -1 : parent.members.findLastIndex((member) => member.key === after);
  const before = own[wanted < 0 ? own.length - 1 : wanted];
  if (!before) {
    const base = indentAt(text, parent.from);
    const inside = text.includes("\n") ? `${how.newline}${base}${how.unit}${head}${wide(value, how, base + how.unit)}${how.newline}${base}` : head + flat(value, how);
    return splice(text, parent.from + 1, parent.to - 1, inside);
  }
  if (!leads(text, before.from)) return splice(text, before.to, before.to, `${how.comma}${head}${flat(value, how)}`);
  const base = indentAt(text, before.from);
  return splice(text, before.to, before.to, `,${how.newline}${base}${head}${wide(value, how, base)}`);
}

/**
 * Puts a JSON text in the place of what is at a path, as it was written, moved to where it lies.
 * @param {string} text
 * @param {Path} path it must be there
 * @param {string} source
 */
export function write(text, path, source) {
  const there = placeAt(places(text), path);
  if (!there) return text;
  const { newline } = style(text);
  const base = indentAt(text, there.from);
  return splice(text, there.from, there.to, source.trim().split(/\r?\n/).map((line, index) => (index && line ? base + line : line)).join(newline));
}

/** Returns the text of what is at a path, without the indentation of where it lies. @param {string} text @param {Path} path */
export function source(text, path) {
  const there = placeAt(places(text), path);
  if (!there) return "";
  const base = indentAt(text, there.from);
  return text.slice(there.from, there.to).split(/\r?\n/).map((line) => (line.startsWith(base) ? line.slice(base.length) : line)).join("\n");
}

/** Returns a text as a field of many lines shows it: each line ends in one `\n`. @param {string} text */
export const inField = (text) => text.replace(/\r\n?/g, "\n");

/**
 * Returns a text with what was changed in a field that shows it. What was not changed keeps its ends of lines; what is
 * new gets those that the text has.
 * @param {string} text
 * @param {string} said what the field holds now
 */
export function typed(text, said) {
  if (!text.includes("\r")) return said;
  const shown = inField(text);
  const most = Math.min(shown.length, said.length);
  let from = 0;
  while (from < most && shown[from] === said[from]) from += 1;
  let rest = 0;
  while (rest < most - from && shown[shown.length - 1 - rest] === said[said.length - 1 - rest]) rest += 1;
  // Where in the text a position of what is shown lies.
  const at = (/** @type {number} */ position) => {
    let found = 0;
    for (; position > 0; position -= 1) found += text.startsWith("\r\n", found) ? 2 : 1;
    return found;
  };
  return splice(text, at(from), at(shown.length - rest), said.slice(from, said.length - rest).replaceAll("\n", style(text).newline));
}

/** Takes away what is at a path, with its comma. @param {string} text @param {Path} path */
export function drop(text, path) {
  const parent = placeAt(places(text), path.slice(0, -1));
  const last = path.at(-1);
  if (!parent || parent.kind === "plain") return text;
  const own = parent.kind === "array" ? parent.items : parent.members.map((member) => ({ from: member.from, to: member.value.to }));
  const index = parent.kind === "array" ? Number(last) : parent.members.findLastIndex((member) => member.key === last);
  const [before, there, next] = [own[index - 1], own[index], own[index + 1]];
  if (!there) return text;
  if (before) return splice(text, before.to, there.to, "");
  if (next) return splice(text, there.from, next.from, "");
  return splice(text, parent.from + 1, parent.to - 1, "");
}

/** Gives a member another name. @param {string} text @param {Path} path @param {string} name */
export function rename(text, path, name) {
  const parent = placeAt(places(text), path.slice(0, -1));
  const member = parent?.members.findLast(({ key }) => key === path.at(-1));
  return member ? splice(text, member.from, member.keyTo, JSON.stringify(name)) : text;
}

/** Exchanges two neighbouring items of a list. @param {string} text @param {Path} path of the list @param {number} first the index of the first of them */
export function swap(text, path, first) {
  const list = placeAt(places(text), path);
  const [one, two] = [list?.items[first], list?.items[first + 1]];
  if (!one || !two) return text;
  return text.slice(0, one.from) + text.slice(two.from, two.to) + text.slice(one.to, two.from) + text.slice(one.from, one.to) + text.slice(two.to);
}

/** Returns the path that a JSON pointer means. @param {string} pointer @returns {string[]} */
export function fromPointer(pointer) {
  return pointer.split("/").slice(1).map((part) => part.replaceAll("~1", "/").replaceAll("~0", "~"));
}

/** Returns the line and the column of a position, both from 1. @param {string} text @param {number} at */
export function lineOf(text, at) {
  const before = text.slice(0, at).split("\n");
  return { line: before.length, column: (before.at(-1) ?? "").length + 1 };
}
