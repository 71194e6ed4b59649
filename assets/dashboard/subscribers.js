// Subscribers: who is told about events, and what came of it.

import { html, useState } from "./preact.js";
import { patch, post } from "./api.js";
import { Decide } from "./decide.js";
import { number } from "./format.js";
import { Card, Empty, Labels, State, Time, Trouble, useAnswer } from "./parts.js";

export function Subscribers() {
  const { data, error, again } = useAnswer("/v1/subscribers?limit=100", { every: 15_000 });
  if (!data) return error ? html`<${Trouble} error=${error} again=${again} />` : null;
  return html`
    <h1>Subscribers</h1>
    <${Card}>${data.items.length ? html`<div class="scroll" tabindex="0"><table class="rows">
      <thead><tr><th scope="col">Name</th><th scope="col">State</th><th scope="col">URL</th><th scope="col">Events</th><th scope="col">Labels</th><th scope="col" class="right">Waiting</th><th scope="col" class="right">Dead</th></tr></thead>
      <tbody>${data.items.map((one) => html`<tr key=${one.id}>
        <td><a href=${`#/subscribers/${one.id}`}>${one.name ?? `…${one.id.slice(-8)}`}</a></td>
        <td><${State} of=${one.enabled ? (one.failing_since ? "failing" : "enabled") : "disabled"} /></td>
        <td class="main-cell wrap">${one.url}</td>
        <td class="mono">${one.events.join(", ")}</td>
        <td><${Labels} of=${one.labels} /></td>
        <td class="right number">${number(one.deliveries.waiting)}</td>
        <td class="right number">${number(one.deliveries.dead)}</td>
      </tr>`)}</tbody>
    </table></div>` : html`<${Empty} title="Nobody is told yet"><p>A subscriber receives a webhook for each event, or a message in a chat.</p>
      <pre tabindex="0"><code>scrapehook subscribers add https://example.com/scrapes --name crm --events 'job.*'</code></pre><//>`}<//>`;
}

export function Subscriber({ id, mayWrite }) {
  const path = `/v1/subscribers/${encodeURIComponent(id)}`;
  const { data: one, error, again } = useAnswer(path, { every: 15_000 });
  const [result, setResult] = useState(null);
  if (!one) return error ? html`<${Trouble} error=${error} again=${again} />` : null;
  const isOwn = one.source === "api";
  const test = async () => {
    setResult({ words: "Sending …" });
    setResult(await post(`${path}/test`).then(
      (answer) => ({ isGood: answer.delivered, words: answer.delivered ? `Delivered: HTTP ${answer.status} in ${answer.took_ms} ms.` : `Not delivered: ${answer.reason}` }),
      (refused) => ({ words: refused.message }),
    ));
  };
  return html`
    <div class="head"><h1>${one.name ?? one.id}</h1>
      <${State} of=${one.enabled ? (one.failing_since ? "failing" : "enabled") : "disabled"} />
      ${mayWrite && html`<button type="button" onClick=${test}>Send a test</button>
        ${one.deliveries.dead > 0 && one.enabled && html`<${Decide} name="Send dead ones again" question=${`Send ${number(one.deliveries.dead)} dead webhooks again?`} act=${() => post(`${path}/replay`)} onDone=${again} />`}
        ${isOwn && html`<${Decide} name=${one.enabled ? "Disable" : "Enable"} tone=${one.enabled ? "danger" : ""}
          question=${one.enabled ? "Disable this subscriber?" : "Enable this subscriber?"}
          detail=${one.enabled ? "It is told about nothing until it is enabled again. A replay can make up for it." : "It hears of the events from now on."}
          act=${() => patch(path, { enabled: !one.enabled })} onDone=${again} />`}`}</div>
    ${result && html`<div class=${`notice ${result.isGood ? "calm" : ""}`} role="status"><p class="wrap">${result.words}</p></div>`}
    ${one.disabled_reason && html`<div class="notice bad"><p>Disabled: ${one.disabled_reason}</p><p class="when"><${Time} at=${one.disabled_at} /></p></div>`}
    <${Card}><div class="body small"><p class="wrap">${one.url}</p><p class="faint">${one.format} · ${one.events.join(", ")} · ${isOwn ? "made over the API" : "in the configuration"}</p></div><//>
    <${Deliveries} path=${`${path}/deliveries?limit=100`} />`;
}

function Deliveries({ path }) {
  const { data, error, again } = useAnswer(path);
  if (!data) return error ? html`<${Trouble} error=${error} again=${again} />` : null;
  return html`<${Card} title="Deliveries" aside="newest first">${data.items.length ? html`<div class="scroll" tabindex="0"><table class="rows">
    <thead><tr><th scope="col">Event</th><th scope="col">State</th><th scope="col" class="right">Attempts</th><th scope="col">Last answer</th><th scope="col">Next</th></tr></thead>
    <tbody>${data.items.map((one) => html`<tr key=${one.id}>
      <td class="mono">${one.kind ?? "removed"} <span class="faint">#${one.seq}</span></td>
      <td><${State} of=${one.state} /></td>
      <td class="right number">${one.attempts}</td>
      <td class="wrap">${one.last_answer ? html`<${Time} at=${one.last_answer.at} />: ${one.last_answer.status ? `HTTP ${one.last_answer.status}` : one.last_answer.reason}` : "–"}</td>
      <td><${Time} at=${one.next_attempt_at} /></td>
    </tr>`)}</tbody>
  </table></div>` : html`<${Empty} title="Nothing was sent yet" />`}<//>`;
}
