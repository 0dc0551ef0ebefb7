// Calls of the server: JSON, streams, and errors that say what to do.

import { settings } from "./store/settings.js";

/** An error of the server, or of the way to it. */
export class ApiError extends Error {
  /**
   * @param {number} status 0: the server was not reached
   * @param {string} code
   * @param {string} message
   * @param {string} [hint]
   * @param {string} [requestId]
   */
  constructor(status, code, message, hint, requestId) {
    super(message);
    this.status = status;
    this.code = code;
    this.hint = hint;
    this.requestId = requestId;
  }

  /** Whether the same request may succeed later. */
  get passing() {
    return this.status === 0 || this.status === 429 || this.status === 502 || this.status === 503 || this.status === 504;
  }
}

/** Whether the server is reached, for those who show it. */
export const line = new EventTarget();
let up = true;

/** @param {boolean} now */
export function reached(now) {
  if (now === up) return;
  up = now;
  line.dispatchEvent(new CustomEvent("change", { detail: now }));
}

/** Called when the server wants a key. */
export const keyNeeded = new EventTarget();

/** Options: `json` is a body that is a text of JSON already. @typedef {{ body?: any, json?: string, headers?: Record<string, string>, signal?: AbortSignal }} Options */

/**
 * Sends a request and returns the response, whatever its status.
 * @param {string} method
 * @param {string} path
 * @param {Options} [options]
 */
export async function open(method, path, { body, json = JSON.stringify(body), headers = {}, signal } = {}) {
  /** @type {Record<string, string>} */
  const all = { accept: "application/json", ...headers };
  if (settings.key) all["x-api-key"] = settings.key;
  if (json !== undefined) all["content-type"] = "application/json";
  let response;
  try {
    response = await fetch(path, {
      method, headers: all, signal: signal ?? null, cache: "no-store", credentials: "omit",
      body: json ?? null,
    });
  } catch (error) {
    if (signal?.aborted) throw error;
    reached(false);
    throw new ApiError(0, "unreachable", "The server cannot be reached", "Is it running? Start it with: bedplate up");
  }
  reached(true);
  if (response.status === 401) keyNeeded.dispatchEvent(new Event("needed"));
  return response;
}

/**
 * Sends a request and returns the response of a success.
 * @param {string} method
 * @param {string} path
 * @param {Options} [options]
 */
export async function send(method, path, options) {
  const response = await open(method, path, options);
  if (response.ok) return response;
  throw await failure(response);
}

/** @param {Response} response */
async function failure(response) {
  const id = response.headers.get("x-request-id") ?? undefined;
  try {
    const { error } = await response.json();
    return new ApiError(response.status, error.code, error.message, error.hint, error.request_id ?? id);
  } catch {
    return new ApiError(response.status, "bad_response", `The server answered ${response.status}`, undefined, id);
  }
}

/**
 * Sends a body with one member whose text of JSON goes as it is: a number that is read and written again may be another.
 * @param {string} path
 * @param {Record<string, any>} body the other members
 * @param {string} name
 * @param {string} text valid JSON
 * @returns {Promise<any>}
 */
export async function postWith(path, body, name, text) {
  const rest = JSON.stringify(body).slice(1);
  return (await send("POST", path, { json: `{${JSON.stringify(name)}:${text}${rest === "}" ? "" : ","}${rest}` })).json();
}

/** @param {string} path @param {AbortSignal} [signal] @returns {Promise<any>} */
export async function get(path, signal) {
  return (await send("GET", path, { signal })).json();
}

/** @param {string} path @param {any} body @returns {Promise<any>} */
export async function post(path, body) {
  return (await send("POST", path, { body })).json();
}

/** @param {string} path @returns {Promise<any>} */
export async function remove(path) {
  return (await send("DELETE", path)).json();
}

/**
 * Returns a path with its parameters; empty ones are left out.
 * @param {string} path
 * @param {Record<string, string | number | null | undefined>} params
 */
export function query(path, params) {
  const search = new URLSearchParams();
  for (const [name, value] of Object.entries(params)) if (value !== null && value !== undefined && value !== "") search.set(name, String(value));
  const text = search.toString();
  return text ? `${path}?${text}` : path;
}

/** Returns a path from parts, each encoded. @param {...(string | number)} parts */
export function path(...parts) {
  return `/${parts.map((part) => encodeURIComponent(part)).join("/")}`;
}

/** Returns an id that nobody else has. @param {number} [bytes] */
export function freshId(bytes = 8) {
  return [...crypto.getRandomValues(new Uint8Array(bytes))].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** Returns a command that makes the same request. @param {string} method @param {string} path @param {any} [body] */
export function curl(method, path, body) {
  const quote = (/** @type {string} */ text) => `'${text.replaceAll("'", `'\\''`)}'`;
  const parts = ["curl -s"];
  if (method !== "GET") parts.push(`-X ${method}`);
  if (settings.key) parts.push('-H "x-api-key: $BEDPLATE_KEY"');
  if (body !== undefined) parts.push("-H 'content-type: application/json'", `-d ${quote(JSON.stringify(body))}`);
  return `${parts.join(" ")} ${quote(location.origin + path)}`;
}
