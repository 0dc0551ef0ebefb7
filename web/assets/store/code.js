// A prompt as code that sends it: curl, and the clients of OpenAI, Anthropic and AWS.

import { curl } from "../api.js";
import { settings } from "./settings.js";

/** What is sent to a route: the body of Chat Completions. @typedef {{ model: string, messages: { role: string, content: string }[], stream: boolean, temperature?: number, max_tokens?: number, tools?: any[], response_format?: any }} Request */

/** Without a bound Anthropic's clients refuse to send. */
const MAX_TOKENS = 1024;

/** Returns a value as Python writes it. @param {any} value @param {number} [depth] @returns {string} */
export function python(value, depth = 1) {
  const pad = "    ".repeat(depth);
  const end = "    ".repeat(depth - 1);
  if (value === null || value === undefined) return "None";
  if (typeof value === "boolean") return value ? "True" : "False";
  if (typeof value !== "object") return JSON.stringify(value);
  const parts = Array.isArray(value) ? value.map((part) => python(part, depth + 1)) : Object.entries(value).map(([name, part]) => `${JSON.stringify(name)}: ${python(part, depth + 1)}`);
  const [left, right] = Array.isArray(value) ? "[]" : "{}";
  const short = `${left}${parts.join(", ")}${right}`;
  if (short.length + depth * 4 < 96 && !short.includes("\n")) return short;
  return `${left}\n${parts.map((part) => `${pad}${part},\n`).join("")}${end}${right}`;
}

/** @param {Record<string, any>} given */
function named(given) {
  return Object.entries(given).filter(([, value]) => value !== undefined).map(([name, value]) => `    ${name}=${python(value, 2)},\n`).join("");
}

const key = () => (settings.key ? 'os.environ["BEDPLATE_KEY"]' : '"none"');
const imports = (/** @type {string} */ name) => `${settings.key ? "import os\n" : ""}${name}\n\n`;

/** @param {Request} request */
function parts({ messages, tools, response_format: format }) {
  const system = messages.filter(({ role }) => role === "system").map(({ content }) => content).join("\n\n");
  const uses = tools?.map(({ function: it }) => ({ name: it.name, description: it.description ?? "", schema: it.parameters ?? { type: "object" } }));
  return { system: system || undefined, rest: messages.filter(({ role }) => role !== "system"), uses, schema: format?.json_schema?.schema };
}

/** The forms in which a prompt can be copied. @type {Record<string, [string, (request: Request) => string]>} */
export const CODE = {
  curl: ["curl", (request) => curl("POST", "/v1/chat/completions", request).replace("curl -s", "curl -sN")],
  openai: ["Python, openai", ({ stream: _, ...request }) => `${imports("from openai import OpenAI")}client = OpenAI(base_url="${location.origin}/v1", api_key=${key()})
stream = client.chat.completions.create(
${named({ ...request, stream: true })})
for chunk in stream:
    if chunk.choices:
        print(chunk.choices[0].delta.content or "", end="", flush=True)
`],
  anthropic: ["Python, anthropic", (request) => {
    const { system, rest, uses, schema } = parts(request);
    // Its versions differ in what they take by name; what is in the extra body reaches the server from each.
    const extra = { ...(request.temperature === undefined ? {} : { temperature: request.temperature }), ...(schema ? { output_config: { format: { type: "json_schema", schema } } } : {}) };
    return `${imports("from anthropic import Anthropic")}client = Anthropic(base_url="${location.origin}", api_key=${key()})
with client.messages.stream(
${named({
    model: request.model, max_tokens: request.max_tokens ?? MAX_TOKENS, system, messages: rest,
    tools: uses?.map(({ name, description, schema: input }) => ({ name, description, input_schema: input })), extra_body: Object.keys(extra).length ? extra : undefined,
  })}) as stream:
    for text in stream.text_stream:
        print(text, end="", flush=True)
`;
  }],
  boto3: ["Python, boto3", (request) => {
    const { system, rest, uses, schema } = parts(request);
    const config = { ...(request.max_tokens === undefined ? {} : { maxTokens: request.max_tokens }), ...(request.temperature === undefined ? {} : { temperature: request.temperature }) };
    const form = schema && { textFormat: { type: "json_schema", structure: { jsonSchema: { name: "answer", schema: JSON.stringify(schema) } } } };
    const credentials = settings.key ? ")  # AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY: bedplate keys create NAME --aws" : ', aws_access_key_id="none", aws_secret_access_key="none")';
    return `import boto3

client = boto3.client("bedrock-runtime", endpoint_url="${location.origin}", region_name="us-east-1"${credentials}
reply = client.converse_stream(
${named({
    modelId: request.model, system: system && [{ text: system }], messages: rest.map(({ role, content }) => ({ role, content: [{ text: content }] })),
    inferenceConfig: Object.keys(config).length ? config : undefined,
    toolConfig: uses && { tools: uses.map(({ name, description, schema: input }) => ({ toolSpec: { name, ...(description ? { description } : {}), inputSchema: { json: input } } })) }, outputConfig: form,
  })})
for event in reply["stream"]:
    print(event.get("contentBlockDelta", {}).get("delta", {}).get("text", ""), end="", flush=True)
`;
  }],
};
