// Where a message is written: grows with its text, Enter sends, and the stop button stands beside it.

import { button, h } from "./dom.js";
import { icon } from "./icons.js";

/**
 * @param {(text: string) => void} send
 * @param {() => void} stop
 */
export function composer(send, stop) {
  const area = h("textarea", { rows: 1, placeholder: "Write a message", "aria-label": "Message", enterkeyhint: "send", maxlength: 200_000 });
  const go = h("button", { type: "submit", class: "primary round", "aria-label": "Send", title: "Send (Enter)" }, icon("send"));
  const halt = button("Stop", stop, { class: "round", hidden: true, title: "Stop the answer" }, icon("stop"));
  const el = h("form", { class: "composer", on: { submit: (/** @type {Event} */ event) => {
    event.preventDefault();
    submit();
  } } }, area, halt, go);

  const fit = () => {
    area.style.height = "auto";
    area.style.height = `${Math.min(area.scrollHeight, 240)}px`;
    go.disabled = !area.value.trim();
  };
  const submit = () => {
    const text = area.value.trim();
    if (!text) return;
    area.value = "";
    fit();
    send(text);
  };
  area.addEventListener("input", fit);
  area.addEventListener("keydown", (event) => {
    // An input method uses Enter to choose a character.
    if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
      event.preventDefault();
      submit();
    }
  });
  go.disabled = true;

  return {
    el,
    focus: () => area.focus(),
    /** @param {string} text */
    put(text) {
      area.value = text;
      fit();
      area.focus();
    },
    /** @param {boolean} busy */
    busy(busy) {
      halt.hidden = !busy;
    },
  };
}
