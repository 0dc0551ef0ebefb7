// Building DOM nodes from data. There is no way here to turn a text into markup: a string is always a text node.

/** @typedef {Node | string | number | null | undefined | false} Child */
/** @template T @typedef {import('../types').Part<T>} Part */

/**
 * Makes an element. Properties: a string is the class; an object holds `class`, `on` (listeners), `data`, and
 * attributes, of which `true` sets an empty one and false, null or undefined none.
 * @template {keyof HTMLElementTagNameMap} K
 * @param {K} tag
 * @param {string | Record<string, any> | null} [props]
 * @param {...(Child | Child[])} children
 * @returns {HTMLElementTagNameMap[K]}
 */
export function h(tag, props, ...children) {
  const node = document.createElement(tag);
  if (typeof props === "string") node.className = props;
  else if (props) for (const [name, value] of Object.entries(props)) set(node, name, value);
  add(node, children);
  return node;
}

/** @param {HTMLElement} node @param {string} name @param {any} value */
function set(node, name, value) {
  if (name === "class") node.className = value;
  else if (name === "on") for (const [event, listener] of Object.entries(value)) node.addEventListener(event, listener);
  else if (name === "data") Object.assign(node.dataset, value);
  else if (name === "value") /** @type {any} */ (node).value = value;
  else if (value === true) node.setAttribute(name, "");
  else if (value !== false && value != null) node.setAttribute(name, String(value));
}

/** @param {Node} node @param {(Child | Child[])[]} children */
function add(node, children) {
  for (const child of children.flat()) {
    if (child === null || child === undefined || child === false) continue;
    node.appendChild(child instanceof Node ? child : document.createTextNode(String(child)));
  }
}

/**
 * Replaces what is in a node.
 * @param {Element} node
 * @param {...(Child | Child[])} children
 */
export function fill(node, ...children) {
  node.replaceChildren();
  add(node, children);
}

/** Sets a node's text only when it differs, so that a selection in it survives. @param {Node} node @param {string} text */
export function text(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

/** @type {WeakMap<Element, Map<string | number, Part<any>>>} */
const kept = new WeakMap();

/**
 * Brings the children of `parent` in line with `items`: a part whose key stays is updated and not made anew, so focus,
 * selection, open folds and scroll positions survive.
 * @template T
 * @param {Element} parent
 * @param {T[]} items
 * @param {(item: T) => string | number} key
 * @param {(item: T) => Part<T>} make
 */
export function sync(parent, items, key, make) {
  const before = kept.get(parent) ?? new Map();
  /** @type {Map<string | number, Part<T>>} */
  const after = new Map();
  /** @type {ChildNode | null} */
  let place = parent.firstChild;
  for (const item of items) {
    const id = key(item);
    let part = before.get(id);
    if (part) part.update(item);
    else part = make(item);
    after.set(id, part);
    if (part.el === place) place = part.el.nextSibling;
    else parent.insertBefore(part.el, place);
  }
  for (const [id, part] of before) if (!after.has(id)) part.el.remove();
  kept.set(parent, after);
  return after;
}

/**
 * Calls `draw` once in the next frame, however often it was asked to.
 * @param {() => void} draw
 */
export function frame(draw) {
  let asked = false;
  return () => {
    if (asked) return;
    asked = true;
    const run = () => {
      asked = false;
      draw();
    };
    // A hidden page has no frames, but its title and announcements go on.
    if (document.hidden) setTimeout(run, 100);
    else requestAnimationFrame(run);
  };
}

/** @param {string} label @param {(event: MouseEvent) => void} click @param {Record<string, any>} [props] @param {...Child} children */
export function button(label, click, props = {}, ...children) {
  const shown = children.length ? children : [label];
  const named = children.length ? { "aria-label": label, title: label } : {};
  return h("button", { type: "button", on: { click }, ...named, ...props }, ...shown);
}

/**
 * A button that copies.
 * @param {string} label
 * @param {() => string | Promise<string>} what
 */
export function copier(label, what) {
  const node = button(label, async () => {
    try {
      await navigator.clipboard.writeText(await what());
      node.textContent = "Copied";
    } catch {
      node.textContent = "Not allowed";
    }
    setTimeout(() => (node.textContent = label), 1200);
  }, { class: "quiet small" });
  return node;
}
