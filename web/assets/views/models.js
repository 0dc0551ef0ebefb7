// The routes and what stands behind each.

import { get } from "../api.js";
import { fill, h } from "../parts/dom.js";
import { empty } from "../parts/empty.js";
import { icon } from "../parts/icons.js";
import { failure } from "../parts/toast.js";
import { project } from "../store/project.js";

/** @param {HTMLElement} root @returns {import('../types').View} */
export function models(root) {
  const body = h("div", "pad", h("p", "line dim", "Opening…"));
  root.append(body);
  async function read() {
    try {
      const [{ data }, { info, agents }] = await Promise.all([get("/v1/models"), project()]);
      if (!data.length) return fill(body, empty("models", "No routes", "A route names the model that an agent's calls take. In bedplate.toml:", '[routes.default]\nmodel = "auto"'));
      const users = (/** @type {string} */ route) => agents.filter((agent) => (agent.route ?? agent.model) === route).map(({ name }) => name).join(", ");
      fill(body,
        info.notice ? h("p", "line card-line", icon("info"), info.notice) : null,
        h("table", null, h("thead", null, h("tr", null, ...["Route", "Provider", "Model", "Kind", "Used by"].map((name) => h("th", null, name)))),
          h("tbody", null, ...data.map((/** @type {any} */ route) => h("tr", null, h("td", "strong", route.id), h("td", null, route.owned_by), h("td", null, h("code", null, route.model)),
            h("td", null, h("span", route.foundation_model ? "tag on" : "tag", route.foundation_model ? "Foundation model" : "Stand-in, no foundation model")), h("td", "dim", users(route.id) || "–"))))),
        h("p", "dim small", "Routes stand in bedplate.toml. OpenAI and Anthropic clients and boto3 reach them at ", h("code", null, location.origin), "; see ", h("a", { href: "/docs", data: { leave: "" } }, "the API"), "."));
    } catch (error) {
      fill(body, failure(error, () => void read()));
    }
  }
  void read();
  return { title: "Models" };
}
