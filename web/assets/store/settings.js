// What the reader chose: theme, user and agent stay with the browser; the API key only with the tab.

/** @param {() => Storage} storage @param {string} name */
function read(storage, name) {
  try {
    return storage().getItem(`bedplate.${name}`);
  } catch {
    return null;
  }
}

/** @param {() => Storage} storage @param {string} name @param {string | null} value */
function write(storage, name, value) {
  try {
    if (value === null) storage().removeItem(`bedplate.${name}`);
    else storage().setItem(`bedplate.${name}`, value);
  } catch {
    // Storage may be forbidden; the choice then lasts as long as the page.
  }
}

const local = () => localStorage;
const session = () => sessionStorage;

/** Who the page speaks for until somebody says otherwise; the examples keep data for this user. */
const SOMEBODY = "web-user";

const chosen = {
  user: read(local, "user"),
  agent: read(local, "agent"),
  key: read(session, "key"),
};

/** The user that a key is bound to; the server says it, and no choice goes before it. @type {string | null} */
let bound = null;

export const settings = {
  get user() {
    return bound ?? (chosen.user || SOMEBODY);
  },
  set user(name) {
    chosen.user = name;
    write(local, "user", name);
  },
  get bound() {
    return bound;
  },
  set bound(name) {
    bound = name;
  },
  get agent() {
    return chosen.agent;
  },
  set agent(name) {
    chosen.agent = name;
    write(local, "agent", name);
  },
  get key() {
    return chosen.key;
  },
  set key(key) {
    chosen.key = key;
    write(session, "key", key);
  },
};

/** Returns `light`, `dark` or `auto`. */
export function theme() {
  return document.documentElement.dataset.theme ?? "auto";
}

/** @param {string} name */
export function setTheme(name) {
  if (name === "auto") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = name;
  write(local, "theme", name === "auto" ? null : name);
}
