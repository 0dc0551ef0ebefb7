// Model calls of all kinds against the project in gateway/, for the cases about calls, costs and the playground.

const asks = [
  ["default", { user: "ann", tags: "project=atlas" }], ["default", { user: "ann", tags: "project=atlas,stage=test" }], ["thorough", { user: "ben", tags: "project=boreas", stream: true }],
  ["careful", { user: "ben", tags: "project=boreas" }], ["limited", { user: "cleo" }], ["broken", { user: "cleo", stream: true }],
  ["faq", { user: "ann" }], ["faq", { user: "ben" }], ["default", { user: "dora", stream: true, tags: "project=atlas" }],
];

/** How many calls that makes, and how many of them fail. */
export const CALLS = { all: asks.length, failed: 2 };

export async function call(base, model, { user, tags, stream = false, content = "What is the capital of Japan?" } = {}) {
  const headers = { "content-type": "application/json", ...(user ? { "x-bedplate-user": user } : {}), ...(tags ? { "x-bedplate-tags": tags } : {}) };
  const response = await fetch(`${base}/v1/chat/completions`, { method: "POST", headers, body: JSON.stringify({ model, stream, messages: [{ role: "user", content }] }) });
  return { status: response.status, text: await response.text() };
}

/** Makes the calls and waits until their records are kept. */
export async function makeCalls(base) {
  for (const [model, options] of asks) await call(base, model, options);
  for (;;) {
    const { total } = await (await fetch(`${base}/v1/costs`)).json();
    if (total.calls >= asks.length) return total;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}
