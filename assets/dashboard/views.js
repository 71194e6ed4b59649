// The views of the page. Only the first one is loaded with the page. The others follow when there is time.

import { html, useLayoutEffect, useState } from "./preact.js";
import { Trouble } from "./parts.js";

/** A view whose script is loaded when it is first shown. */
function lazy(load) {
  let loaded = null;
  const View = (properties) => {
    const [, setReady] = useState(loaded !== null);
    const [error, setError] = useState(null);
    const ask = () => View.load().then(() => setReady(true), setError);
    useLayoutEffect(() => {
      if (!loaded) ask();
    }, []);
    if (loaded) return html`<${loaded} ...${properties} />`;
    return error && html`<${Trouble} error=${error} again=${() => { setError(null); ask(); }} />`;
  };
  View.load = async () => {
    loaded = await load();
  };
  return View;
}

export const SignIn = lazy(() => import("./sign_in.js").then((file) => file.SignIn));

/** In the order of the menu: the first part of the address, the name, the list, and the view of one of its things. */
export const VIEWS = [
  ["", "Overview", lazy(() => import("./overview.js").then((file) => file.Overview))],
  [
    "jobs", "Jobs",
    lazy(() => import("./jobs.js").then((file) => file.Jobs)),
    lazy(() => import("./job.js").then((file) => file.Job)),
  ],
  [
    "tasks", "Tasks",
    lazy(() => import("./tasks.js").then((file) => file.Tasks)),
    lazy(() => import("./task.js").then((file) => file.Task)),
  ],
  ["videos", "Videos", lazy(() => import("./videos.js").then((file) => file.Videos))],
  ["queue", "Queue", lazy(() => import("./queue.js").then((file) => file.Queue))],
  ["quarantine", "Quarantine", lazy(() => import("./quarantine.js").then((file) => file.Quarantine))],
  [
    "subscribers", "Subscribers",
    lazy(() => import("./subscribers.js").then((file) => file.Subscribers)),
    lazy(() => import("./subscribers.js").then((file) => file.Subscriber)),
  ],
  ["submit", "Submit", lazy(() => import("./submit.js").then((file) => file.Submit))],
];

/** Milliseconds that the first view has for itself. */
const FIRST = 1000;

/** Loads all views, so that each is there at once, even if the connection is lost meanwhile. */
export function loadViews() {
  const load = ([, , List, One]) => Promise.all([List.load(), One?.load()]);
  // What fails is loaded when it is shown.
  setTimeout(() => VIEWS.forEach((view) => load(view).catch(() => {})), FIRST);
}
