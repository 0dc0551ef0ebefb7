// The prompt of the playground as it stands in the address. It stands behind the #, which no server is sent.

/** @typedef {{ system: string, user: string, routes: string[], temperature: string, max_tokens: string, tools: string, schema: string }} Prompt */

/** @type {Prompt} */
export const NOTHING = { system: "", user: "", routes: [], temperature: "", max_tokens: "", tools: "", schema: "" };

/** How long an address may be; a longer prompt is not put into it. */
const LONGEST = 8_000;

/** @param {string} hash @returns {Prompt | null} */
export function promptOf(hash) {
  if (hash.length < 2) return null;
  const search = new URLSearchParams(hash.slice(1));
  const text = (/** @type {string} */ name) => search.get(name) ?? "";
  return { system: text("system"), user: text("user"), routes: text("routes").split(",").filter(Boolean), temperature: text("temperature"), max_tokens: text("max_tokens"), tools: text("tools"), schema: text("schema") };
}

/** Returns the address of a prompt; one that is too long is cut down to what fits. @param {Prompt} prompt */
export function addressOf(prompt) {
  const search = new URLSearchParams();
  for (const [name, value] of Object.entries(prompt)) if (value.length) search.set(name, String(value));
  const text = search.toString();
  if (!text) return "/models/playground";
  return text.length > LONGEST ? `/models/playground#${new URLSearchParams({ routes: String(prompt.routes) })}` : `/models/playground#${text}`;
}

/**
 * Returns the address of the playground with the prompt of a request of Chat Completions; null where it has more than one
 * message of a person, or parts that are no text.
 * @param {any} request
 */
export function playgroundOf(request) {
  const messages = Array.isArray(request?.messages) ? request.messages : [];
  const people = messages.filter((/** @type {any} */ { role }) => role === "user");
  const system = messages.filter((/** @type {any} */ { role }) => role === "system" || role === "developer");
  const texts = [...people, ...system].every((/** @type {any} */ { content }) => typeof content === "string");
  if (people.length !== 1 || people.length + system.length !== messages.length || !texts) return null;
  const json = (/** @type {any} */ value) => (value ? JSON.stringify(value, null, 2) : "");
  return addressOf({
    system: system.map((/** @type {any} */ { content }) => content).join("\n\n"), user: people[0].content, routes: [String(request.model ?? "")],
    temperature: String(request.temperature ?? ""), max_tokens: String(request.max_tokens ?? request.max_completion_tokens ?? ""),
    tools: json(request.tools), schema: json(request.response_format?.json_schema?.schema),
  });
}
