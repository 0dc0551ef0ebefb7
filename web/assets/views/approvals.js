// Everything that waits for a person, as the cards that also stand in the conversations.

import { path } from "../api.js";
import { fill, h, sync } from "../parts/dom.js";
import { card, facts } from "../parts/approval.js";
import { empty } from "../parts/empty.js";
import { step } from "../parts/keys.js";
import { chatAddress } from "../parts/sessions.js";
import { failure } from "../parts/toast.js";
import { approvals } from "../store/approvals.js";

/** @typedef {import('../types').Question} Question */

const COMMAND = `[approval]
when = "preview.amount > 50"
question = "Refund {{ preview.amount }} USD?"`;

/**
 * @param {HTMLElement} root
 * @returns {import('../types').View}
 */
export function approvalsView(root) {
  const list = h("div", "cards");
  const note = h("div", null, h("p", "line dim", "Opening…"));
  root.append(h("div", "pad", note, list));

  const draw = () => {
    sync(list, approvals.open, (question) => `${question.run_id}:${question.call}`, make);
    if (approvals.open.length) note.replaceChildren();
    else if (approvals.error) fill(note, failure(approvals.error, () => void approvals.refresh()));
    else if (approvals.known && !note.querySelector(".empty")) {
      fill(note, empty("approvals", "Nothing waits for you", "A tool that must not act alone asks here and in its conversation. In the tool's file:", COMMAND));
    }
  };

  /** @param {Question} question */
  function make(question) {
    const workflow = question.source === "workflow";
    const href = workflow ? path("workflows", question.agent, question.run_id) : chatAddress(question);
    const origin = h("a", { class: "origin small", href }, `${question.agent} · ${question.user_id}`);
    const preview = workflow && !question.preview ? facts(question.input) : question.preview;
    const part = card({ run: question.run_id, ...question, preview, deadline: question.deadline ? Date.parse(question.deadline) : 0 }, origin);
    return { el: part.el, update() {} };
  }

  approvals.addEventListener("change", draw);
  draw();
  void approvals.refresh();
  return {
    title: "Approvals",
    leave: () => approvals.removeEventListener("change", draw),
    key: (event) => step(event, list, ".approval"),
  };
}
