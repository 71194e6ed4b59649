// The queue with its lines and its estimate.

import { html } from "./preact.js";
import { useAnswer } from "./answers.js";
import { Sending } from "./decide.js";
import { count, duration, number } from "./format.js";
import { Answered, Card, Empty, State, Table, Time } from "./parts.js";
import { Problem } from "./problems.js";

/** The problems that keep URLs in the queue. */
const CODES = new Set(["sending_paused", "budget_spent", "may_be_charged_again"]);

export function Queue({ mayWrite }) {
  const queue = useAnswer("/v1/queue", { every: 10_000 });
  const status = useAnswer("/v1/status", { every: 15_000 });
  const problems = status.data?.problems.filter((problem) => CODES.has(problem.code)) ?? [];
  return html`
    <div class="head"><h1>Queue</h1>${mayWrite && queue.data && html`<${Sending} pauses=${queue.data.pauses} />`}</div>
    ${problems.map((problem) => html`<${Problem} key=${problem.detail} of=${problem} view="/queue" />`)}
    <${Answered} answer=${queue}>${(data) => html`
      <${Card}><div class="body">
        <p>${count(data.waiting, "URL")} in ${count(data.requests, "request")}, at one request every
          ${" "}${duration(data.interval_ms / 1000)}.</p>
        <p class="small faint">${estimate(data)}</p>
      </div><//>
      <${Card} title="Lines" aside=${data.groups_total > data.groups.length
        ? `the first ${number(data.groups.length)} of ${number(data.groups_total)}` : ""}>
        ${data.groups.length ? html`<${Lines} of=${data.groups} />`
          : html`<${Empty} title="The queue is empty">
            <p>URLs wait here from their submit until scrapehook has sent them.</p>
            <p><a href="#/submit">Submit URLs</a></p><//>`}
      <//>`}<//>`;
}

function estimate({ waiting, sent_by: sentBy, oldest_at: oldest }) {
  if (!waiting) return "Nothing waits.";
  const last = sentBy && html`The last one is sent <${Time} at=${sentBy} />.`;
  return html`${last ?? "Sending is paused, so there is no estimate."} The oldest came <${Time} at=${oldest} />.`;
}

function Lines({ of }) {
  return html`<${Table} name="Lines" rows=${of} columns=${[
    ["Platform", (group) => group.platform],
    ["Destination", (group) => destination(group.destination)],
    ["Quality", (group) => (group.quality ? `${group.quality}p` : "–")],
    ["Priority", (group) => group.priority],
    ["URLs", (group) => number(group.urls), "right number"],
    ["Oldest", (group) => html`<${Time} at=${group.oldest_at} />`, "number"],
    ["State", (group) => html`<${State} of=${group.paused ? "paused" : "waiting"} />`],
  ]} />`;
}

function destination({ library, unique_id: name, folder_id: folder }) {
  return [library, name && `folder "${name}"`, folder !== null && `folder ${folder}`].filter(Boolean).join(", ");
}
