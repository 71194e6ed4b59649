// One task: its URLs and videos, its timeline, each callback as it arrived, and what can be decided.

import { html } from "./preact.js";
import { path } from "./api.js";
import { useAnswer, useList } from "./answers.js";
import { count } from "./format.js";
import { Answered, Card, Empty, Fact, Id, More, Reason, State, Table, Time, To } from "./parts.js";
import { Raw } from "./raw.js";
import { Decisions, Unconfirmed } from "./task_decisions.js";
import { Timeline } from "./timeline.js";

/** Jobs of a task that are shown. */
const FEW = 5;

export function Task({ id, mayWrite }) {
  // The address may have upstream's id.
  const concerns = (event) => event.task_id === id || event.upstream_id === id;
  const task = useAnswer(path("tasks", id), { concerns });
  return html`<${Answered} answer=${task} title="Task">${(data) => html`
    <div class="head"><h1>Task <${Id} of=${data.id} /></h1><${State} of=${data.state} />
      ${mayWrite && html`<${Decisions} of=${data} again=${task.again} />`}</div>
    ${data.state === "unconfirmed" && html`<${Unconfirmed} of=${data} />`}
    ${data.error && html`<div class="notice bad"><p><${Reason} of=${data.error} /></p></div>`}
    <${Facts} of=${data} />
    <${Urls} of=${data.urls} />
    <${Timeline} of="task" id=${data.id} concerns=${concerns} />
    <${Callbacks} id=${data.id} concerns=${concerns} />`}<//>`;
}

function Facts({ of: task }) {
  return html`<${Card}><div class="body"><dl class="facts">
    <${Fact} name="Platform">${task.platform ?? "–"}<//>
    <${Fact} name="Upstream id">${task.upstream_id ? html`<${Id} of=${task.upstream_id} />` : "–"}<//>
    <${Fact} name="Created"><${Time} at=${task.created_at} /><//>
    <${Fact} name="Accepted"><${Time} at=${task.accepted_at} /><//>
    <${Fact} name="Downloaded"><${Time} at=${task.downloaded_at} /><//>
    <${Fact} name="Settled"><${Time} at=${task.settled_at} /><//>
    <${Fact} name=${count(task.jobs_total, "job")}>
      ${task.jobs.slice(0, FEW).map((job) => html`<${To} key=${job} view="jobs" id=${job} /> `)}
      ${task.jobs_total > FEW && "and others"}<//>
    ${task.retry_of && html`<${Fact} name="Retry of"><${To} view="tasks" id=${task.retry_of} /><//>`}
    ${task.replaced_by && html`<${Fact} name="Retried as"><${To} view="tasks" id=${task.replaced_by} /><//>`}
  </dl></div><//>`;
}

function Urls({ of }) {
  return html`<${Card} title="URLs"><${Table} name="URLs" rows=${of} columns=${[
    ["URL", (url) => html`<span class="wrap">${url.url}</span>`, "main-cell"],
    ["State", (url) => html`<${State} of=${url.state} />`],
    ["Videos", (url) => url.video_ids.map((video) => html`<${Id} key=${video} of=${video} /> `)],
    ["Reason", (url) => html`<${Reason} of=${url.error} />`, "reason"],
  ]} /><//>`;
}

function Callbacks({ id, concerns }) {
  const callbacks = useList(path("tasks", id, "callbacks"), {}, { concerns });
  const aside = "as they arrived, newest first";
  return html`<${Card} title="Callbacks" aside=${aside}><${Answered} answer=${callbacks}>${(items) => html`
    ${items.length ? items.map((callback) => html`<div key=${callback.id} class="body">
        <p class="small"><${Time} at=${callback.first_received_at} /> · ${callback.understood ?? "not understood"}
          ${callback.deliveries > 1 && ` · arrived ${callback.deliveries} times`}</p>
        <${Raw} of=${callback.body} />
      </div>`)
      : html`<${Empty} title="No callback yet"><p>Missing callbacks are fetched by polling.</p><//>`}
    <${More} list=${callbacks} />`}<//><//>`;
}
