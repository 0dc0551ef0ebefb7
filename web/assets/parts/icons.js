// The icons: strokes on a 16-unit grid, drawn in the text's colour.

/** @type {Record<string, string>} */
const PATHS = {
  chat: "M2.5 3.5h11v7.5h-6L4.5 13.5V11h-2z",
  runs: "M2.5 4h5M5 8h6M8.5 12h5",
  approvals: "M8 1.8l5 2v4c0 3-2 5.3-5 6.4-3-1.1-5-3.4-5-6.4v-4zM5.8 8l1.7 1.7 3-3.2",
  workflows: "M5.5 1.8h5v3.4h-5zM2 10.8h5v3.4H2zM9 10.8h5v3.4H9zM8 5.2V8M4.5 10.8V8h7v2.8",
  models: "M8 1.8l5.4 3.1v6.2L8 14.2l-5.4-3.1V4.9zM2.8 5L8 8l5.2-3M8 8v6",
  costs: "M2.5 13.5h11M4.5 11V8M8 11V3.5M11.5 11V6",
  project: "M2 4.5V12.5h12V5.5H8L6.5 3.5H2z",
  docs: "M4 2.5h6L12.5 5v8.5h-8.5zM6 7.5h4.5M6 10h4.5",
  search: "M7 2.5a4.5 4.5 0 1 1 0 9 4.5 4.5 0 0 1 0-9M10.3 10.3L14 14",
  keys: "M1.5 4h13v8h-13zM4 6.5h.1M6.6 6.5h.1M9.3 6.5h.1M12 6.5h.1M5 9.5h6",
  sun: "M8 5a3 3 0 1 1 0 6 3 3 0 0 1 0-6M8 1v1.5M8 13.5V15M1 8h1.5M13.5 8H15M3 3l1.1 1.1M11.9 11.9L13 13M3 13l1.1-1.1M11.9 4.1L13 3",
  moon: "M13 9.5A5.5 5.5 0 0 1 6.5 3a5.5 5.5 0 1 0 6.5 6.5z",
  auto: "M8 2a6 6 0 1 0 0 12zM8 2a6 6 0 0 1 0 12",
  plus: "M8 3v10M3 8h10",
  send: "M8 13V3M3.8 7.2L8 3l4.2 4.2",
  stop: "M4.5 4.5h7v7h-7z",
  down: "M3.5 6L8 10.5 12.5 6",
  right: "M6 3.5L10.5 8 6 12.5",
  left: "M10 3.5L5.5 8 10 12.5",
  close: "M4 4l8 8M12 4l-8 8",
  trash: "M3 4.5h10M6.5 4.5V3h3v1.5M4.5 4.5l.5 8.5h6l.5-8.5",
  menu: "M2.5 4h11M2.5 8h11M2.5 12h11",
  turn: "M8 5.5a2.5 2.5 0 1 0 0-.1M3.5 13.5c.5-2.7 2.2-4 4.5-4s4 1.3 4.5 4",
  model: "M8 2l1.5 4.5L14 8l-4.5 1.5L8 14l-1.5-4.5L2 8l4.5-1.5z",
  tool: "M10.5 2.5a3.2 3.2 0 0 0-3 4.3L2.8 11.5v1.7h1.7l4.7-4.7a3.2 3.2 0 0 0 4.3-3.9L11.4 6.7 9.5 6.5l-.2-1.9z",
  info: "M8 2a6 6 0 1 1 0 12A6 6 0 0 1 8 2M8 7.2v3.8M8 5v.1",
  redrive: "M13 8a5 5 0 1 1-1.6-3.7M13.2 1.8v3h-3",
  fork: "M4.5 2.5v11M4.5 10c0-3 7-1.5 7-5.5M11.5 4.5v-2",
  undo: "M3 6.5h6.5a3.5 3.5 0 0 1 0 7H7M5.5 3.5L2.5 6.5l3 3",
  redo: "M13 6.5H6.5a3.5 3.5 0 0 0 0 7H9M10.5 3.5l3 3-3 3",
  check: "M3 8.5l3.2 3L13 4.5",
  warn: "M8 2.2L14.3 13.3H1.7zM8 6.5v3.2M8 11.5v.1",
};

/**
 * Makes an icon. It is decoration: whoever uses it gives the name to the element around it.
 * @param {string} name
 */
export function icon(name) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("viewBox", "0 0 16 16");
  svg.setAttribute("class", "icon");
  svg.setAttribute("aria-hidden", "true");
  const path = document.createElementNS("http://www.w3.org/2000/svg", "path");
  path.setAttribute("d", PATHS[name] ?? "");
  svg.append(path);
  return svg;
}
