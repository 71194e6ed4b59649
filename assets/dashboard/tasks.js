// The list of tasks, found by state and platform.

import { html } from "./preact.js";
import { useList } from "./answers.js";
import { Choice, Filters } from "./filters.js";
import { Answered, Card, Empty, More, Reason, State, Table, Time, To } from "./parts.js";

const STATES = [
  "queued", "submitting", "unconfirmed", "accepted", "downloaded",
  "indexed", "partial", "failed", "rejected", "stalled", "canceled",
];

export function Tasks({ parameters }) {
  const filter = { state: parameters.get("state"), platform: parameters.get("platform") };
  const isFiltered = filter.state || filter.platform;
  const tasks = useList("/v1/tasks", filter, { concerns: (event) => event.kind.startsWith("task.") });
  return html`
    <div class="head"><h1>Tasks</h1>
      <${Filters} view="/tasks" of=${filter}>
        <${Choice} label="State" name="state" words=${STATES} />
        <input name="platform" aria-label="Platform" placeholder="Platform, as youtube" />
      <//>
    </div>
    <${Answered} answer=${tasks}>${(items) => html`<${Card}>${items.length ? html`
      <${Table} name="Tasks" rows=${items} keyOf=${(task) => task.id} columns=${[
        ["Task", (task) => html`<${To} view="tasks" id=${task.id} />`],
        ["State", (task) => html`<${State} of=${task.state} />`],
        ["Platform", (task) => task.platform ?? "–"],
        ["Job", (task) => task.job_id && html`<${To} view="jobs" id=${task.job_id} />`],
        ["Created", (task) => html`<${Time} at=${task.created_at} />`, "number"],
        ["Settled", (task) => html`<${Time} at=${task.settled_at} />`, "number"],
        ["Reason", (task) => html`<${Reason} of=${task.error} />`, "reason"],
      ]} />` : html`<${Empty} title=${isFiltered ? "No task matches" : "No tasks yet"}>
        ${isFiltered ? html`<p><a href="#/tasks">Show all tasks</a></p>`
          : html`<p>A task is one request of up to 50 URLs. It is made when its turn comes.</p>`}<//>`}
      <${More} list=${tasks} /><//>`}<//>`;
}
