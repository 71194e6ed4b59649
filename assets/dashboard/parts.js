// The parts that views share. Text from strangers goes through htm as text, never as HTML.

import { html, useEffect, useState } from "./preact.js";
import { Refused } from "./api.js";
import { count, exactTime, now, number, relative } from "./format.js";

const readers = new Set();
setInterval(() => {
  for (const reader of readers) reader(now());
}, 10_000);

/** The time, which moves on every ten seconds. */
function useNow() {
  const [time, setTime] = useState(now());
  useEffect(() => {
    readers.add(setTime);
    return () => readers.delete(setTime);
  }, []);
  // Something may have come up to ten seconds after that.
  return Math.max(time, now());
}

export function Time({ at }) {
  const time = useNow();
  if (!at) return html`<span class="faint">–</span>`;
  return html`<time datetime=${at} title=${exactTime(at)}>${relative(at, time)}</time>`;
}

const GLYPHS = { good: "✓", busy: "●", warn: "!", bad: "✕", idle: "○" };
const TONES = {
  done: "good", indexed: "good", known: "good", delivered: "good", enabled: "good",
  running: "busy", submitting: "busy", accepted: "busy", downloaded: "busy", sent: "busy", indexing: "busy",
  partial: "warn", unconfirmed: "warn", stalled: "warn", failing: "warn", paused: "warn",
  failed: "bad", rejected: "bad", dead: "bad", disabled: "bad",
};

/** The state of anything. Its glyph says as much as its colour. */
export function State({ of }) {
  const tone = TONES[of] ?? "idle";
  return html`<span class=${`state ${tone}`} data-glyph=${GLYPHS[tone]}>${of}</span>`;
}

/** The end of an id, which is what differs between two of them. */
const ending = (id) => (id.length > 16 ? `…${id.slice(-8)}` : id);

/** An id, which a click copies. */
export function Id({ of, isWhole = false }) {
  const [said, setSaid] = useState(null);
  const copy = async (event) => {
    event.preventDefault();
    event.stopPropagation();
    const isCopied = await navigator.clipboard?.writeText(of).then(() => true, () => false);
    setSaid(isCopied ? "Copied" : "Copy failed");
    setTimeout(() => setSaid(null), 1500);
  };
  return html`<button type="button" class="copy clip" title=${`Copy ${of}`} onClick=${copy}>
    ${said ?? (isWhole ? of : ending(of))}<span class="unseen" aria-live="polite">${said ?? ""}</span>
  </button>`;
}

/** A link to the view of one thing, by the end of its id. */
export function To({ view, id, children }) {
  const place = `#/${view}/${encodeURIComponent(id)}`;
  return html`<a class=${children ? "" : "mono"} title=${id} href=${place}>${children ?? ending(id)}</a>`;
}

const OUTCOMES = ["indexed", "known", "downloaded", "sent", "failed", "waiting"];

export function Progress({ of }) {
  const parts = OUTCOMES.filter((outcome) => of[outcome]);
  const words = parts.map((outcome) => `${number(of[outcome])} ${outcome}`).join(", ");
  const width = (outcome) => ({ flexGrow: of[outcome], flexBasis: 0 });
  const label = `${count(of.urls, "URL")}: ${words || "none"}`;
  return html`<div class="progress" role="img" aria-label=${label} title=${words}>
    ${parts.map((outcome) => html`<span key=${outcome} class=${outcome} style=${width(outcome)}></span>`)}
  </div>`;
}

export function ProgressKeys({ of }) {
  return html`<div class="keys">${OUTCOMES.filter((outcome) => of[outcome]).map(
    (outcome) => html`<span key=${outcome} class=${`key ${outcome}`}>${number(of[outcome])} ${outcome}</span>`,
  )}</div>`;
}

export function Labels({ of }) {
  return Object.entries(of).map(
    ([key, value]) => html`<span key=${key} class="label" title=${`${key}:${value}`}>${key}:${value}</span> `,
  );
}

/** The reason why something failed, and whether that is proven. */
export function Reason({ of }) {
  if (!of) return "";
  return html`<span class="wrap">${of.message ?? of.code} <code class="faint">${of.code}</code>
    ${of.certain === false && html` <span class="label" title="It may have been charged">not proven</span>`}
  </span>`;
}

export function Card({ title, aside, className = "", children }) {
  return html`<section class=${`card ${className}`}>
    ${title && html`<div class="title"><h2>${title}</h2><span class="small faint">${aside}</span></div>`}
    ${children}
  </section>`;
}

/** A name and what it stands for, in a list of facts. */
export function Fact({ name, children }) {
  return html`<div><dt>${name}</dt><dd>${children}</dd></div>`;
}

/**
 * A table. `columns` are `[name, cell]` or `[name, cell, class]`, where `cell` turns a row into its content. `name` is
 * what the table is called for those who can't see it.
 */
export function Table({ name, columns, rows, keyOf }) {
  const head = ([title, , look]) => html`<th key=${title} scope="col" class=${look}>${title}</th>`;
  const cells = (row) => columns.map(([title, cell, look]) => html`<td key=${title} class=${look}>${cell(row)}</td>`);
  return html`<div class="scroll" tabindex="0" role="region" aria-label=${name}><table class="rows">
    <thead><tr>${columns.map(head)}</tr></thead>
    <tbody>${rows.map((row, place) => html`<tr key=${keyOf ? keyOf(row) : place}>${cells(row)}</tr>`)}</tbody>
  </table></div>`;
}

/** Reads one page more of a list, if it has one. */
export function More({ list, name = "Show more" }) {
  return list.more && html`<p class="more"><button type="button" onClick=${list.more}>${name}</button></p>`;
}

/** What went wrong with a request, and what to do. */
export function Trouble({ error, again }) {
  const isAnswer = error instanceof Refused;
  return html`<div class="notice bad" role="alert">
    <h2>${isAnswer ? error.title ?? "The service refused this" : "The service does not answer"}</h2>
    <p class="small">${isAnswer ? error.message : "The connection failed."}</p>
    ${again && html`<p><button type="button" onClick=${again}>Ask again</button></p>`}
  </div>`;
}

/**
 * The answer once it is there. Until then nothing, or what went wrong, below the `title` of a view that takes its own
 * from the answer. An old answer stays below a new error.
 */
export function Answered({ answer, title, children }) {
  const found = answer.data ?? answer.items;
  useEffect(() => {
    if (found && !performance.getEntriesByName("usable").length) performance.mark("usable");
  }, [!found]);
  return html`${title && answer.error && !found && html`<h1>${title}</h1>`}
    ${answer.error && html`<${Trouble} error=${answer.error} again=${answer.again} />`}
    ${found && children(found)}`;
}

export function Empty({ title, children }) {
  return html`<div class="empty"><h2>${title}</h2>${children}</div>`;
}

/** A text in which `backticks` mark what is typed. */
export function Words({ of }) {
  return of.split("`").map((part, place) => (place % 2 ? html`<code key=${place}>${part}</code>` : part));
}
