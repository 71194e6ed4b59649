// The stream of events, which tells views when to ask again.

const listeners = new Set();
const watchers = new Set();
/** Milliseconds within which events count as one. A view must not ask once for each of thousands. */
const PAUSE = 1000;
/** Milliseconds after which the stream is asked for again if the answer was an error. */
const AGAIN = 3000;
/** Events that are kept one by one. Views ask again after more, whatever they are about. */
const MANY = 200;

let source = null;
let state = "connecting";
let pending = [];
let areMany = false;
let timer = null;
let restart = null;

function become(next) {
  if (state === next) return;
  state = next;
  for (const watcher of watchers) watcher(state);
}

function flush() {
  timer = null;
  // An empty list means that anything may have changed.
  const events = areMany ? [] : pending;
  pending = [];
  areMany = false;
  for (const listener of listeners) listener(events);
}

function tellOfAnything() {
  areMany = true;
  clearTimeout(timer);
  flush();
}

function wake(event) {
  if (pending.length < MANY) pending.push(event);
  else areMany = true;
  if (timer === null) timer = setTimeout(flush, PAUSE);
}

/** Follows the events from now on until `stop`. */
export function start() {
  stop();
  source = new EventSource("/v1/events/stream");
  source.addEventListener("open", () => {
    become("live");
    // Nobody has told of the events before.
    tellOfAnything();
  });
  source.addEventListener("error", () => {
    become("lost");
    // The browser tries again by itself unless the answer was an error, as it is once the session has ended.
    if (source.readyState === EventSource.CLOSED) {
      tellOfAnything();
      restart = setTimeout(start, AGAIN);
    }
  });
  for (const kind of KINDS) source.addEventListener(kind, (message) => wake(JSON.parse(message.data)));
}

export function stop() {
  clearTimeout(restart);
  source?.close();
  source = null;
  become("connecting");
}

/**
 * Calls `listener` with the events of the last second, or with none if anything may have changed. Returns how to end
 * that.
 */
export function listen(listener) {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

/** Calls `watcher` with "connecting", "live" or "lost" now and at each change. Returns how to end that. */
export function watch(watcher) {
  watchers.add(watcher);
  watcher(state);
  return () => watchers.delete(watcher);
}

// The stream names its kinds, and a listener has to, too.
const KINDS = [
  "job.created", "job.settled", "job.canceled", "job.retried", "job.reopened",
  "task.queued", "task.submitting", "task.accepted", "task.unconfirmed", "task.downloaded", "task.failed",
  "task.rejected", "task.stalled", "task.canceled", "task.refreshed", "task.settled",
  "video.indexing", "video.indexed", "video.failed",
  "callback.unrecognized", "callback.hint",
  "sending.paused", "sending.resumed", "problem.opened", "problem.closed", "subscriber.disabled",
];
