// Submitting: paste, look at the plan, send.

import { html, useRef, useState } from "./preact.js";
import { post } from "./api.js";
import { count } from "./format.js";
import { Card, Time } from "./parts.js";
import { labels, pasted } from "./pasted.js";
import { go } from "./route.js";

const QUALITIES = ["360", "480", "720", "1080", "1440", "2160"];

export function Submit() {
  const form = useRef(null);
  const [plan, setPlan] = useState(null);
  const [error, setError] = useState(null);
  const [isBusy, setBusy] = useState(false);
  // The same job is not stored twice if its answer is lost and somebody clicks again.
  const attempt = useRef(null);

  const read = () => {
    const fields = new FormData(form.current);
    const found = pasted(fields.get("urls"));
    const given = labels(fields.get("labels"));
    const body = { video_urls: found.map((one) => one.url), quality: fields.get("quality"), priority: fields.get("priority") };
    if (given && Object.keys(given).length) body.labels = given;
    if (fields.get("folder").trim()) body.unique_id = fields.get("folder").trim();
    return { found, given, body };
  };
  const ask = async (isDry) => {
    const { found, given, body } = read();
    setError(null);
    if (!given) return setError({ message: "A label has the form key:value.", faults: [], found });
    if (!found.length) return setError({ message: "There is no URL yet.", faults: [], found });
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
      setPlan(null);
      setError({ message: refused.status ? refused.message : "The service does not answer.", faults: refused.faults ?? [], found });
    }
    setBusy(false);
  };
  const change = () => {
    setPlan(null);
    setError(null);
    attempt.current = null;
  };
  return html`
    <h1>Submit</h1>
    <${Card}><form ref=${form} class="body submit" onInput=${change} onSubmit=${(event) => { event.preventDefault(); ask(true); }}>
      <label class="field">URLs
        <textarea name="urls" rows="10" spellcheck="false" autocomplete="off" aria-describedby="urls-hint"></textarea></label>
      <p id="urls-hint" class="small faint">One per line, a CSV, or a message with URLs in it.</p>
      <div class="filters">
        <label class="field">Quality<select name="quality">${QUALITIES.map((one) => html`<option key=${one} value=${one} selected=${one === "360"}>${one}p</option>`)}</select></label>
        <label class="field">Priority<select name="priority">${["high", "normal", "low"].map((one) => html`<option key=${one} value=${one} selected=${one === "normal"}>${one}</option>`)}</select></label>
        <label class="field">Folder<input name="folder" placeholder="default" autocomplete="off" /></label>
        <label class="field">Labels<input name="labels" placeholder="campaign:autumn, team:news" autocomplete="off" /></label>
      </div>
      <${Faults} error=${error} />
      <${Plan} of=${plan} />
      <div class="answers">
        <button disabled=${isBusy} class=${plan ? "" : "primary"}>Check</button>
        <button type="button" class="primary" disabled=${isBusy || !plan} onClick=${() => ask(false)}>${plan ? `Send ${count(plan.urls, "URL")}` : "Send"}</button>
      </div>
    </form><//>`;
}

function Faults({ error }) {
  if (!error) return null;
  const marked = error.faults.map((fault) => {
    const place = /^\/video_urls\/(\d+)$/.exec(fault.pointer);
    return { ...fault, of: place ? error.found[Number(place[1])] : null };
  });
  return html`<div class="notice bad" role="alert"><p>${error.message}</p>
    <ul class="small">${marked.slice(0, 100).map((fault, place) => html`<li key=${place} class="wrap">${fault.of
      ? html`Line ${fault.of.line}: <code>${fault.of.url}</code> ${fault.detail}` : html`<code>${fault.pointer}</code> ${fault.detail}`}</li>`)}</ul>
  </div>`;
}

function Plan({ of }) {
  if (!of) return null;
  const platforms = Object.entries(of.tasks.reduce((all, task) => ({ ...all, [task.platform]: (all[task.platform] ?? 0) + task.urls }), {}));
  return html`<div class="notice calm" role="status">
    <h2>${count(of.urls, "URL")}: ${platforms.map(([platform, urls]) => `${urls} ${platform}`).join(", ") || "none to send"}</h2>
    <ul class="small">
      ${of.known > 0 && html`<li>${count(of.known, "URL is", "URLs are")} indexed already, and costs nothing.</li>`}
      ${of.following > 0 && html`<li>${count(of.following, "URL is", "URLs are")} on the way for another job, and costs nothing.</li>`}
      ${of.unconfirmed > 0 && html`<li>${count(of.unconfirmed, "URL is", "URLs are")} unconfirmed: nobody knows whether an earlier request took it.</li>`}
      ${of.queue && html`<li>${count(of.queue.requests_left, "request")} to send, after ${count(of.queue.requests_ahead, "request")} of others.${of.queue.sent_by && html` The last one is sent <${Time} at=${of.queue.sent_by} />.`}</li>`}
    </ul>
  </div>`;
}
