// Submitting: paste, check the plan, submit. Must never submit anything but what was checked.

import { html, useLayoutEffect, useMemo, useRef, useState } from "./preact.js";
import { post } from "./api.js";
import { count, number, ordinal } from "./format.js";
import { Card, Time } from "./parts.js";
import { Paste, selectLine } from "./paste.js";
import { labels, pasted } from "./pasted.js";
import { go } from "./route.js";

const QUALITIES = ["360", "480", "720", "1080", "1440", "2160"];
const PRIORITIES = ["high", "normal", "low"];
/** Faults that are listed, and URLs of a plan. */
const LISTED = 20;
const MOST_URLS = 200;
const UNANSWERED = "There was no answer, so nobody knows whether the job was stored. Check and submit again: the same "
  + "job is not stored twice.";

/** What was typed and not submitted yet. It outlives a look at another view, and a sign-in. */
const draft = { fields: {}, error: null, attempt: null };

export function Submit() {
  const form = useRef(null);
  const isShown = useRef(true);
  const changes = useRef(0);
  const [plan, setPlan] = useState(null);
  const [error, setError] = useState(draft.error);
  const [isBusy, setBusy] = useState(false);
  useLayoutEffect(() => {
    for (const [name, value] of Object.entries(draft.fields)) form.current.elements[name].value = value;
    return () => {
      isShown.current = false;
    };
  }, []);

  const refuse = (message, faults = []) => {
    draft.error = { message, faults };
    setPlan(null);
    setError(draft.error);
  };
  const check = async (event) => {
    event.preventDefault();
    const mine = changes.current;
    let found = [];
    setBusy(true);
    try {
      const asked = read(form.current);
      found = asked.found;
      const answer = await post("/v1/jobs", { ...asked.body, dry_run: true });
      // The plan of a text that has changed since is the plan of nothing.
      if (mine === changes.current) setPlan({ answer, ...asked });
    } catch (refused) {
      const faults = (refused.faults ?? []).map((fault) => located(fault, found));
      if (mine === changes.current) refuse(refused.message, faults);
    }
    setBusy(false);
  };
  // What was checked is submitted, whatever the form says by now.
  const submit = async () => {
    const text = JSON.stringify(plan.body);
    if (draft.attempt?.text !== text) draft.attempt = { text, key: newKey() };
    setBusy(true);
    try {
      const job = await post("/v1/jobs", plan.body, { "idempotency-key": draft.attempt.key });
      Object.assign(draft, { fields: {}, error: null, attempt: null });
      if (isShown.current) go(`/jobs/${job.id}`);
    } catch (refused) {
      refuse(refused.isCertain ? refused.inFull : UNANSWERED);
    }
    setBusy(false);
  };
  const change = () => {
    changes.current += 1;
    draft.fields = Object.fromEntries(new FormData(form.current));
    draft.error = null;
    setPlan(null);
    setError(null);
  };
  const faulty = useMemo(() => [...new Set(error?.faults.map((fault) => fault.line).filter(Boolean))], [error]);
  return html`
    <h1>Submit</h1>
    <${Card}><form ref=${form} class="body submit" onInput=${change} onSubmit=${check}>
      <div class="field"><span>URLs</span><${Paste} name="urls" describedBy="urls-hint" faulty=${faulty} /></div>
      <p id="urls-hint" class="small faint">One per line, a CSV with a column <code>url</code>, or a message with URLs
        in it.</p>
      <div class="filters">
        <${Option} name="quality" words=${QUALITIES} usual="360" unit="p" />
        <${Option} name="priority" words=${PRIORITIES} usual="normal" />
        <label class="field">Folder<input name="folder" placeholder="default" autocomplete="off" /></label>
        <label class="field">Labels
          <input name="labels" placeholder="campaign:autumn, team:news" autocomplete="off" /></label>
      </div>
      <${Faults} error=${error} select=${(line) => selectLine(form.current.elements.urls, line)} />
      ${plan && html`<${Plan} of=${plan.answer} urls=${plan.body.video_urls} />`}
      <div class="answers">
        <button disabled=${isBusy} class=${plan ? "" : "primary"}>Check</button>
        <button type="button" class=${plan ? "primary" : ""} disabled=${isBusy || !plan} onClick=${submit}>
          ${plan ? `Submit ${count(plan.answer.urls, "URL")}` : "Submit"}</button>
      </div>
    </form><//>`;
}

const newKey = () => crypto.getRandomValues(new Uint32Array(4)).join("-");

/** What the form says: the URLs with their lines, and the body of the request. Throws an error with what is missing. */
function read(form) {
  const fields = new FormData(form);
  const found = pasted(fields.get("urls"));
  if (!found.length) throw new Error("There is no URL yet.");
  const given = labels(fields.get("labels"));
  const folder = fields.get("folder").trim();
  const urls = found.map((one) => one.url);
  const body = { video_urls: urls, quality: fields.get("quality"), priority: fields.get("priority") };
  if (Object.keys(given).length) body.labels = given;
  if (folder) body.unique_id = folder;
  return { found, body };
}

/** A fault with the line that it is about, if it is about a URL. */
function located({ pointer, detail }, found) {
  const place = /^\/video_urls\/(\d+)$/.exec(pointer);
  const { line, url } = (place && found[Number(place[1])]) ?? {};
  return { pointer, detail, line, url };
}

function Option({ name, words, usual, unit = "" }) {
  const option = (one) => html`<option key=${one} value=${one} selected=${one === usual}>${one}${unit}</option>`;
  return html`<label class="field"><span class="capital">${name}</span>
    <select name=${name}>${words.map(option)}</select></label>`;
}

function Faults({ error, select }) {
  if (!error) return null;
  const { message, faults } = error;
  const place = ({ pointer, line, url }) => (line
    ? html`<button type="button" class="link" onClick=${() => select(line)}>Line ${line}</button>: <code>${url}</code>`
    : html`<code>${pointer}</code>`);
  return html`<div class="notice bad" role="alert"><p>${message}</p>
    <ul class="small">${faults.slice(0, LISTED).map(
      (fault, row) => html`<li key=${row} class="wrap">${place(fault)} ${fault.detail}</li>`,
    )}</ul>
    ${faults.length > LISTED && html`<p class="small">The first ${LISTED} are shown here, and
      ${` ${number(faults.length)} `}are marked in the text.</p>`}
  </div>`;
}

function Plan({ of, urls }) {
  const sent = {};
  for (const { platform, urls: some } of of.tasks) sent[platform] = (sent[platform] ?? 0) + some;
  const platforms = Object.entries(sent).map(([platform, some]) => `${number(some)} ${platform}`);
  const are = (some) => count(some, "URL is", "URLs are");
  return html`<div class="notice calm" role="status">
    <h2>${count(of.urls, "URL")}: ${platforms.join(", ") || "none to send"}</h2>
    <ul class="small">
      ${platforms.length > 0 && html`<li>They need ${count(of.tasks.length, "request")}.
        ${" "}Each of these URLs may be charged, even if an earlier request for it was.</li>`}
      ${of.known > 0 && html`<li>${are(of.known)} indexed already, at no further cost.</li>`}
      ${of.following > 0 && html`<li>${are(of.following)} on the way for another job, at no further cost.</li>`}
      ${of.unconfirmed > 0 && html`<li>${are(of.unconfirmed)} unconfirmed: nobody knows whether an earlier request was
        taken. Such a URL may never come without a retry.</li>`}
      ${of.queue && html`<li><${Turn} of=${of.queue} /></li>`}
    </ul>
    <details class="small"><summary>The URLs that were found</summary>
      <ol class="urls">${urls.slice(0, MOST_URLS).map(
        (url, place) => html`<li key=${place} class="wrap">${url}</li>`,
      )}</ol>
      ${urls.length > MOST_URLS && html`<p>and ${count(urls.length - MOST_URLS, "further URL")}</p>`}
    </details>
  </div>`;
}

function Turn({ of: { requests_left: left, requests_ahead: ahead, sent_by: sentBy } }) {
  return html`${ahead > 0 && `${count(ahead, "request")} of others first. `}
    The last URL goes out with the ${ordinal(left)} request${sentBy && html`, <${Time} at=${sentBy} />`}.`;
}
