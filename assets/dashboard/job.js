// One job: its progress, its URLs and tasks, what happened, and what can be decided.

import { html, useState } from "./preact.js";
import { get, patch, path, post, query } from "./api.js";
import { useAnswer, useList } from "./answers.js";
import { Decide, ask } from "./decide.js";
import { Choice } from "./filters.js";
import { count, number, ordinal } from "./format.js";
import { Answered, Card, Empty, Id, Labels, More, Progress, ProgressKeys, Reason } from "./parts.js";
import { State, Table, Time, To } from "./parts.js";
import { Timeline } from "./timeline.js";

const PRIORITIES = ["high", "normal", "low"];
const URL_STATES = ["waiting", "sent", "downloaded", "indexed", "failed", "known"];
const IN_DOUBT = ", and twice if the answer to their earlier request was lost";
const LOOKED_UP = "scrapehook looks them up first and sends none that is known or on its way.";
/** Tasks that are shown at first. A job of 10,000 URLs can have more than 200. */
const FEW = 10;

export function Job({ id, mayWrite }) {
  // Events of tasks name only the first job that they serve.
  const concerns = (event) => event.job_id === id || event.task_id;
  const job = useAnswer(path("jobs", id), { concerns });
  return html`<${Answered} answer=${job} title="Job">${(data) => html`
    <div class="head"><h1>Job <${Id} of=${data.id} /></h1><${State} of=${data.state} />
      ${mayWrite && html`<${Decisions} job=${data} again=${job.again} />`}</div>
    <${Card}><div class="body stack">
      <${Progress} of=${data.progress} /><${ProgressKeys} of=${data.progress} />
      <p class="small faint wrap">${about(data)}</p>
      ${data.queue && html`<p class="small faint">${queued(data.queue)}</p>`}
      <p><${Labels} of=${data.labels} /></p>
    </div><//>
    <${Urls} id=${id} concerns=${concerns} />
    <${Tasks} of=${data.tasks} />
    <${Timeline} of="job" id=${id} concerns=${concerns} />`}<//>`;
}

function about(job) {
  const folder = job.unique_id ?? job.folder_id;
  return html`${count(job.progress.urls, "URL")} · created <${Time} at=${job.created_at} />${" "}
    ${job.settled_at && html`· settled <${Time} at=${job.settled_at} /> `}
    · ${job.library}${folder === null ? "" : `, folder ${folder}`}, ${job.quality}p, priority ${job.priority}`;
}

function queued({ requests_ahead: ahead, requests_left: left, sent_by: sentBy }) {
  return html`${ahead > 0 && `${count(ahead, "request")} of others first. `}
    The last URL goes out with the ${ordinal(left)} request
    ${sentBy ? html`, <${Time} at=${sentBy} />.` : ". Sending is paused for a part of them."}`;
}

function Decisions({ job, again }) {
  const { waiting, failed } = job.progress;
  return html`
    ${waiting > 0 && html`<${Priority} job=${job} again=${again} />
    <${Decide} name="Cancel" tone="danger" confirm=${`Cancel ${count(waiting, "URL")}`}
      act=${() => post(path("jobs", job.id, "cancel"))} onDone=${again}
      question=${`Cancel ${count(waiting, "waiting URL")}?`}
      detail="scrapehook sends none of them any more, so they are not charged. URLs that are on their way go on." />`}
    ${failed > 0 && html`<${Retry} job=${job} again=${again} />`}`;
}

const leftOut = (canceled, id) => ` ${count(canceled, "canceled URL is", "canceled URLs are")} left out.`
  + ` To send them as well, run scrapehook retry ${id} --code canceled.`;

function Retry({ job, again }) {
  const retry = (codes) => () => post(path("jobs", job.id, "retry"), codes && { codes });
  const open = async () => {
    // Canceled URLs are retried only if somebody names them, so it matters how many there are.
    const page = await get(query(path("jobs", job.id, "urls"), { state: "failed", limit: 500 })).catch(() => null);
    const canceled = page?.items.filter((url) => url.error?.code === "canceled").length ?? 0;
    const failed = job.progress.failed - canceled;
    const urls = count(failed || canceled, "URL");
    const others = failed > 0 && canceled > 0 ? leftOut(canceled, job.id) : "";
    ask({
      question: `Retry ${count(failed || canceled, failed ? "failed URL" : "canceled URL")}?`,
      detail: `Up to ${urls} may be charged again${failed ? IN_DOUBT : ""}. ${LOOKED_UP}${others}`,
      confirm: `Retry ${urls}`,
      act: retry(failed ? undefined : ["canceled"]),
      onDone: again,
    });
  };
  return html`<button type="button" onClick=${open}>Retry</button>`;
}

function Priority({ job, again }) {
  const choose = (event) => {
    const chosen = event.target.value;
    // Until it is answered, nothing has changed.
    event.target.value = job.priority;
    ask({
      question: `Send ${count(job.progress.waiting, "waiting URL")} with priority ${chosen}?`,
      detail: "This changes their turn, and not how many may be charged.",
      confirm: `Set to ${chosen}`,
      act: () => patch(path("jobs", job.id), { priority: chosen }),
      onDone: again,
    });
  };
  return html`<label class="inline small">Priority
      <select value=${job.priority} onChange=${choose}>
        ${PRIORITIES.map((one) => html`<option key=${one} value=${one}>${one}</option>`)}</select></label>`;
}

function Urls({ id, concerns }) {
  const [state, setState] = useState("");
  const urls = useList(path("jobs", id, "urls"), { state }, { concerns });
  const filter = html`<${Choice} label="State of the URLs" value=${state} words=${URL_STATES} choose=${setState} />`;
  return html`<${Card} title="URLs" aside=${filter}><${Answered} answer=${urls}>${(items) => html`
    ${items.length ? html`<${Table} name="URLs" rows=${items} columns=${[
      ["URL", (url) => html`<span class="clip block" title=${url.url}>${url.url}</span>`, "main-cell"],
      ["Platform", (url) => url.platform],
      ["State", (url) => html`<${State} of=${url.state} />`],
      ["Videos", (url) => url.video_ids.map((video) => html`<${Id} key=${video} of=${video} /> `)],
      ["Task", (url) => url.task_id && html`<${To} view="tasks" id=${url.task_id} />`],
      ["Accepted", (url) => html`<${Time} at=${url.accepted_at} />`, "number"],
      ["Indexed", (url) => html`<${Time} at=${url.indexed_at} />`, "number"],
      ["Reason", (url) => html`<${Reason} of=${url.error} />`, "reason"],
    ]} />` : html`<${Empty} title=${`No URL is ${state}`} />`}
    <${More} list=${urls} />`}<//><//>`;
}

function Tasks({ of }) {
  const [isWhole, setWhole] = useState(false);
  if (!of?.length) return null;
  const shown = isWhole ? of : of.slice(0, FEW);
  return html`<${Card} title="Tasks" aside=${`${number(of.length)}, one for each request`}>
    <${Table} name="Tasks" rows=${shown} keyOf=${(task) => task.id} columns=${[
      ["Task", (task) => html`<${To} view="tasks" id=${task.id} />`],
      ["State", (task) => html`<${State} of=${task.state} />`],
      ["Platform", (task) => task.platform ?? "–"],
      ["URLs", (task) => number(task.urls), "right number"],
    ]} />
    ${shown.length < of.length && html`<p class="more">
      <button type="button" onClick=${() => setWhole(true)}>Show all tasks</button></p>`}
  <//>`;
}
