// The service that Restate calls back: `Bench/steps` is the measured run, `Bench/wait` the run that waits for ever.
//
// Usage: node service.mjs PACKAGES PORT, where PACKAGES is the folder that holds node_modules. It is a process of its
// own so that its memory is told apart from the server's and from the loader's.
import { createServer } from "node:http2";
import { createRequire } from "node:module";
import { join } from "node:path";

// The SDK is written for Node 22; this is the one thing of it that Node 20 lacks.
Promise.withResolvers ??= function () {
  const parts = {};
  parts.promise = new this((resolve, reject) => Object.assign(parts, { resolve, reject }));
  return parts;
};

const [packages, port] = process.argv.slice(2);
const restate = createRequire(join(packages, "package.json"))("@restatedev/restate-sdk");

const bench = restate.service({
  name: "Bench",
  handlers: {
    // n durable steps, each awaited before the next, so each is one entry that the server has acknowledged.
    steps: async (ctx, { n }) => {
      let sum = 0;
      for (let i = 0; i < n; i++) {
        sum += await ctx.run(`step ${i}`, () => 1);
      }
      return { steps: sum };
    },
    // Suspended at once instead of after Restate's default minute: it then holds no stream to this process, which is
    // the state that a long wait ends in and the one in which it costs the least.
    wait: restate.handlers.handler({ inactivityTimeout: 0 }, async (ctx) => {
      const { promise } = ctx.awakeable();
      return await promise;
    }),
  },
});

// HTTP/2 on the loopback address only; the SDK's own `serve` would listen on every address.
createServer(restate.createEndpointHandler({ services: [bench] })).listen(Number(port), "127.0.0.1");
// The parent holds our standard input: when it is gone, so are we.
process.stdin.on("end", () => process.exit(0)).resume();
