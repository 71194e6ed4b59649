// The first view: what is wrong, then what moves.

import { html, useState } from "./preact.js";
import { count, duration, number } from "./format.js";
import { Card, Empty, Labels, Progress, State, Time, Trouble, useAnswer } from "./parts.js";
import { Bars, Lines } from "./plot.js";

export function Overview() {
  const status = useAnswer("/v1/status", { every: 15_000 });
  if (!status.data) return status.error ? html`<${Trouble} ...${status} />` : null;
  const { problems, counts, last_callback_at: lastCallback, upstream } = status.data;
  return html`
    <h1>Overview</h1>
    ${status.error && html`<${Trouble} error=${status.error} />`}
    <${Problems} of=${problems} />
    <div class="grid">
      <${Card} title="Now" className="half"><div class="body"><dl class="figures">
        <${Figure} name="Jobs running" value=${counts.jobs.running ?? 0} />
        <${Figure} name="Tasks on their way" value=${onTheWay(counts.tasks)} />
        <${Figure} name="Videos indexed" value=${counts.videos.indexed ?? 0} />
        <${Figure} name="In quarantine" value=${counts.quarantine} />
      </dl></div><//>
      <${Queue} />
      <${Card} title="Upstream" className="quarter"><div class="body small">
        <p>Last callback: <${Time} at=${lastCallback} /></p>
        <p>One request every ${duration(upstream.interval_ms / 1000)}</p>
        <p>Last error: ${upstream.last_error ? html`<${Time} at=${upstream.last_error.at} />, ${upstream.last_error.message}` : "none"}</p>
      </div><//>
      <${Stats} />
    </div>
    <${Running} />`;
}

const onTheWay = (tasks) => ["submitting", "accepted", "downloaded"].reduce((all, state) => all + (tasks[state] ?? 0), 0);

function Figure({ name, value }) {
  return html`<div class="figure"><dt>${name}</dt><dd>${number(value)}</dd></div>`;
}

function Problems({ of }) {
  if (!of.length) return html`<div class="notice calm"><p>No problems.</p></div>`;
  return html`<section aria-label="Problems" style=${{ display: "grid", gap: "8px" }}>${of.map(
    (problem) => html`<div key=${problem.code + problem.since} class="notice">
      <h2>${problem.detail}</h2>
      <p>${problem.action}</p>
      <p class="when">Since <${Time} at=${problem.since} /> · <code>${problem.code}</code></p>
    </div>`,
  )}</section>`;
}

function Queue() {
  const { data } = useAnswer("/v1/queue", { every: 15_000 });
  if (!data) return null;
  return html`<${Card} title="Queue" className="quarter"><div class="body"><dl class="figures">
    <${Figure} name="URLs waiting" value=${data.waiting} />
    <${Figure} name="Requests" value=${data.requests} />
  </dl>${data.waiting > 0 && html`<p class="small faint">${data.sent_by
    ? html`The last URL is sent <${Time} at=${data.sent_by} />.`
    : "Nobody can say when the last one is sent."}</p>`}</div><//>`;
}

function Stats() {
  const [range, setRange] = useState("1h");
  const { data } = useAnswer(`/v1/stats?window=${range}`, { every: 30_000 });
  const choice = html`<span role="group" aria-label="Time of the plots">${["1h", "24h"].map(
    (one) => html`<button key=${one} type="button" class="choice" aria-pressed=${range === one ? "true" : "false"}
      onClick=${() => setRange(one)}>${one}</button>`,
  )}</span>`;
  if (!data) return null;
  const spans = data.spans;
  const all = (figure) => spans.reduce((sum, span) => sum + span[figure], 0);
  return html`
    <${Card} title="Callbacks" aside=${choice} className="third"><div class="body">
      <p class="small number">${number(all("callbacks"))}</p>
      <${Bars} spans=${spans} value=${(span) => span.callbacks} unit="callbacks" /></div><//>
    <${Card} title="URLs" aside="indexed" className="third"><div class="body">
      <p class="small number">${count(all("urls_sent"), "URL")} sent, ${number(all("urls_indexed"))} indexed</p>
      <${Bars} spans=${spans} value=${(span) => span.urls_indexed} unit="URLs" /></div><//>
    <${Card} title="Time until indexed" aside="median, and 95 % (dashed)" className="third"><div class="body">
      <p class="small number">${latest(spans)}</p>
      <${Lines} spans=${spans} values=${[(span) => span.median_seconds, (span) => span.p95_seconds]}
        names=${["Median", "95th percentile"]} shown=${duration} /></div><//>`;
}

function latest(spans) {
  const span = spans.findLast((one) => one.median_seconds !== null);
  return span ? `${duration(span.median_seconds)}, ${duration(span.p95_seconds)} for 95 %` : "Nothing was indexed.";
}

function Running() {
  const { data } = useAnswer("/v1/jobs?state=running&limit=20", { concerns: (event) => event.job_id || event.task_id });
  if (!data) return null;
  return html`<${Card} title="Running jobs" aside=${html`<a href="#/jobs">All jobs</a>`}>${data.items.length
    ? html`<${JobRows} jobs=${data.items} />`
    : html`<${Empty} title="No job is running"><${QuickStart} /><//>`}<//>`;
}

export function JobRows({ jobs }) {
  return html`<div class="scroll" tabindex="0"><table class="rows">
    <thead><tr><th scope="col">Job</th><th scope="col">State</th><th scope="col">Progress</th><th scope="col" class="right">URLs</th><th scope="col">Labels</th><th scope="col">Created</th></tr></thead>
    <tbody>${jobs.map((job) => html`<tr key=${job.id}>
      <td><a class="mono" href=${`#/jobs/${job.id}`}>…${job.id.slice(-8)}</a></td>
      <td><${State} of=${job.state} /></td>
      <td class="main-cell"><${Progress} of=${job.progress} /></td>
      <td class="right number">${number(job.progress.urls)}</td>
      <td><${Labels} of=${job.labels} /></td>
      <td class="number"><${Time} at=${job.created_at} /></td>
    </tr>`)}</tbody>
  </table></div>`;
}

export function QuickStart() {
  const command = `curl ${location.origin}/v1/jobs -H 'Authorization: Bearer YOUR_KEY' \\\n  --json '{"video_urls": ["https://www.youtube.com/watch?v=o9vgXOH4ET0"]}'`;
  return html`<p>Send URLs with the command line, or over the API:</p>
    <pre tabindex="0"><code>${`scrapehook submit https://www.youtube.com/watch?v=o9vgXOH4ET0\n\n${command}`}</code></pre>`;
}
