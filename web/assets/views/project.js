// What the project declares: agents, their tools, what the tools promise, and when they ask.

import { button, fill, h } from "../parts/dom.js";
import { empty } from "../parts/empty.js";
import { plural } from "../parts/format.js";
import { json } from "../parts/json.js";
import { failure } from "../parts/toast.js";
import { annotations, approvalRule, forget, project } from "../store/project.js";
import { settings } from "../store/settings.js";

/** @typedef {import('../types').Agent} Agent */

/**
 * @param {HTMLElement} root
 * @param {import('../types').Address} _address
 * @param {import('../types').Shell} shell
 * @returns {import('../types').View}
 */
export function projectView(root, _address, shell) {
  const body = h("div", "pad", h("p", "line dim", "Opening…"));
  root.append(body);
  async function read() {
    forget();
    try {
      const { info, agents } = await project();
      fill(body,
        h("p", "dim small", `${info.project} · bedplate ${info.version} · ${info.open ? "open: on this machine, no key is needed" : "a key is needed"}`),
        ...(agents.length ? agents.map(agent) : [empty("project", "No agents", "An agent is a file: front matter and its system prompt. Begin with:", "bedplate init")]));
    } catch (error) {
      fill(body, failure(error, () => void read()));
    }
  }

  /** @param {Agent} agent */
  function agent(agent) {
    const model = typeof agent.model === "object" ? agent.model : null;
    return h("section", { class: "agent", "aria-label": agent.name },
      h("header", null, h("h2", null, agent.name), agent.default ? h("span", "tag on", "Default") : null,
        h("span", "dim small", `route ${agent.route ?? agent.model ?? "–"}`, model ? ` · ${model.provider} · ${model.model}` : "", agent.definition ? ` · version ${agent.definition.slice(0, 8)}` : ""),
        button("Chat with it", () => {
          settings.agent = agent.name;
          shell.go("/chat");
        }, { class: "small" })),
      h("p", null, agent.description),
      agent.tools.length ? h("details", { open: agent.default }, h("summary", null, plural(agent.tools.length, "tool")), h("table", "toolset", h("thead", null, h("tr", null, h("th", null, "Tool"), h("th", null, "Promises"), h("th", null, "Asks a person"))),
        h("tbody", null, ...agent.tools.map(tool)))) : h("p", "dim small", "It has no tools."));
  }

  /** @param {import('../types').Tool} tool */
  function tool(tool) {
    const rule = approvalRule(tool);
    return h("tr", null,
      h("td", "wide", h("details", "plain", h("summary", null, h("span", "strong", tool.name), " ", h("span", "dim", tool.description)), tool.input_schema ? json(tool.input_schema) : null)),
      h("td", null, ...annotations(tool).map((word) => h("span", word === "destructive" ? "tag bad" : "tag", word))),
      h("td", null, rule ? h("code", null, rule) : h("span", "dim", "never")));
  }

  void read();
  return { title: "Project" };
}
