// The first view: what is wrong, then what moves.

import { html } from "./preact.js";
import { useAnswer, useList } from "./answers.js";
import { Sending } from "./decide.js";
import { duration, number } from "./format.js";
import { Answered, Card, Empty, Labels, Progress, State, Table, Time, To, Trouble } from "./parts.js";
import { Problems } from "./problems.js";
import { Stats } from "./stats.js";

export function Overview({ mayWrite }) {
  const status = useAnswer("/v1/status", { every: 15_000 });
  return html`<h1>Overview</h1>
    <${Answered} answer=${status}>${(data) => html`
      <${Problems} of=${data.problems} />
      <div class="grid">
        <${Now} of=${data.counts} />
        <${Queue} mayWrite=${mayWrite} />
        <${Today} of=${data.today} />
        <${Upstream} of=${data} />
        <${Stats} />
      </div>
      <${Running} />`}<//>`;
}

const ON_THE_WAY = ["submitting", "accepted", "downloaded"];

function Figure({ name, value, children }) {
  return html`<div class="figure"><dt>${name}</dt><dd>${number(value)}${children}</dd></div>`;
}

function Now({ of: { jobs, tasks, videos, quarantine } }) {
  const onTheWay = ON_THE_WAY.reduce((all, state) => all + (tasks[state] ?? 0), 0);
  return html`<${Card} title="Now" className="quarter"><div class="body"><dl class="figures">
    <${Figure} name="Jobs running" value=${jobs.running ?? 0} />
    <${Figure} name="Tasks sent" value=${onTheWay} />
    <${Figure} name="Videos indexed" value=${videos.indexed ?? 0} />
    <${Figure} name="In quarantine" value=${quarantine} />
  </dl></div><//>`;
}

function Queue({ mayWrite }) {
  const queue = useAnswer("/v1/queue", { every: 15_000 });
  const lines = html`<a href="#/queue">Lines</a>`;
  return html`<${Card} title="Queue" aside=${lines} className="quarter"><div class="body stack">
    <${Answered} answer=${queue}>${(data) => html`<dl class="figures">
        <${Figure} name="URLs waiting" value=${data.waiting} />
        <${Figure} name="Requests" value=${data.requests} />
      </dl>
      <p class="small faint">${estimate(data)}</p>
      ${mayWrite && html`<div class="answers"><${Sending} pauses=${data.pauses} /></div>`}`}<//>
  </div><//>`;
}

/** When the queue will be empty, or why nobody knows. */
function estimate({ waiting, sent_by: sentBy, pauses }) {
  if (pauses.length) return "Sending is paused, at least in part. The reason is at the top of the page.";
  if (!waiting) return "Nothing waits.";
  if (!sentBy) return "There is no estimate.";
  return html`The last URL is sent <${Time} at=${sentBy} />.`;
}

function Today({ of: { urls_sent: sent, max_urls: most, urls_left: left, ends_at: end } }) {
  return html`<${Card} title="Today" aside="UTC" className="quarter"><div class="body stack">
    <dl class="figures"><${Figure} name="URLs sent" value=${sent} />
      ${most !== null && html`<${Figure} name="Left" value=${left}>
        <small> of ${number(most)}</small><//>`}</dl>
    ${most === null ? html`<p class="small faint">No limit. <code>dispatch.max_urls_per_day</code> sets one.</p>`
      : html`<div class="progress" role="img" aria-label=${`${number(sent)} of ${number(most)} URLs sent`}>
          <span class="sent" style=${{ flexGrow: sent }}></span>
          <span class="waiting" style=${{ flexGrow: left }}></span></div>
        <p class="small faint">The next day begins <${Time} at=${end} />.</p>`}
  </div><//>`;
}

function Upstream({ of: { last_callback_at: lastCallback, callback_check: check, upstream } }) {
  const error = upstream.last_error;
  return html`<${Card} title="Upstream" className="quarter"><div class="body small stack">
    <p>Last callback: <${Time} at=${lastCallback} /></p>
    <p>At most one request every ${duration(upstream.interval_ms / 1000)}</p>
    <p class="wrap">Last error: ${error ? html`<${Time} at=${error.at} />, ${error.message}` : "none"}</p>
    <p class="wrap">Callback check: <span title=${check.detail}>${check.state.replaceAll("_", " ")}</span></p>
  </div><//>`;
}

function Running() {
  const concerns = (event) => event.job_id || event.task_id;
  const jobs = useList("/v1/jobs", { state: "running" }, { concerns });
  return html`<${Card} title="Running jobs" aside=${html`<a href="#/jobs">All jobs</a>`}><${Answered} answer=${jobs}>
    ${(items) => (items.length ? html`<${JobRows} jobs=${items.slice(0, 20)} />`
      : html`<${Empty} title="No job is running"><${QuickStart} /><//>`)}<//>
    ${(jobs.items?.length > 20) && html`<p class="more"><a href="#/jobs?state=running">All running jobs</a></p>`}<//>`;
}

export function JobRows({ jobs }) {
  return html`<${Table} name="Jobs" rows=${jobs} keyOf=${(job) => job.id} columns=${[
    ["Job", (job) => html`<${To} view="jobs" id=${job.id} />`],
    ["State", (job) => html`<${State} of=${job.state} />`],
    ["Progress", (job) => html`<${Progress} of=${job.progress} />`, "main-cell"],
    ["URLs", (job) => number(job.progress.urls), "right number"],
    ["Labels", (job) => html`<${Labels} of=${job.labels} />`, "nowrap"],
    ["Created", (job) => html`<${Time} at=${job.created_at} />`, "number"],
  ]} />`;
}

/** How to begin, with the address of this service. */
export function QuickStart() {
  const url = "https://www.youtube.com/watch?v=o9vgXOH4ET0";
  const session = useAnswer("/v1/session", { concerns: () => false });
  if (session.error) return html`<${Trouble} error=${session.error} />`;
  const hasKeys = Boolean(session.data?.name);
  const settings = `export SCRAPEHOOK_URL=${location.origin}${hasKeys ? " SCRAPEHOOK_API_KEY=YOUR_KEY" : ""}`;
  const key = hasKeys ? ` -H 'Authorization: Bearer YOUR_KEY'` : "";
  const request = `curl ${location.origin}/v1/jobs${key} \\\n  --json '{"video_urls": ["${url}"]}'`;
  return html`<p><a href="#/submit">Paste URLs here</a>, or send them from a terminal:</p>
    <pre tabindex="0"><code>${`${settings}\nscrapehook submit ${url}`}</code></pre>
    <p>Over the API:</p>
    <pre tabindex="0"><code>${request}</code></pre>`;
}
