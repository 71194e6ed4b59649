// Submitting: paste, look at the plan, send.

import { html, useRef, useState } from "./preact.js";
import { post } from "./api.js";
import { count, number, ordinal } from "./format.js";
import { Card, Time } from "./parts.js";
import { Paste, selectLine } from "./paste.js";
import { labels, pasted } from "./pasted.js";
import { go } from "./route.js";

const QUALITIES = ["360", "480", "720", "1080", "1440", "2160"];
const PRIORITIES = ["high", "normal", "low"];
/** Faults that are listed. The others are marked in the text. */
const LISTED = 20;
const UNANSWERED = "The service does not answer. If you were sending, send again: the same job is not stored twice.";

export function Submit() {
  const form = useRef(null);
  const [plan, setPlan] = useState(null);
  const [error, setError] = useState(null);
  const [isBusy, setBusy] = useState(false);
  // The same job is not stored twice if its answer is lost and somebody clicks again.
  const attempt = useRef(null);

  const refuse = (message, faults = []) => {
    setPlan(null);
    setError({ message, faults });
  };
  const ask = async (isDry) => {
    const { found, given, body } = read(form.current);
    if (!given) return refuse("A label has the form key:value.");
    if (!found.length) return refuse("There is no URL yet.");
    setError(null);
    setBusy(true);
    try {
      if (isDry) {
        setPlan(await post("/v1/jobs", { ...body, dry_run: true }));
      } else {
        attempt.current ??= crypto.getRandomValues(new Uint32Array(4)).join("-");
        const job = await post("/v1/jobs", body, { "idempotency-key": attempt.current });
        go(`/jobs/${job.id}`);
      }
    } catch (refused) {
      const faults = (refused.faults ?? []).map((fault) => located(fault, found));
      refuse(refused.status ? refused.message : UNANSWERED, faults);
    }
    setBusy(false);
  };
  const change = () => {
    setPlan(null);
    setError(null);
    attempt.current = null;
  };
  const check = (event) => {
    event.preventDefault();
    ask(true);
  };
  const faulty = [...new Set(error?.faults.map((fault) => fault.line).filter(Boolean) ?? [])];
  return html`
    <h1>Submit</h1>
    <${Card}><form ref=${form} class="body submit" onInput=${change} onSubmit=${check}>
      <div class="field"><span>URLs</span><${Paste} name="urls" describedBy="urls-hint" faulty=${faulty} /></div>
      <p id="urls-hint" class="small faint">One per line, a CSV, or a message with URLs in it.</p>
      <div class="filters">
        <${Option} name="quality" words=${QUALITIES} usual="360" unit="p" />
        <${Option} name="priority" words=${PRIORITIES} usual="normal" />
        <label class="field">Folder<input name="folder" placeholder="default" autocomplete="off" /></label>
        <label class="field">Labels
          <input name="labels" placeholder="campaign:autumn, team:news" autocomplete="off" /></label>
      </div>
      <${Faults} error=${error} select=${(line) => selectLine(form.current.elements.urls, line)} />
      <${Plan} of=${plan} />
      <div class="answers">
        <button disabled=${isBusy} class=${plan ? "" : "primary"}>Check</button>
        <button type="button" class=${plan ? "primary" : ""} disabled=${isBusy || !plan} onClick=${() => ask(false)}>
          ${plan ? `Send ${count(plan.urls, "URL")}` : "Send"}</button>
      </div>
    </form><//>`;
}

/** What the form says: the URLs with their lines, the labels, and the body of the request. */
function read(form) {
  const fields = new FormData(form);
  const found = pasted(fields.get("urls"));
  const given = labels(fields.get("labels"));
  const folder = fields.get("folder").trim();
  const urls = found.map((one) => one.url);
  const body = { video_urls: urls, quality: fields.get("quality"), priority: fields.get("priority") };
  if (given && Object.keys(given).length) body.labels = given;
  if (folder) body.unique_id = folder;
  return { found, given, body };
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
  const others = count(faults.length - LISTED, "further fault is", "further faults are");
  const place = ({ pointer, line, url }) => (line
    ? html`<button type="button" class="link" onClick=${() => select(line)}>Line ${line}</button>: <code>${url}</code>`
    : html`<code>${pointer}</code>`);
  return html`<div class="notice bad" role="alert"><p>${message}</p>
    <ul class="small">${faults.slice(0, LISTED).map(
      (fault, row) => html`<li key=${row} class="wrap">${place(fault)} ${fault.detail}</li>`,
    )}</ul>
    ${faults.length > LISTED && html`<p class="small">${others} marked in the text.</p>`}
  </div>`;
}

function Plan({ of }) {
  if (!of) return null;
  const sent = {};
  for (const { platform, urls } of of.tasks) sent[platform] = (sent[platform] ?? 0) + urls;
  const platforms = Object.entries(sent).map(([platform, urls]) => `${number(urls)} ${platform}`);
  const are = (urls) => count(urls, "URL is", "URLs are");
  return html`<div class="notice calm" role="status">
    <h2>${count(of.urls, "URL")}: ${platforms.join(", ") || "none to send"}</h2>
    <ul class="small">
      ${platforms.length > 0 && html`<li>They need ${count(of.tasks.length, "request")}.
        ${" "}Each of these URLs may be charged.</li>`}
      ${of.known > 0 && html`<li>${are(of.known)} indexed already, at no further cost.</li>`}
      ${of.following > 0 && html`<li>${are(of.following)} on the way for another job, at no further cost.</li>`}
      ${of.unconfirmed > 0 && html`<li>${are(of.unconfirmed)} unconfirmed: nobody knows whether an earlier request was
        taken. Such a URL may never come without a retry.</li>`}
      ${of.queue && html`<li><${Turn} of=${of.queue} /></li>`}
    </ul>
  </div>`;
}

function Turn({ of: { requests_left: left, requests_ahead: ahead, sent_by: sentBy } }) {
  return html`${ahead > 0 && `${count(ahead, "request")} of others first. `}
    The last URL goes out with the ${ordinal(left)} request${sentBy && html`, <${Time} at=${sentBy} />`}.`;
}
