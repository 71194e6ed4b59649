// What an operator can decide about a task. The service has the last word, and a refusal shows its reason.

import { html } from "./preact.js";
import { path, post } from "./api.js";
import { Decide } from "./decide.js";
import { count } from "./format.js";
import { Time } from "./parts.js";
import { go } from "./route.js";

const act = (task, name, body) => post(path("tasks", task.id, name), body);
const isUnconfirmed = (task) => task.state === "unconfirmed";
/** Whether nobody knows if it was charged: its answer was lost, and no proof has come since. */
const isInDoubt = (task) => isUnconfirmed(task)
  || (!task.upstream_id && task.urls.some((url) => url.error?.code === "unconfirmed"));

/** The buttons that make sense in the state of the task. */
export function Decisions({ of: task, again }) {
  const hasEnded = task.settled_at !== null;
  const failed = task.urls.filter((url) => !["indexed", "known"].includes(url.state)).length;
  const mayRetry = (hasEnded || isUnconfirmed(task)) && failed > 0 && !task.replaced_by;
  return html`
    ${task.upstream_id && html`<${Poll} of=${task} again=${again} />`}
    ${isInDoubt(task) && html`<${Adopt} of=${task} again=${again} />`}
    ${mayRetry && html`<${Retry} of=${task} urls=${count(failed, "URL")} />`}
    ${(isUnconfirmed(task) || task.state === "queued") && html`<${Cancel} of=${task} again=${again} />`}`;
}

function Poll({ of: task, again }) {
  return html`<${Decide} name="Poll now" act=${() => act(task, "refresh")} onDone=${again}
    question="Ask upstream about this task now?"
    detail="A poll costs one request of the rate limit, and no money." />`;
}

function Adopt({ of: task, again }) {
  return html`<${Decide} name="Adopt" field="taskId at upstream" onDone=${again}
    act=${(upstreamId) => act(task, "adopt", { upstream_id: upstreamId })}
    question="Adopt the request from your account"
    detail="Only if your account shows that this request was taken. scrapehook then polls it like any other task." />`;
}

function Retry({ of: task, urls }) {
  const [tone, doubt] = isInDoubt(task)
    ? ["danger", " a second time, because nobody knows whether the first request was taken"]
    : ["", " again"];
  return html`<${Decide} name="Retry" tone=${tone} confirm=${`Send ${urls} again`}
    act=${() => act(task, "retry")} onDone=${(made) => go(`/tasks/${made.id}`)}
    question=${`Send ${urls} of this task again?`} detail=${`Up to ${urls} may be charged${doubt}.`} />`;
}

function Cancel({ of: task, again }) {
  const others = task.jobs_total > 1 ? ` It serves ${task.jobs_total} jobs, and ends for all of them.` : "";
  const [name, question, detail] = isUnconfirmed(task)
    ? ["Give up", "Stop waiting for this request?", "Its URLs end as unconfirmed. It may have been charged."]
    : ["Cancel", "Cancel this task?", "It is not sent any more, and not charged. Its URLs end as canceled."];
  return html`<${Decide} name=${name} tone="danger" act=${() => act(task, "cancel")} onDone=${again}
    question=${question} detail=${`${detail}${others}`} />`;
}

/** What is known of a request whose answer was lost, and the three things one can do. */
export function Unconfirmed({ of: task }) {
  const urls = count(task.urls.length, "URL");
  return html`<div class="notice">
    <h2>Nobody knows whether this request was taken, and so whether it was charged.</h2>
    <p>scrapehook sent it, and no answer came. It never sends such a request again automatically. A callback or a poll
      can still prove that it was taken. Nothing but your account at upstream can prove that it was not.</p>
    <p>Look for the request in your account, around <${Time} at=${task.created_at} />. Then do one of these:</p>
    <ul class="choices">
      <li><strong>Adopt</strong> its id if it is there. The task goes on as usual.</li>
      <li><strong>Retry</strong> if it is not there. ${urls} may be charged, and twice if it was taken after all.</li>
      <li><strong>Give up</strong> to let its jobs end. This proves nothing about the charge.</li>
    </ul></div>`;
}
