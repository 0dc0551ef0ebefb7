// The Vercel `ai` package through its OpenAI (Chat and Responses), Anthropic and Bedrock providers.
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";

// The packages lie where the runner installed them, and not beside this file.
const require = createRequire(`${process.env.CLIENT_FOLDER}/`);
const load = async (name) => import(pathToFileURL(require.resolve(name)));
const { generateText, streamText, tool, stepCountIs, Output } = await load("ai");
const { createOpenAI } = await load("@ai-sdk/openai");
const { createAnthropic } = await load("@ai-sdk/anthropic");
const { createAmazonBedrock } = await load("@ai-sdk/amazon-bedrock");
const { z } = await load("zod");

const url = process.argv[2];
const only = process.argv.slice(3);
globalThis.AI_SDK_LOG_WARNINGS = false;
const PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==";
const City = z.object({ city: z.string(), days: z.number().int() });
const bedrock = (route) => `anthropic.${route}-v1:0`;
const same = (found, expected) => {
  if (JSON.stringify(found) !== JSON.stringify(expected)) {
    throw new Error(`expected ${JSON.stringify(expected)}, got ${JSON.stringify(found)}`);
  }
};

const probes = (model, options = {}) => {
  const ask = (route, more = {}) => ({ model: model(route), prompt: "Go", maxRetries: 0, providerOptions: options, ...more });
  const tools = async (route = "parallel", expected = "Here you are.") => {
    const seen = [];
    const calculate = tool({
      description: "Evaluates an arithmetic expression and returns the number.",
      inputSchema: z.object({ expression: z.string() }),
      execute: async ({ expression }) => {
        seen.push(expression);
        return "42";
      },
    });
    const result = streamText(ask(route, { tools: { calculate }, stopWhen: stepCountIs(3), onError: () => {} }));
    await result.consumeStream();
    same(await result.text, expected);
    if (route === "parallel") same(seen.sort(), ["2 * 2", "6 * 7"]);
  };
  const status = async (route, expected) => {
    try {
      await generateText(ask(route));
    } catch (error) {
      return same(error.statusCode, expected);
    }
    throw new Error("no error");
  };
  return {
    chat: async () => {
      const result = await generateText(ask("plain"));
      same([result.text, result.usage.outputTokens], ["One two three.", 3]);
    },
    stream: async () => {
      const texts = [];
      for await (const text of streamText(ask("plain")).textStream) texts.push(text);
      same([texts.join(""), texts.length > 1], ["One two three.", true]);
    },
    tools: () => tools(),
    reasoning: () => tools("thinking", "I still know why."),
    images: async () => {
      const content = [{ type: "text", text: "Look" }, { type: "image", image: Buffer.from(PIXEL, "base64"), mediaType: "image/png" }];
      const result = await generateText(ask("picture", { prompt: undefined, messages: [{ role: "user", content }] }));
      same(result.text, "I see it.");
    },
    structured: async () => {
      const result = await generateText(ask("schema", { output: Output.object({ schema: City }) }));
      same(result.output, { city: "Paris", days: 3 });
    },
    // The package asks these providers for a form by a tool.
    toolStructured: async () => {
      const prompt = "What is the weather in Paris for 3 days?";
      const result = await generateText(ask("city", { prompt, output: Output.object({ schema: City }) }));
      same(result.output, { city: "Paris", days: 3 });
    },
    errors: async () => {
      await status("limited-vercel_ai", 429);
      await status("nobody", 404);
    },
  };
};

const openai = createOpenAI({ baseURL: `${url}/v1`, apiKey: "any" });
const anthropic = createAnthropic({ baseURL: `${url}/v1`, apiKey: "any" });
const amazon = createAmazonBedrock({ baseURL: url, region: "us-east-1", accessKeyId: "any", secretAccessKey: "any" });
const responses = probes((route) => openai.responses(route), { openai: { store: false, include: ["reasoning.encrypted_content"] } });
const kept = probes((route) => openai.responses(route));
const messages = probes((route) => anthropic(route));
const converse = probes((route) => amazon(bedrock(route)));
const rows = {
  "ai · OpenAI Chat": { ...probes((route) => openai.chat(route)), reasoning: "Chat has no field for it that the package sends back" },
  "ai · OpenAI Responses": responses,
  "ai · OpenAI Responses, stored": kept,
  "ai · Anthropic": { ...messages, structured: messages.toolStructured },
  "ai · Amazon Bedrock": { ...converse, structured: converse.toolStructured },
};
for (const [row, probe] of Object.entries(rows)) {
  for (const feature of ["chat", "stream", "tools", "reasoning", "images", "structured", "errors"]) {
    if (only.length && !only.includes(feature)) continue;
    const said = { row, feature };
    if (typeof probe[feature] === "string") {
      Object.assign(said, { state: "none", why: probe[feature] });
    } else {
      try {
        await probe[feature]();
        said.state = "ok";
      } catch (error) {
        Object.assign(said, { state: "failed", why: String(error.stack ?? error).slice(0, 2000) });
      }
    }
    console.log(JSON.stringify(said));
  }
}
process.exit(0);
