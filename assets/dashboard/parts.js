// The parts that views share. Text from strangers goes through htm as text, never as HTML.

import { html, useCallback, useEffect, useRef, useState } from "./preact.js";
import { Refused, get } from "./api.js";
import { count, exactTime, number, relative } from "./format.js";
import { listen } from "./live.js";

/** What the answer of a path is, asked again after events, and every `every` milliseconds. */
export function useAnswer(path, { every = 0, concerns = () => true } = {}) {
  const [answer, setAnswer] = useState({ path: null, data: null, error: null });
  const asked = useRef(null);
  const ask = useCallback(() => {
    asked.current?.abort();
    const controller = new AbortController();
    asked.current = controller;
    get(path, controller.signal).then(
      (data) => setAnswer({ path, data, error: null }),
      (error) => {
        if (!controller.signal.aborted) setAnswer((before) => ({ path, data: before.path === path ? before.data : null, error }));
      },
    );
  }, [path]);
  useEffect(() => {
    ask();
    const end = listen((events) => {
      if (!events.length || events.some(concerns)) ask();
    });
    const timer = every ? setInterval(ask, every) : null;
    return () => {
      end();
      clearInterval(timer);
      asked.current?.abort();
    };
  }, [ask, every]);
  const isCurrent = answer.path === path;
  return { data: isCurrent ? answer.data : null, error: isCurrent ? answer.error : null, again: ask };
}

/** The time, which moves on every ten seconds. */
export function useNow() {
  const [now, setNow] = useState(Date.now());
  useEffect(() => {
    const timer = setInterval(() => setNow(Date.now()), 10_000);
    return () => clearInterval(timer);
  }, []);
  return now;
}

export function Time({ at }) {
  const now = useNow();
  if (!at) return html`<span class="faint">–</span>`;
  return html`<time datetime=${at} title=${exactTime(at)}>${relative(at, now)}</time>`;
}

const GLYPHS = { good: "✓", busy: "●", warn: "!", bad: "✕", idle: "○" };
const TONES = {
  done: "good", indexed: "good", known: "good", delivered: "good", enabled: "good",
  running: "busy", submitting: "busy", accepted: "busy", downloaded: "busy", sent: "busy", indexing: "busy",
  partial: "warn", unconfirmed: "warn", stalled: "warn",
  failing: "warn", paused: "warn",
  failed: "bad", rejected: "bad", dead: "bad", disabled: "bad",
};

/** The state of anything. Its glyph says as much as its colour. */
export function State({ of }) {
  const tone = TONES[of] ?? "idle";
  return html`<span class=${`state ${tone}`} data-glyph=${GLYPHS[tone]}>${of}</span>`;
}

/** An id, which a click copies. */
export function Id({ of, short = true }) {
  const [said, setSaid] = useState(null);
  const copy = async (event) => {
    event.preventDefault();
    event.stopPropagation();
    const isCopied = await navigator.clipboard?.writeText(of).then(() => true, () => false);
    setSaid(isCopied ? "Copied" : "Copy failed");
    setTimeout(() => setSaid(null), 1500);
  };
  const shown = short && of.length > 16 ? `${of.slice(0, of.indexOf("_") + 1)}…${of.slice(-6)}` : of;
  return html`<button type="button" class="copy clip" title=${`Copy ${of}`} onClick=${copy}>
    ${said ?? shown}<span class="unseen" aria-live="polite">${said ?? ""}</span>
  </button>`;
}

const OUTCOMES = ["indexed", "known", "downloaded", "sent", "failed", "waiting"];

export function Progress({ of }) {
  const parts = OUTCOMES.filter((outcome) => of[outcome]);
  const words = parts.map((outcome) => `${number(of[outcome])} ${outcome}`).join(", ");
  return html`<div class="progress" role="img" aria-label=${`${count(of.urls, "URL")}: ${words || "none"}`} title=${words}>
    ${parts.map((outcome) => html`<span key=${outcome} class=${outcome} style=${{ flexGrow: of[outcome], flexBasis: 0 }}></span>`)}
  </div>`;
}

export function ProgressKeys({ of }) {
  return html`<div class="keys">${OUTCOMES.filter((outcome) => of[outcome]).map(
    (outcome) => html`<span key=${outcome} class=${`key ${outcome}`}>${number(of[outcome])} ${outcome}</span>`,
  )}</div>`;
}

export function Labels({ of }) {
  return Object.entries(of).map(
    ([key, value]) => html`<span key=${key} class="label" title=${`${key}: ${value}`}>${key}: ${value}</span> `,
  );
}

export function Card({ title, aside, className = "", children }) {
  return html`<section class=${`card ${className}`}>
    ${title && html`<div class="title"><h2>${title}</h2><span class="small faint">${aside}</span></div>`}
    ${children}
  </section>`;
}

/** What went wrong with a question, and what to do. */
export function Trouble({ error, again }) {
  const isAnswer = error instanceof Refused;
  return html`<div class="notice bad" role="alert">
    <h2>${isAnswer ? error.title ?? "The service refused this" : "The service does not answer"}</h2>
    <p class="small">${isAnswer ? error.message : "The connection failed. The page asks again when it is back."}</p>
    ${again && html`<p><button type="button" onClick=${again}>Ask again</button></p>`}
  </div>`;
}

export function Empty({ title, children }) {
  return html`<div class="empty"><h2>${title}</h2>${children}</div>`;
}
