// A server of Chat Completions for the tests of the page: `quick-1` answers at once, `thorough-1` word by word,
// `limited-1` refuses with 429, `broken-1` cuts its stream, and any model calls the first tool that it is offered.

import { createServer } from "node:http";

const WORDS = { "quick-1": 8, "thorough-1": 60, "broken-1": 8 };

/** Between two words, in milliseconds. */
const PAUSE = { "thorough-1": 15 };

const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

async function answer(request, response) {
  let text = "";
  for await (const chunk of request) text += chunk;
  const { model, messages, stream, tools } = JSON.parse(text);
  if (model === "limited-1") {
    response.writeHead(429, { "content-type": "application/json" });
    return response.end(JSON.stringify({ error: { message: "Slow down: 1 request a minute", type: "rate_limit_exceeded", code: "rate_limit_exceeded" } }));
  }
  const asked = messages.at(-1).content;
  const said = typeof asked === "string" ? asked : asked.map((part) => part.text ?? "").join("");
  const words = said.includes("<script>") ? ["<script>window.xss=1</script>", "<b>bold</b>"] : Array.from({ length: WORDS[model] ?? 8 }, (_, index) => `${model.split("-")[0]}${index + 1}`);
  const usage = { prompt_tokens: 40 + said.length, completion_tokens: words.length, total_tokens: 40 + said.length + words.length };
  const call = tools?.length ? [{ index: 0, id: "call_1", type: "function", function: { name: tools[0].function.name, arguments: '{"city":"Kyoto"}' } }] : null;
  const base = { id: "chatcmpl-1", created: 0, model };
  if (!stream) {
    const message = call ? { role: "assistant", content: null, tool_calls: call } : { role: "assistant", content: words.join(" ") };
    response.writeHead(200, { "content-type": "application/json" });
    return response.end(JSON.stringify({ ...base, object: "chat.completion", choices: [{ index: 0, message, finish_reason: call ? "tool_calls" : "stop" }], usage }));
  }
  response.writeHead(200, { "content-type": "text/event-stream" });
  const send = (choices, more = {}) => response.write(`data: ${JSON.stringify({ ...base, object: "chat.completion.chunk", choices, ...more })}\n\n`);
  if (call) send([{ index: 0, delta: { role: "assistant", tool_calls: call }, finish_reason: null }]);
  else for (const [index, word] of words.entries()) {
    if (model === "broken-1" && index === 4) return response.destroy();
    send([{ index: 0, delta: { content: index ? ` ${word}` : word }, finish_reason: null }]);
    await sleep(PAUSE[model] ?? 0);
  }
  send([{ index: 0, delta: {}, finish_reason: call ? "tool_calls" : "stop" }]);
  send([], { usage });
  response.end("data: [DONE]\n\n");
}

/** Starts it on a free port of loopback. */
export async function upstream() {
  const server = createServer((request, response) => void answer(request, response).catch(() => response.destroy()));
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  return { host: `127.0.0.1:${server.address().port}`, stop: () => server.closeAllConnections() ?? server.close() };
}
