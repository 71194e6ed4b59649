// Subscribers: who is told about events, and what came of it.

import { html, useState } from "./preact.js";
import { patch, path, post } from "./api.js";
import { useAnswer, useList } from "./answers.js";
import { Decide } from "./decide.js";
import { Choice } from "./filters.js";
import { number } from "./format.js";
import { Answered, Card, Empty, Labels, More, State, Table, Time, To } from "./parts.js";

const STATES = ["waiting", "delivered", "dead"];
const ADD = "scrapehook subscribers add https://example.com/scrapes --name crm --events 'job.*'";

const stateOf = (one) => (!one.enabled ? "disabled" : one.failing_since ? "failing" : "enabled");

export function Subscribers() {
  const concerns = (event) => event.kind.startsWith("subscriber.");
  const subscribers = useList("/v1/subscribers", {}, { every: 15_000, concerns });
  return html`<h1>Subscribers</h1>
    <${Answered} answer=${subscribers}>${(items) => html`<${Card}>${items.length ? html`
      <${Table} name="Subscribers" rows=${items} keyOf=${(one) => one.id} columns=${[
        ["Name", (one) => html`<${To} view="subscribers" id=${one.id}>${one.name}<//>`],
        ["State", (one) => html`<${State} of=${stateOf(one)} />`],
        ["URL", (one) => html`<span class="wrap">${one.url}</span>`, "main-cell"],
        ["Events", (one) => one.events.join(", "), "mono"],
        ["Labels", (one) => html`<${Labels} of=${one.labels} />`, "nowrap"],
        ["Waiting", (one) => number(one.deliveries.waiting), "right number"],
        ["Dead", (one) => number(one.deliveries.dead), "right number"],
      ]} />`
      : html`<${Empty} title="Nobody is told yet">
          <p>A subscriber receives a webhook for each event, or a message in a chat.</p>
          <pre tabindex="0"><code>${ADD}</code></pre><//>`}
      <${More} list=${subscribers} /><//>`}<//>`;
}

export function Subscriber({ id, mayWrite }) {
  const subscriber = useAnswer(path("subscribers", id), { every: 15_000 });
  return html`<${Answered} answer=${subscriber} title="Subscriber">${(one) => html`
    <div class="head"><h1 class="wrap">${one.name ?? one.id}</h1><${State} of=${stateOf(one)} />
      ${mayWrite && html`<${Decisions} of=${one} again=${subscriber.again} />`}</div>
    ${one.disabled_reason && html`<div class="notice bad"><p class="wrap">Disabled: ${one.disabled_reason}</p>
      <p class="when"><${Time} at=${one.disabled_at} /></p></div>`}
    <${Card}><div class="body small"><p class="wrap">${one.url}</p>
      <p class="faint">${one.format} · ${one.events.join(", ")} ·
        ${one.source === "api" ? " made over the API" : " in the configuration"}</p>
    </div><//>
    <${Deliveries} id=${one.id} />`}<//>`;
}

function Decisions({ of: one, again }) {
  const toggle = one.enabled ? "Disable" : "Enable";
  return html`<${Test} id=${one.id} />
    ${one.deliveries.dead > 0 && one.enabled && html`<${Decide} name="Send dead ones again"
      question=${`Send ${number(one.deliveries.dead)} dead webhooks again?`}
      act=${() => post(path("subscribers", one.id, "replay"))} onDone=${again} />`}
    ${one.source === "api" && html`<${Decide} name=${toggle} tone=${one.enabled ? "danger" : ""}
      question=${`${toggle} this subscriber?`}
      detail=${one.enabled ? "It is told about nothing until it is enabled again. A replay can make up for it."
        : "It hears of the events from now on."}
      act=${() => patch(path("subscribers", one.id), { enabled: !one.enabled })} onDone=${again} />`}`;
}

/** Sends a test message and says what came of it. */
function Test({ id }) {
  const [result, setResult] = useState(null);
  const test = async () => {
    setResult({ tone: "", words: "Sending …" });
    const refused = (error) => ({ tone: "bad", words: error.message });
    setResult(await post(path("subscribers", id, "test")).then(outcome, refused));
  };
  return html`<button type="button" onClick=${test}>Send a test</button>
    <span role="status" class=${`outcome wrap ${result?.tone ?? ""}`}>${result?.words}</span>`;
}

function outcome({ delivered, status, took_ms: took, reason }) {
  if (delivered) return { tone: "good", words: `Delivered: HTTP ${status} in ${number(took)} ms` };
  return { tone: "bad", words: `Not delivered: ${reason}` };
}

function Deliveries({ id }) {
  const [state, setState] = useState("");
  const deliveries = useList(path("subscribers", id, "deliveries"), { state }, { every: 15_000 });
  const filter = html`<${Choice} label="State of the deliveries" value=${state} words=${STATES} choose=${setState} />`;
  const title = "Deliveries, newest first";
  return html`<${Card} title=${title} aside=${filter}><${Answered} answer=${deliveries}>${(items) => html`
    ${items.length ? html`<${Table} name="Deliveries" rows=${items} keyOf=${(one) => one.id} columns=${[
      ["Event", (one) => html`${one.kind ?? "removed"} <span class="faint">#${one.seq}</span>`, "mono"],
      ["State", (one) => html`<${State} of=${one.state} />`],
      ["Attempts", (one) => number(one.attempts), "right number"],
      ["Last answer", (one) => html`<${LastAnswer} of=${one.last_answer} />`, "reason"],
      ["Next", (one) => html`<${Time} at=${one.next_attempt_at} />`, "number"],
    ]} />` : html`<${Empty} title=${state ? `No delivery is ${state}` : "Nothing was sent yet"} />`}
    <${More} list=${deliveries} />`}<//><//>`;
}

function LastAnswer({ of }) {
  if (!of) return "–";
  return html`<span class="wrap"><${Time} at=${of.at} />: ${of.status ? `HTTP ${of.status}` : of.reason}</span>`;
}
