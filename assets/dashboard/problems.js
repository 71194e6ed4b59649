// What is wrong, since when, and where to do something about it.

import { html } from "./preact.js";
import { Time, Words } from "./parts.js";

/** The view in which something can be done about a problem, and its name. */
const PLACES = {
  sending_paused: ["/queue", "Go to the queue"],
  may_be_charged_again: ["/queue", "Go to the queue"],
  budget_spent: ["/queue", "Go to the queue"],
  unconfirmed: ["/tasks?state=unconfirmed", "Show the unconfirmed tasks"],
  stalled: ["/tasks?state=stalled", "Show the stalled tasks"],
  silence: ["/tasks?state=accepted", "Show the tasks that wait"],
  quarantined: ["/quarantine", "Show the quarantine"],
  subscriber_disabled: ["/subscribers", "Show the subscribers"],
};

export function Problems({ of }) {
  if (!of.length) return html`<div class="notice calm"><p>No problems.</p></div>`;
  return html`<section aria-label="Problems" class="stack">${of.map(
    (problem) => html`<${Problem} key=${`${problem.code} ${problem.detail}`} of=${problem} />`,
  )}</section>`;
}

/** `view` is the path of the view that shows the problem, which needs no link to itself. */
export function Problem({ of: { code, detail, action, since }, view }) {
  const [place, name] = PLACES[code] ?? [];
  return html`<div class="notice">
    <h2><${Words} of=${detail} /></h2>
    <p><${Words} of=${action} /></p>
    <p class="when">${since && html`Began <${Time} at=${since} /> · `}<code>${code}</code>
      ${place && place !== view && html` · <a href=${`#${place}`}>${name}</a>`}</p>
  </div>`;
}
