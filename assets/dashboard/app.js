// The page: who is signed in, which view is shown, and whether the connection is live.

import { html, render, useEffect, useLayoutEffect, useRef, useState } from "./preact.js";
import { get, onSignedOut, remove } from "./api.js";
import { Questions } from "./decide.js";
import * as live from "./live.js";
import { Trouble } from "./parts.js";
import { route } from "./route.js";
import { SignIn, VIEWS, loadViews } from "./views.js";

/** Milliseconds after which the page asks again who is signed in, if it could not be told. */
const AGAIN = 3000;

const viewOf = (shown) => VIEWS.find(([place]) => place === (shown.parts[0] ?? ""));

function View({ shown, mayWrite }) {
  const [place, , List, One] = viewOf(shown) ?? [];
  const id = shown.parts[1];
  if (!List || shown.parts.length > 2 || (id && !One)) {
    return html`<h1>There is no such view</h1><p><a href="#/">Go to the overview</a></p>`;
  }
  if (place === "submit" && !mayWrite) {
    return html`<h1>This key may not submit</h1><p>Sign in with a key that has the role <code>write</code>.</p>`;
  }
  if (id) return html`<${One} key=${id} id=${id} mayWrite=${mayWrite} />`;
  return html`<${List} key=${place} parameters=${shown.parameters} mayWrite=${mayWrite} />`;
}

function Live() {
  const [state, setState] = useState("connecting");
  useEffect(() => live.watch(setState), []);
  const words = { connecting: "Connecting", live: "Live", lost: "Connection lost, trying again" };
  return html`<span class="live" data-state=${state} role="status">${words[state]}</span>`;
}

/** The menu, and the view below it. `isNew` says that somebody has just signed in. */
function Shell({ caller, shown, isNew, signOut }) {
  useEffect(() => {
    loadViews();
    // A stream takes one of the few connections that a browser has for a host, and several tabs may be open.
    const follow = () => (document.hidden ? live.stop() : live.start());
    follow();
    document.addEventListener("visibilitychange", follow);
    return () => {
      document.removeEventListener("visibilitychange", follow);
      live.stop();
    };
  }, []);
  const current = shown.parts[0] ?? "";
  const menu = useRef(null);
  useEffect(() => {
    // After the sign-in, whose field has gone.
    if (isNew) document.getElementById("content").focus({ preventScroll: true });
  }, []);
  useEffect(() => {
    // On a phone, the menu is wider than the window. `scrollIntoView` would move the start of the focus order as well.
    const link = menu.current.querySelector("[aria-current]");
    if (link) menu.current.scrollLeft = link.offsetLeft - (menu.current.clientWidth - link.offsetWidth) / 2;
  }, [current]);
  const link = ([place, title]) => html`<a key=${place} href=${`#/${place}`}
    aria-current=${current === place ? "page" : undefined}>${title}</a>`;
  const skip = (event) => {
    event.preventDefault();
    document.getElementById("content").focus();
  };
  return html`
    <a class="skip" href="#content" onClick=${skip}>Skip to the content</a>
    <header class="top"><div class="bar">
      <a class="brand" href="#/"><img src="/assets/icon.svg" alt="" />scrapehook</a>
      <nav ref=${menu} class="main" aria-label="Views">${VIEWS.map(link)}</nav>
      <div class="who"><${Live} />
        ${caller.name && html`<span class="faint">${caller.name} (${caller.role})</span>
          <button type="button" class="plain" onClick=${signOut}>Sign out</button>`}
      </div>
    </div></header>
    <main id="content" tabindex="-1"><${View} shown=${shown} mayWrite=${caller.role === "write"} /></main>
    <${Questions} />`;
}

/** The view that the address names. The focus follows to a new one. */
function useShown() {
  const [shown, setShown] = useState(route());
  useEffect(() => {
    let before = route().path;
    const follow = () => {
      const next = route();
      setShown(next);
      // Filters change the address of their own view, and must not lose the focus.
      if (next.path === before) return;
      before = next.path;
      scrollTo(0, 0);
      document.getElementById("content")?.focus({ preventScroll: true });
    };
    addEventListener("hashchange", follow);
    return () => removeEventListener("hashchange", follow);
  }, []);
  return shown;
}

function App() {
  const shown = useShown();
  const [session, setSession] = useState({ state: "asking" });
  // Returns whether somebody is signed in.
  const ask = () => get("/v1/session").then(
    (caller) => {
      setSession(caller.role ? { state: "in", caller } : { state: "out" });
      return Boolean(caller.role);
    },
    (error) => setSession({ state: "failed", error }),
  );
  const signOut = () => remove("/v1/session").then(
    () => setSession({ state: "out" }),
    (error) => setSession({ state: "failed", error }),
  );
  useLayoutEffect(() => {
    onSignedOut(() => setSession({ state: "out" }));
    ask();
  }, []);
  useEffect(() => {
    if (session.state !== "failed") return undefined;
    const timer = setTimeout(ask, AGAIN);
    return () => clearTimeout(timer);
  }, [session]);
  const wasOut = useRef(false);
  if (session.state === "out") wasOut.current = true;
  const name = session.state === "out" ? "Sign in" : viewOf(shown)?.[1];
  useEffect(() => {
    document.title = name ? `${name} · scrapehook` : "scrapehook";
  }, [name]);

  switch (session.state) {
    case "asking": return null;
    case "in":
      return html`<${Shell} caller=${session.caller} shown=${shown} isNew=${wasOut.current} signOut=${signOut} />`;
    case "out": return html`<${SignIn} onDone=${ask} />`;
    default: return html`<main id="content"><${Trouble} error=${session.error} again=${ask} /></main>`;
  }
}

render(html`<${App} />`, document.getElementById("app"));
