// Server-sent events over fetch: unlike EventSource it can POST, send a key, and say why it failed.

/** How long a stream may be silent, in milliseconds; the server sends a heartbeat every 15 seconds. */
const SILENCE = 40_000;

/**
 * Reads the events of a response until it ends. Throws when the connection is lost or silent for too long.
 * @param {Response} response
 * @returns {AsyncGenerator<{ event: string, data: any, id: string }>}
 */
export async function* events(response) {
  if (!response.body) return;
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  try {
    for (;;) {
      const { value, done } = await patient(reader);
      if (done) return;
      rest += value;
      const blocks = rest.split(/\r?\n\r?\n/);
      rest = blocks.pop() ?? "";
      for (const block of blocks) {
        const event = parse(block);
        if (event) yield event;
      }
    }
  } finally {
    reader.cancel().catch(() => {});
  }
}

/** @param {ReadableStreamDefaultReader<string>} reader */
async function patient(reader) {
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let timer;
  const silent = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error("the stream fell silent")), SILENCE);
  });
  try {
    return /** @type {ReadableStreamReadResult<string>} */ (await Promise.race([reader.read(), silent]));
  } finally {
    clearTimeout(timer);
  }
}

/** @param {string} block */
function parse(block) {
  let event = "message";
  let id = "";
  const data = [];
  for (const line of block.split(/\r?\n/)) {
    const colon = line.indexOf(":");
    if (colon === 0) continue;
    const name = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? "" : line.slice(colon + 1).replace(/^ /, "");
    if (name === "event") event = value;
    else if (name === "id") id = value;
    else if (name === "data") data.push(value);
  }
  if (!data.length) return null;
  return { event, id, data: JSON.parse(data.join("\n")) };
}
