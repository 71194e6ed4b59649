// The API as the page uses it. Must never build HTML, and never keep a key.

import { learnTime } from "./format.js";

/** An answer that is not a success, with the words of the service. */
export class Refused extends Error {
  constructor(status, problem) {
    super(problem?.detail || problem?.title || `HTTP ${status}`);
    this.status = status;
    this.code = problem?.code;
    this.title = problem?.title;
    this.faults = problem?.errors ?? [];
    /** Whether the service has surely done nothing. A proxy can give up while the service goes on. */
    this.isCertain = status < 500 && problem?.code !== undefined;
  }

  /** The message with the details of every fault. */
  get inFull() {
    return [this.message, ...this.faults.map((fault) => fault.detail)].join(" ");
  }
}

const NOT_OURS = { title: "The service does not answer", detail: "Something between it and the browser does." };

let signedOut = () => {};

/** Has this called when an answer shows that nobody is signed in any more. */
export function onSignedOut(call) {
  signedOut = call;
}

async function ask(method, path, body, { signal, headers = {} } = {}) {
  const options = { method, signal, headers: { ...headers } };
  if (body !== undefined) {
    options.headers["content-type"] = "application/json";
    options.body = JSON.stringify(body);
  }
  const answer = await fetch(path, options);
  learnTime(answer.headers.get("date"));
  if (answer.status === 204) return null;
  const text = await answer.text();
  let content = null;
  try {
    content = JSON.parse(text);
  } catch {
    // A proxy answered with a page of its own.
    if (answer.ok) throw new Refused(answer.status, NOT_OURS);
  }
  if (answer.ok) return content;
  if (answer.status === 401 && path !== "/v1/session") signedOut();
  throw new Refused(answer.status, content);
}

export const get = (path, signal) => ask("GET", path, undefined, { signal });
export const post = (path, body, headers) => ask("POST", path, body, { headers });
export const patch = (path, body) => ask("PATCH", path, body);
export const remove = (path) => ask("DELETE", path);

/** A path with the parameters that have a value, after those that it has already. */
export function query(path, parameters) {
  const hasValue = ([, value]) => value !== undefined && value !== null && value !== "";
  const text = new URLSearchParams(Object.entries(parameters).filter(hasValue)).toString();
  return text ? `${path}${path.includes("?") ? "&" : "?"}${text}` : path;
}

/** A path of encoded parts: `path("jobs", id)` is `/v1/jobs/{id}`. */
export const path = (...parts) => `/v1/${parts.map(encodeURIComponent).join("/")}`;
