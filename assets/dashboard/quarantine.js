// The quarantine: callbacks without a good token.

import { html } from "./preact.js";
import { useList } from "./answers.js";
import { number } from "./format.js";
import { Answered, Card, Empty, Id, More, Time } from "./parts.js";
import { Raw } from "./raw.js";

export function Quarantine() {
  const hints = useList("/v1/quarantine", {}, { concerns: (event) => event.kind === "callback.hint" });
  return html`
    <h1>Quarantine</h1>
    <p class="faint">Callbacks without a good token prove nothing, because anybody can send them. scrapehook asks
      upstream about the task that they name.</p>
    <${Answered} answer=${hints}>${(items) => html`<${Card}>
      ${items.length ? items.map((hint) => html`<${Hint} key=${hint.id} of=${hint} />`)
        : html`<${Empty} title="Nothing is in quarantine"><p>Every callback so far had a good token.</p><//>`}
      <${More} list=${hints} /><//>`}<//>`;
}

function Hint({ of: { last_received_at: at, upstream_id: claimed, deliveries, body } }) {
  const claim = claimed ? html`claims the task <${Id} of=${claimed} />` : "names no task";
  return html`<div class="body">
    <p class="small"><${Time} at=${at} /> · ${claim}
      ${deliveries > 1 && ` · arrived ${number(deliveries)} times`}</p>
    <${Raw} of=${body} />
  </div>`;
}
