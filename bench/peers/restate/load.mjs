// The load: runs over HTTP, one at a time or many at once, and clients that only wait.
import { Agent, request } from "node:http";

/** Calls a handler and returns its parsed answer; fails on any status but 200, and after `timeoutMs` if it is given. */
export function call(agent, port, handler, input, timeoutMs) {
  return new Promise((resolve, reject) => {
    const body = JSON.stringify(input);
    const req = request(
      {
        agent,
        host: "127.0.0.1",
        port,
        path: `/Bench/${handler}`,
        method: "POST",
        headers: { "content-type": "application/json", "content-length": Buffer.byteLength(body) },
      },
      (response) => {
        let text = "";
        response.setEncoding("utf8");
        response.on("data", (part) => (text += part));
        response.on("error", reject);
        response.on("end", () => {
          if (response.statusCode === 200) resolve(JSON.parse(text));
          else reject(new Error(`status ${response.statusCode}: ${text.slice(0, 200)}`));
        });
      },
    );
    req.on("error", reject);
    const late = () => req.destroy(new Error(`${handler} gave no answer in ${timeoutMs} ms`));
    if (timeoutMs) req.setTimeout(timeoutMs, late);
    req.end(body);
  });
}

/** Returns the times in milliseconds of `count` runs of `steps` steps, one after the other, sorted. */
export async function latencies(port, steps, count) {
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  const times = [];
  for (let i = 0; i < count; i++) {
    const begin = performance.now();
    await checkedRun(agent, port, steps);
    times.push(performance.now() - begin);
  }
  agent.destroy();
  return times.sort((a, b) => a - b);
}

/**
 * Keeps `atOnce` runs of `steps` steps under way for `seconds` and returns the rate.
 *
 * Only runs that ended inside the window count, over the window's length; the runs that fill it up before, and drain
 * after, are not counted.
 */
export async function throughput(port, steps, atOnce, seconds) {
  const agent = new Agent({ keepAlive: true, maxSockets: atOnce });
  const begin = performance.now() + 1000;
  const end = begin + seconds * 1000;
  let runs = 0;
  const worker = async () => {
    while (performance.now() < end) {
      await checkedRun(agent, port, steps);
      const now = performance.now();
      if (now >= begin && now < end) runs += 1;
    }
  };
  await Promise.all(Array.from({ length: atOnce }, worker));
  agent.destroy();
  return { runs, stepsPerSecond: (runs * steps) / seconds };
}

/** Opens `count` connections, each waiting on a run of its own that never ends; returns how to close them. */
export function openWaiting(port, count) {
  const agent = new Agent({ keepAlive: false, maxSockets: count });
  let closing = false;
  const failures = [];
  for (let i = 0; i < count; i++) {
    call(agent, port, "wait", {}).catch((error) => {
      if (!closing) failures.push(error.message);
    });
  }
  return {
    failures,
    close: () => {
      closing = true;
      agent.destroy();
    },
  };
}

async function checkedRun(agent, port, steps) {
  const answer = await call(agent, port, "steps", { n: steps }, 20_000);
  if (answer.steps !== steps) throw new Error(`a run of ${steps} steps answered ${JSON.stringify(answer)}`);
}
