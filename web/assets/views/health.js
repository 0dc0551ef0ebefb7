// The routes of the project, the models behind them, and how each model does now.

import { get } from "../api.js";
import { repeated } from "../parts/again.js";
import { fill, h, sync, text } from "../parts/dom.js";
import { empty } from "../parts/empty.js";
import { count, duration } from "../parts/format.js";
import { icon } from "../parts/icons.js";
import { errorWord } from "../parts/record.js";
import { failure } from "../parts/toast.js";
import { project } from "../store/project.js";

/** @typedef {import('../types').Target} Target */

/** How often it is read again while the page is visible, in milliseconds. */
const EVERY = 3_000;

/** From this many on, calls under way have no bound worth showing. */
const UNBOUND = 100_000;

/** What a breaker's place means. @type {Record<Target["breaker"], [string, string]>} */
const BREAKER = { closed: ["quiet", "Takes calls"], open: ["bad", "Left alone, it failed too often"], half_open: ["live", "Being tried again"] };

/** @param {HTMLElement} root @returns {import('../types').View} */
export function health(root) {
  const body = h("tbody");
  const names = [[null, "Model of the project"], [null, "Provider"], [null, "State"], ["num", "Failing"], ["num", "First token"], ["num", "Under way"], [null, "Last error"]];
  const targets = h("section", { hidden: true }, h("h2", null, "Models"), h("p", "dim small", "What this server saw of each since it was started; the last calls count most."),
    h("div", "scroll", h("table", "sums-table", h("thead", null, h("tr", null, ...names.map(([kind, name]) => h("th", kind ?? null, name ?? "")))), body)));
  const routes = h("section", null, h("p", "line dim", "Opening…"));
  const note = h("div");
  root.append(h("div", "pad health", note, targets, routes));

  const state = repeated(async () => {
    try {
      const found = await get("/v1/targets");
      if (state.over) return;
      targets.hidden = false;
      note.replaceChildren();
      sync(body, /** @type {Target[]} */ (found.targets), ({ name }) => name, line);
    } catch (error) {
      if (!state.over && !body.childElementCount) fill(note, failure(error, () => void state.now()));
    }
  }, EVERY);

  /** @param {Target} target */
  function line(target) {
    const mark = h("span", "badge", h("i", { "aria-hidden": "true" }), h("span"));
    const [model, provider, failing, first, busy, last] = [h("code", "dim plain"), h("td"), h("td", "num"), h("td", "num"), h("td", "num"), h("td", "dim")];
    const el = h("tr", null, h("td", "strong name", target.name, " ", model), provider, h("td", null, mark), failing, first, busy, last);
    const update = (/** @type {Target} */ now) => {
      const [kind, word] = BREAKER[now.breaker];
      const paused = now.breaker === "closed" && now.wait_ms !== null;
      mark.className = `badge ${paused ? "asks" : kind}`;
      const wait = now.wait_ms === null ? "" : `: ${duration(Math.max(1000, now.wait_ms))} more`;
      text(/** @type {Node} */ (mark.lastChild), `${paused ? "Its provider asked for a pause" : word}${wait}`);
      text(model, now.model === now.name ? "" : now.model);
      text(provider, now.foundation_model ? now.provider : `${now.provider}, no foundation model`);
      text(failing, now.error_rate < 0.0005 ? "–" : `${(now.error_rate * 100).toFixed(now.error_rate < 0.0995 ? 1 : 0)} %`);
      failing.className = now.error_rate >= 0.05 ? "num bad" : "num";
      text(first, now.first_token_ms === null ? "–" : duration(now.first_token_ms));
      text(busy, now.limit >= UNBOUND ? count(now.in_flight) : `${count(now.in_flight)} of ${count(now.limit)}`);
      text(last, now.last_error ? errorWord(now.last_error) : "–");
    };
    update(target);
    return { el, update };
  }

  async function readRoutes() {
    try {
      const [{ data }, { info, agents }] = await Promise.all([get("/v1/models"), project()]);
      const all = data.filter((/** @type {any} */ { id }) => !id.startsWith("agent/"));
      if (!all.length) return fill(routes, empty("models", "No routes", "A route names the model that an agent's calls take. In bedplate.toml:", '[routes.default]\nmodel = "auto"'));
      const users = (/** @type {string} */ route) => agents.filter((agent) => (agent.route ?? agent.model) === route).map(({ name }) => name).join(", ");
      fill(routes,
        h("h2", null, "Routes"),
        info.notice ? h("p", "line card-line", icon("info"), info.notice) : null,
        h("div", "scroll", h("table", null, h("thead", null, h("tr", null, ...["Route", "Provider", "Model", "Kind", "Used by"].map((name) => h("th", null, name)))),
          h("tbody", null, ...all.map((/** @type {any} */ route) => h("tr", null, h("td", "strong", h("a", { href: `/models?route=${encodeURIComponent(route.id)}`, title: "Its calls" }, route.id)), h("td", null, route.owned_by), h("td", null, h("code", null, route.model)),
            h("td", null, h("span", route.foundation_model ? "tag on" : "tag", route.foundation_model ? "Foundation model" : "Stand-in, no foundation model")), h("td", "dim", users(route.id) || "–")))))),
        h("p", "dim small", "Routes stand in bedplate.toml. OpenAI and Anthropic clients and boto3 reach them at ", h("code", null, location.origin), "; see ", h("a", { href: "/docs", data: { leave: "" } }, "the API"), "."));
    } catch (error) {
      fill(routes, failure(error, () => void readRoutes()));
    }
  }

  void state.now();
  void readRoutes();
  return { title: "Routes and health", leave: state.stop };
}
