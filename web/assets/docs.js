// Draws /openapi.json: operations by tag, parameters, bodies, answers, and a command to try each. Nothing is loaded from
// elsewhere.

import { copier, fill, h } from "./parts/dom.js";
import { icon } from "./parts/icons.js";

/** @typedef {Record<string, any>} Schema */
/** @typedef {{ method: string, path: string, op: any, id: string }} Operation */

/** How deep a schema is drawn before it is only named. */
const DEPTH = 6;

const METHODS = ["get", "post", "put", "patch", "delete"];

/** @type {any} */
let description;

/** Follows a reference within the document. @param {Schema | undefined} schema @returns {Schema} */
function resolve(schema) {
  let found = schema ?? {};
  for (let hops = 0; found.$ref && hops < 8; hops += 1) {
    found = String(found.$ref).replace(/^#\//, "").split("/").reduce((at, part) => at?.[part.replaceAll("~1", "/").replaceAll("~0", "~")], description) ?? {};
  }
  return found;
}

/** Returns the alternatives of a schema without the null one, and whether null is one. @param {Schema} schema */
function alternatives(schema) {
  const all = schema.oneOf ?? schema.anyOf;
  if (!all) return { list: [schema], nullable: false };
  const list = all.filter((/** @type {Schema} */ one) => resolve(one).type !== "null");
  return { list, nullable: list.length < all.length };
}

/** Returns the type of a schema in words. @param {Schema | undefined} given @returns {string} */
function typeOf(given) {
  const schema = resolve(given);
  const { list, nullable } = alternatives(schema);
  const more = nullable ? " | null" : "";
  if (list.length > 1) return list.map(typeOf).join(" | ") + more;
  if (list[0] !== schema) return typeOf(list[0]) + more;
  if (schema.enum) return schema.enum.map((/** @type {any} */ value) => JSON.stringify(value)).join(" | ") + more;
  if (schema.const !== undefined) return JSON.stringify(schema.const);
  const type = Array.isArray(schema.type) ? schema.type.join(" | ") : (schema.type ?? (schema.properties || schema.allOf ? "object" : "any"));
  return type === "array" || schema.items ? `array of ${typeOf(schema.items)}` : type + more;
}

/** Returns the limits of a schema in words. @param {Schema} given */
function limits(given) {
  const schema = resolve(given);
  /** @type {[string, string][]} */
  const names = [["minimum", "≥"], ["maximum", "≤"], ["exclusiveMinimum", ">"], ["exclusiveMaximum", "<"], ["minLength", "length ≥"], ["maxLength", "length ≤"], ["minItems", "items ≥"], ["maxItems", "items ≤"], ["pattern", "pattern"], ["format", "format"], ["default", "default"]];
  return names.filter(([name]) => schema[name] !== undefined).map(([name, word]) => `${word} ${schema[name]}`).join(", ");
}

/** Collects the properties of a schema, those of its parts included. @param {Schema} given @returns {{ properties: Record<string, Schema>, required: string[] }} */
function members(given) {
  const schema = resolve(given);
  const parts = [schema, ...(schema.allOf ?? []).map(resolve)];
  return {
    properties: Object.assign({}, ...parts.map((part) => (part === schema ? part.properties : members(part).properties) ?? {})),
    required: parts.flatMap((part) => part.required ?? []),
  };
}

/** @param {Schema | undefined} given @param {number} [depth] @returns {HTMLElement | null} */
function schemaList(given, depth = 0) {
  const schema = resolve(given);
  if (depth > DEPTH) return null;
  if (schema.items) return schemaList(schema.items, depth);
  const { list } = alternatives(schema);
  if (list.length > 1) {
    const drawn = list.map((/** @type {Schema} */ one) => ({ one, inside: schemaList(one, depth + 1) })).filter((/** @type {{ inside: any }} */ { inside }) => inside);
    return drawn.length ? h("ul", "schema", ...drawn.map((/** @type {{ one: Schema, inside: HTMLElement }} */ { one, inside }, /** @type {number} */ index) => h("li", null, h("details", null, h("summary", null, `Form ${index + 1} `, h("span", "dim", resolve(one).description ?? "")), inside)))) : null;
  }
  if (list[0] !== schema) return schemaList(list[0], depth);
  const { properties, required } = members(schema);
  const names = Object.keys(properties);
  if (!names.length) return null;
  return h("ul", "schema", ...names.map((name) => property(name, properties[name] ?? {}, required.includes(name), depth)));
}

/** @param {string} name @param {Schema} schema @param {boolean} required @param {number} depth */
function property(name, schema, required, depth) {
  const inside = schemaList(schema, depth + 1);
  const about = schema.description ?? resolve(schema).description ?? "";
  const head = [h("code", "strong", name), " ", h("span", "type", typeOf(schema)), required ? h("span", "must", " required") : null, " ", h("span", "dim", [about, limits(schema)].filter(Boolean).join(" · "))];
  return h("li", null, inside ? h("details", null, h("summary", null, ...head), inside) : h("span", null, ...head));
}

/** Makes a small example of a schema: what is required, and the first form of alternatives. @param {Schema | undefined} given @param {number} [depth] @returns {any} */
function example(given, depth = 0) {
  const schema = resolve(given);
  const direct = schema.example ?? schema.examples?.[0] ?? schema.default ?? schema.const ?? schema.enum?.[0];
  if (direct !== undefined) return direct;
  const { list } = alternatives(schema);
  if (list[0] !== schema) return example(list[0], depth);
  const type = Array.isArray(schema.type) ? schema.type[0] : schema.type;
  if (type === "array") return depth > 3 ? [] : [example(schema.items, depth + 1)];
  if (type === "boolean") return true;
  if (type === "integer" || type === "number") return schema.minimum ?? 1;
  if (type === "string") return "what time is it?".slice(0, schema.maxLength ?? 99);
  const { properties, required } = members(schema);
  return Object.fromEntries(required.map((name) => [name, example(properties[name], depth + 1)]));
}

/** @param {Operation} operation */
function command({ method, path, op }) {
  const filled = path.replace(/\{(\w+)\}/g, (_, name) => (name === "agent" ? (agent ?? "AGENT") : name.toUpperCase()));
  const body = op.requestBody ? resolve(op.requestBody).content?.["application/json"]?.schema : null;
  const parts = ["curl -s", method === "get" ? "" : `-X ${method.toUpperCase()}`, body ? `-H 'content-type: application/json' -d '${JSON.stringify(example(body))}'` : "", `'${location.origin}${filled}'`];
  return parts.filter(Boolean).join(" ");
}

/** The default agent, for examples that run as they stand. @type {string | null} */
let agent = null;

/** @param {Operation} operation */
function operation(operation) {
  const { method, path, op, id } = operation;
  const params = (op.parameters ?? []).map(resolve);
  const body = op.requestBody ? resolve(op.requestBody) : null;
  const schema = body?.content?.["application/json"]?.schema ?? Object.values(body?.content ?? {})[0]?.schema;
  const run = command(operation);
  return h("article", { id },
    h("h3", null, h("span", `method ${method}`, method), path),
    h("p", null, [op.summary, op.description].filter(Boolean).join(" ")),
    params.length ? h("div", null, h("h4", null, "Parameters"), h("table", null, h("tbody", null, ...params.map((/** @type {any} */ param) => h("tr", null,
      h("td", null, h("code", null, param.name), h("span", "dim small", ` ${param.in}`), param.required ? h("span", "must", " required") : null),
      h("td", null, h("code", "dim", typeOf(param.schema)), " ", [param.description, limits(param.schema ?? {})].filter(Boolean).join(" · "))))))) : null,
    schema ? h("div", null, h("h4", null, "Body"), schemaList(schema) ?? h("p", "dim", typeOf(schema))) : null,
    h("h4", null, "Answers"),
    h("ul", "schema", ...Object.entries(op.responses ?? {}).map(([status, given]) => answer(status, resolve(given)))),
    h("section", "value", h("header", null, h("h4", null, "Try it"), copier("Copy", () => run)), h("pre", "words", run)),
  );
}

/** @param {string} status @param {any} response */
function answer(status, response) {
  const schema = response.content?.["application/json"]?.schema;
  const inside = schema ? schemaList(schema) : null;
  const head = [h("code", "strong", status), " ", response.description ?? ""];
  return h("li", null, inside ? h("details", null, h("summary", null, ...head), inside) : h("span", null, ...head));
}

function draw() {
  /** @type {Map<string, Operation[]>} */
  const tags = new Map((description.tags ?? []).map((/** @type {{ name: string }} */ { name }) => [name, []]));
  for (const [path, methods] of Object.entries(description.paths ?? {})) {
    for (const method of METHODS) {
      const op = /** @type {any} */ (methods)[method];
      if (!op) continue;
      const tag = op.tags?.[0] ?? "other";
      if (!tags.has(tag)) tags.set(tag, []);
      tags.get(tag)?.push({ method, path, op, id: `${method}${path.replace(/[^\w]+/g, "-")}` });
    }
  }
  const about = new Map((description.tags ?? []).map((/** @type {any} */ tag) => [tag.name, tag.description]));
  const filter = h("input", { type: "search", placeholder: "Filter", "aria-label": "Filter operations", on: { input: () => {
    const text = filter.value.toLowerCase();
    for (const item of contents.querySelectorAll("li")) item.hidden = !item.textContent?.toLowerCase().includes(text);
  } } });
  const contents = h("div", null, ...[...tags].filter(([, list]) => list.length).map(([tag, list]) => h("section", null, h("h2", null, tag),
    h("ul", null, ...list.map(({ method, path, id }) => h("li", null, h("a", { href: `#${id}`, title: path }, h("span", `method ${method}`, method), h("span", "path", path))))))));
  fill(document.body, h("nav", { "aria-label": "Operations" }, h("a", { href: "/" }, icon("left"), "Bedplate"), filter, contents),
    h("main", { tabindex: "-1" }, h("h1", null, `${description.info?.title ?? "API"} ${description.info?.version ?? ""}`), h("p", "dim", description.info?.description ?? ""),
      h("p", null, h("a", { href: "/openapi.json" }, "openapi.json")),
      ...[...tags].filter(([, list]) => list.length).map(([tag, list]) => h("section", null, h("h2", null, tag, " ", h("span", "dim small", about.get(tag) ?? "")), ...list.map(operation)))));
  if (location.hash) document.getElementById(location.hash.slice(1))?.scrollIntoView();
}

try {
  const [read, info] = await Promise.all([fetch("/openapi.json").then((response) => response.json()), fetch("/v1/info").then((response) => (response.ok ? response.json() : null)).catch(() => null)]);
  description = read;
  agent = info?.default_agent ?? null;
  draw();
} catch {
  document.body.append(h("main", null, h("p", null, "The description could not be read from /openapi.json. Is the server running?")));
}
