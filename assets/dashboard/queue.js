// The queue with its estimate, and the quarantine of callbacks without a good token.

import { html } from "./preact.js";
import { count, duration, number } from "./format.js";
import { Card, Empty, Id, State, Time, Trouble, useAnswer } from "./parts.js";
import { Body } from "./task.js";

export function Queue() {
  const { data, error, again } = useAnswer("/v1/queue", { every: 10_000 });
  if (!data) return error ? html`<${Trouble} error=${error} again=${again} />` : null;
  return html`
    <h1>Queue</h1>
    ${error && html`<${Trouble} error=${error} />`}
    <${Card}><div class="body">
      <p>${count(data.waiting, "URL")} in ${count(data.requests, "request")}, at one request every ${duration(data.interval_ms / 1000)}.</p>
      <p class="small faint">${data.waiting === 0 ? "Nothing waits."
        : data.sent_by ? html`The last one is sent <${Time} at=${data.sent_by} />. The oldest has waited since <${Time} at=${data.oldest_at} />.`
        : "Sending is paused, so nobody can say when the last one is sent."}</p>
    </div><//>
    <${Card} title="Lines" aside=${data.groups_total > data.groups.length ? `the first ${number(data.groups.length)} of ${number(data.groups_total)}` : ""}>
      ${data.groups.length ? html`<div class="scroll" tabindex="0"><table class="rows">
        <thead><tr><th scope="col">Platform</th><th scope="col">Destination</th><th scope="col">Quality</th><th scope="col">Priority</th><th scope="col" class="right">URLs</th><th scope="col">Oldest</th><th scope="col">State</th></tr></thead>
        <tbody>${data.groups.map((group, place) => html`<tr key=${place}>
          <td>${group.platform}</td>
          <td>${destination(group.destination)}</td>
          <td>${group.quality ? `${group.quality}p` : "–"}</td>
          <td>${group.priority}</td>
          <td class="right number">${number(group.urls)}</td>
          <td><${Time} at=${group.oldest_at} /></td>
          <td>${group.paused ? html`<${State} of="paused" />` : html`<${State} of="waiting" />`}</td>
        </tr>`)}</tbody>
      </table></div>` : html`<${Empty} title="The queue is empty"><p>URLs wait here from their submit until scrapehook has sent them.</p><//>`}
    <//>`;
}

function destination({ library, unique_id: folderName, folder_id: folder }) {
  return [library, folderName && `folder "${folderName}"`, folder !== null && `folder ${folder}`].filter(Boolean).join(", ");
}

export function Quarantine() {
  const { data, error, again } = useAnswer("/v1/quarantine?limit=50", { concerns: (event) => event.kind === "callback.hint" });
  if (!data) return error ? html`<${Trouble} error=${error} again=${again} />` : null;
  return html`
    <h1>Quarantine</h1>
    <p class="faint">Callbacks without a good token prove nothing, because anybody can send them. scrapehook asks upstream about the task that they name.</p>
    <${Card}>${data.items.length ? data.items.map((hint) => html`<div key=${hint.id} class="body">
        <p class="small"><${Time} at=${hint.last_received_at} /> · ${hint.upstream_id ? html`claims the task <${Id} of=${hint.upstream_id} />` : "names no task"}
          ${hint.deliveries > 1 && html` · arrived ${number(hint.deliveries)} times`}</p>
        <${Body} of=${hint.body} />
      </div>`) : html`<${Empty} title="Nothing is in quarantine"><p>Every callback so far had a good token.</p><//>`}<//>`;
}
