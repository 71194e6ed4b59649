// The page: who is signed in, which view is shown, and whether the connection is live.

import { html, render, useEffect, useState } from "./preact.js";
import { get, onSignedOut, remove } from "./api.js";
import { Job, Jobs } from "./jobs.js";
import * as live from "./live.js";
import { Overview } from "./overview.js";
import { Empty, Trouble } from "./parts.js";
import { Quarantine, Queue } from "./queue.js";
import { route } from "./route.js";
import { SignIn } from "./sign_in.js";
import { Submit } from "./submit.js";
import { Subscriber, Subscribers } from "./subscribers.js";
import { Task } from "./task.js";
import { Videos } from "./videos.js";

const VIEWS = [["Overview", "/"], ["Jobs", "/jobs"], ["Videos", "/videos"], ["Queue", "/queue"], ["Quarantine", "/quarantine"], ["Subscribers", "/subscribers"], ["Submit", "/submit"]];

function view({ parts, parameters }, mayWrite) {
  const [first, second] = parts;
  switch (first) {
    case undefined: return html`<${Overview} />`;
    case "jobs": return second ? html`<${Job} key=${second} id=${second} mayWrite=${mayWrite} />` : html`<${Jobs} parameters=${parameters} />`;
    case "tasks": return second ? html`<${Task} key=${second} id=${second} />` : html`<${Empty} title="Tasks belong to jobs"><p><a href="#/jobs">Go to the jobs</a></p><//>`;
    case "videos": return html`<${Videos} parameters=${parameters} />`;
    case "queue": return html`<${Queue} />`;
    case "submit": return mayWrite ? html`<${Submit} />` : html`<${Empty} title="This key may not submit"><p>Sign in with a key that has the role <code>write</code>.</p><//>`;
    case "subscribers": return second ? html`<${Subscriber} key=${second} id=${second} mayWrite=${mayWrite} />` : html`<${Subscribers} />`;
    case "quarantine": return html`<${Quarantine} />`;
    default: return html`<${Empty} title="There is no such view"><p><a href="#/">Go to the overview</a></p><//>`;
  }
}

function Live() {
  const [state, setState] = useState("connecting");
  useEffect(() => live.watch(setState), []);
  const words = { connecting: "Connecting", live: "Live", lost: "Connection lost, trying again" };
  return html`<span class="live" data-state=${state} role="status">${words[state]}</span>`;
}

function App() {
  const [session, setSession] = useState({ state: "asking" });
  const [shown, setShown] = useState(route());
  const ask = () => get("/v1/session").then(
    (caller) => setSession(caller.role ? { state: "in", caller } : { state: "out" }),
    (error) => setSession({ state: "failed", error }),
  );
  useEffect(() => {
    onSignedOut(() => setSession({ state: "out" }));
    const follow = () => {
      setShown(route());
      scrollTo(0, 0);
    };
    addEventListener("hashchange", follow);
    ask();
    return () => removeEventListener("hashchange", follow);
  }, []);
  useEffect(() => {
    if (session.state !== "in") return;
    live.start();
    return live.stop;
  }, [session.state]);

  if (session.state === "asking") return null;
  if (session.state === "failed") return html`<main id="content"><${Trouble} error=${session.error} again=${ask} /></main>`;
  if (session.state === "out") return html`<${SignIn} onDone=${ask} />`;
  const signOut = async () => {
    await remove("/v1/session").then(
      () => setSession({ state: "out" }),
      (error) => setSession({ state: "failed", error }),
    );
  };
  const section = `/${shown.parts[0] ?? ""}`;
  return html`
    <a class="skip" href="#content" onClick=${(event) => { event.preventDefault(); document.getElementById("content").focus(); }}>Skip to the content</a>
    <header class="top"><div class="bar">
      <a class="brand" href="#/"><img src="/assets/icon.svg" alt="" />scrapehook</a>
      <nav class="main" aria-label="Views">${VIEWS.map(
        ([name, path]) => html`<a key=${path} href=${`#${path}`} aria-current=${section === path ? "page" : undefined}>${name}</a>`,
      )}</nav>
      <div class="who"><${Live} />
        ${session.caller.name && html`<span class="faint">${session.caller.name} (${session.caller.role})</span>
          <button type="button" class="plain" onClick=${signOut}>Sign out</button>`}
      </div>
    </div></header>
    <main id="content" tabindex="-1">${view(shown, session.caller.role === "write")}</main>`;
}

render(html`<${App} />`, document.getElementById("app"));
