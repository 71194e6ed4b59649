// The list of jobs, and one job with its URLs.

import { html, useState } from "./preact.js";
import { get, patch, post, query } from "./api.js";
import { Decide } from "./decide.js";
import { count, number } from "./format.js";
import { JobRows, QuickStart } from "./overview.js";
import { Card, Empty, Id, Labels, Progress, ProgressKeys, State, Time, Trouble, useAnswer } from "./parts.js";
import { go } from "./route.js";
import { Timeline } from "./timeline.js";

const STATES = ["running", "done", "partial", "failed", "canceled"];

export function Jobs({ parameters }) {
  const filter = { state: parameters.get("state"), label: parameters.get("label") };
  const path = query("/v1/jobs", { ...filter, limit: 50 });
  const { data, error, again } = useAnswer(path, { concerns: (event) => event.kind.startsWith("job.") });
  const [more, setMore] = useState({ path, items: [], next: undefined });
  const rest = more.path === path ? more : { items: [], next: undefined };
  const next = rest.next === undefined ? data?.next : rest.next;
  const load = async () => {
    const page = await get(query(path, { after: next }));
    setMore({ path, items: [...rest.items, ...page.items], next: page.next });
  };
  const choose = (change) => go("/jobs", { ...filter, ...change });
  const known = new Set(data?.items.map((job) => job.id));
  const jobs = data ? [...data.items, ...rest.items.filter((job) => !known.has(job.id))] : [];
  return html`
    <div class="head"><h1>Jobs</h1>
      <form class="filters" onSubmit=${(event) => { event.preventDefault(); choose({ label: event.target.label.value.trim() }); }}>
        <select aria-label="State" value=${filter.state ?? ""} onChange=${(event) => choose({ state: event.target.value })}>
          <option value="">Every state</option>
          ${STATES.map((state) => html`<option key=${state} value=${state}>${state}</option>`)}
        </select>
        <input name="label" aria-label="Label" placeholder="Label, as key:value" value=${filter.label ?? ""} />
        <button>Filter</button>
      </form>
    </div>
    ${error && html`<${Trouble} error=${error} again=${again} />`}
    ${data && html`<${Card}>${jobs.length
      ? html`<${JobRows} jobs=${jobs} />`
      : html`<${Empty} title=${filter.state || filter.label ? "No job matches" : "No jobs yet"}>
          ${filter.state || filter.label ? html`<p><a href="#/jobs">Show all jobs</a></p>` : html`<${QuickStart} />`}
        <//>`}<//>`}
    ${next && html`<p><button type="button" onClick=${load}>Show more</button></p>`}`;
}

export function Job({ id, mayWrite }) {
  const concerns = (event) => event.job_id === id || event.task_id;
  const { data: job, error, again } = useAnswer(`/v1/jobs/${encodeURIComponent(id)}`, { concerns });
  if (!job) return error ? html`<${Trouble} error=${error} again=${again} />` : null;
  return html`
    <div class="head"><h1>Job <${Id} of=${job.id} /></h1><${State} of=${job.state} />
      ${mayWrite && html`<${Decisions} job=${job} again=${again} />`}</div>
    ${error && html`<${Trouble} error=${error} />`}
    <${Card}><div class="body" style=${{ display: "grid", gap: "12px" }}>
      <${Progress} of=${job.progress} /><${ProgressKeys} of=${job.progress} />
      <p class="small faint">${count(job.progress.urls, "URL")} · created <${Time} at=${job.created_at} />
        ${job.settled_at && html` · settled <${Time} at=${job.settled_at} />`} · ${job.library}, ${job.quality}p, priority ${job.priority}</p>
      <p><${Labels} of=${job.labels} /></p>
    </div><//>
    <${Urls} id=${id} concerns=${concerns} />
    <${Timeline} of="job" id=${id} concerns=${concerns} />`;
}

function Decisions({ job, again }) {
  const path = `/v1/jobs/${encodeURIComponent(job.id)}`;
  const { waiting, failed } = job.progress;
  // Canceled URLs are retried only if somebody names them.
  const isCanceled = job.state === "canceled";
  const [error, setError] = useState(null);
  const prioritize = async (event) => {
    setError(null);
    await patch(path, { priority: event.target.value }).catch(setError);
    again();
  };
  return html`
    ${waiting > 0 && html`<label class="inline small">Priority
      <select value=${job.priority} onChange=${prioritize}>${["high", "normal", "low"].map((one) => html`<option key=${one} value=${one}>${one}</option>`)}</select></label>
    ${error && html`<span class="fault" role="alert">${error.message}</span>`}
    <${Decide} name="Cancel" tone="danger" confirm=${`Cancel ${count(waiting, "URL")}`} onDone=${again} act=${() => post(`${path}/cancel`)}
      question=${`Cancel ${count(waiting, "waiting URL")}?`}
      detail="scrapehook sends none of them any more. URLs that are on their way go on." />`}
    ${failed > 0 && html`<${Decide} name="Retry" confirm=${`Retry ${count(failed, "URL")}`} onDone=${again} act=${() => post(`${path}/retry`, isCanceled ? { codes: ["canceled"] } : undefined)}
      question=${`Retry ${count(failed, "failed URL")}?`}
      detail=${`Up to ${count(failed, "URL")} may be charged again. scrapehook looks them up first and sends none that is known or on its way.`} />`}`;
}

function Urls({ id, concerns }) {
  const { data, error, again } = useAnswer(`/v1/jobs/${encodeURIComponent(id)}/urls?limit=100`, { concerns });
  if (!data) return error ? html`<${Trouble} error=${error} again=${again} />` : null;
  return html`<${Card} title="URLs" aside=${data.next ? `the first ${number(data.items.length)}` : ""}><div class="scroll" tabindex="0"><table class="rows">
    <thead><tr><th scope="col">URL</th><th scope="col">State</th><th scope="col">Task</th><th scope="col">Videos</th><th scope="col">Reason</th></tr></thead>
    <tbody>${data.items.map((url, place) => html`<tr key=${place}>
      <td class="main-cell clip" style=${{ maxWidth: "360px" }} title=${url.url}>${url.url}</td>
      <td><${State} of=${url.state} /></td>
      <td>${url.task_id && html`<a class="mono" href=${`#/tasks/${url.task_id}`}>…${url.task_id.slice(-8)}</a>`}</td>
      <td>${url.video_ids.map((video) => html`<${Id} key=${video} of=${video} /> `)}</td>
      <td class="faint">${url.error ? `${url.error.message} (${url.error.code})` : ""}</td>
    </tr>`)}</tbody>
  </table></div><//>`;
}
