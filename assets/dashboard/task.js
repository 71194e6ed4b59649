// One task: its URLs and videos, its timeline, and each callback as it arrived.

import { html } from "./preact.js";
import { count } from "./format.js";
import { Card, Empty, Id, State, Time, Trouble, useAnswer } from "./parts.js";
import { Timeline } from "./timeline.js";

export function Task({ id }) {
  const path = `/v1/tasks/${encodeURIComponent(id)}`;
  const concerns = (event) => event.task_id === id;
  const { data: task, error, again } = useAnswer(path, { concerns });
  if (!task) return error ? html`<${Trouble} error=${error} again=${again} />` : null;
  return html`
    <div class="head"><h1>Task <${Id} of=${task.id} /></h1><${State} of=${task.state} /></div>
    ${task.state === "unconfirmed" && html`<${Unconfirmed} task=${task} />`}
    ${task.error && html`<div class="notice bad"><p>${task.error.message}</p><p class="when"><code>${task.error.code}</code>${task.error.certain ? "" : " · not proven"}</p></div>`}
    <${Card}><div class="body"><dl class="facts">
      <${Fact} name="Platform">${task.platform ?? "–"}<//>
      <${Fact} name="Upstream id">${task.upstream_id ? html`<${Id} of=${task.upstream_id} />` : "–"}<//>
      <${Fact} name="Created"><${Time} at=${task.created_at} /><//>
      <${Fact} name="Accepted"><${Time} at=${task.accepted_at} /><//>
      <${Fact} name="Downloaded"><${Time} at=${task.downloaded_at} /><//>
      <${Fact} name="Settled"><${Time} at=${task.settled_at} /><//>
      <${Fact} name=${count(task.jobs_total, "job")}>${task.jobs.map((job) => html`<a key=${job} class="mono" href=${`#/jobs/${job}`}>…${job.slice(-8)}</a> `)}<//>
    </dl></div><//>
    <${Urls} of=${task.urls ?? []} />
    <${Timeline} of="task" id=${id} concerns=${concerns} />
    <${Callbacks} path=${`${path}/callbacks`} concerns=${concerns} />`;
}

function Fact({ name, children }) {
  return html`<div><dt>${name}</dt><dd>${children}</dd></div>`;
}

function Unconfirmed({ task }) {
  return html`<div class="notice"><h2>Nobody knows whether this request was taken, and so whether it was charged.</h2>
    <p>It was sent ${html`<${Time} at=${task.created_at} />`}, and no answer came that says so. scrapehook sends nothing of it again by itself.</p>
    <p>Look for it in your account at upstream. If it is there, adopt its id. If it is not, retry the task, which may be charged. Or cancel it, which proves nothing about the charge.</p>
    <pre class="small" tabindex="0">${`scrapehook adopt ${task.id} UPSTREAM_ID\nscrapehook retry ${task.id}\nscrapehook cancel ${task.id}`}</pre></div>`;
}

function Urls({ of }) {
  return html`<${Card} title="URLs"><div class="scroll" tabindex="0"><table class="rows">
    <thead><tr><th scope="col">URL</th><th scope="col">State</th><th scope="col">Videos</th><th scope="col">Reason</th></tr></thead>
    <tbody>${of.map((url, place) => html`<tr key=${place}>
      <td class="main-cell wrap">${url.url}</td>
      <td><${State} of=${url.state} /></td>
      <td>${url.video_ids.map((video) => html`<${Id} key=${video} of=${video} /> `)}</td>
      <td class="faint">${url.error ? `${url.error.message} (${url.error.code})` : ""}</td>
    </tr>`)}</tbody>
  </table></div><//>`;
}

function Callbacks({ path, concerns }) {
  const { data, error, again } = useAnswer(`${path}?limit=100`, { concerns });
  if (!data) return error ? html`<${Trouble} error=${error} again=${again} />` : null;
  return html`<${Card} title="Callbacks" aside="as they arrived">${data.items.length
    ? data.items.map((callback) => html`<div key=${callback.id} class="body">
        <p class="small"><${Time} at=${callback.first_received_at} /> · ${callback.understood ?? "not understood"}
          ${callback.deliveries > 1 && html` · arrived ${callback.deliveries} times`}</p>
        <${Body} of=${callback.body} />
      </div>`)
    : html`<${Empty} title="No callback yet"><p>Missing callbacks are fetched by polling.</p><//>`}<//>`;
}

/** A body, indented if it is JSON. */
export function Body({ of }) {
  if (of === null) return html`<p class="small faint">The body was removed after <code>retention.after</code>.</p>`;
  let text = of;
  try {
    text = JSON.stringify(JSON.parse(of), null, 2);
  } catch {
    // It is shown as it is.
  }
  return html`<pre class="raw" tabindex="0"><code>${text}</code></pre>`;
}
