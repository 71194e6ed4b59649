// The list of jobs, found by state, label and text.

import { html } from "./preact.js";
import { useList } from "./answers.js";
import { Choice, Filters } from "./filters.js";
import { JobRows, QuickStart } from "./overview.js";
import { Answered, Card, Empty, More } from "./parts.js";

const STATES = ["running", "done", "partial", "failed", "canceled"];

export function Jobs({ parameters }) {
  const filter = { q: parameters.get("q"), state: parameters.get("state"), label: parameters.get("label") };
  const isFiltered = Object.values(filter).some(Boolean);
  const jobs = useList("/v1/jobs", filter, { concerns: (event) => event.job_id || event.task_id });
  const isShort = filter.q && jobs.items?.length < 100;
  return html`
    <div class="head"><h1>Jobs</h1>
      <${Filters} view="/jobs" of=${filter}>
        <${Choice} label="State" name="state" words=${STATES} />
        <input name="label" aria-label="Label" placeholder="Label, as key:value" />
        <input name="q" type="search" aria-label="Text, id or URL" placeholder="Text, id or URL" />
      <//>
    </div>
    <${Answered} answer=${jobs}>${(items) => html`<${Card}>${items.length
      ? html`<${JobRows} jobs=${items} />`
      : html`<${Empty} title=${isFiltered ? nothing(jobs.more) : "No jobs yet"}>
          ${isFiltered ? html`<p><a href="#/jobs">Show all jobs</a></p>` : html`<${QuickStart} />`}
        <//>`}
      <${More} list=${jobs} name=${isShort ? "Search older jobs" : "Show more"} /><//>`}<//>`;
}

// A search looks through some jobs at a time.
const nothing = (hasMore) => (hasMore ? "None of the newer jobs matches" : "No job matches");
