// What happened to a job or a task, with the source of each fact.

import { html } from "./preact.js";
import { useList } from "./answers.js";
import { Answered, Card, Id, More, Table, Time, To } from "./parts.js";

const SOURCES = {
  callback: "a callback",
  poll: "a poll",
  submit: "the submit",
  operator: "an operator",
  clock: "the time",
};

export function Timeline({ of, id, concerns }) {
  const events = useList("/v1/events", { [of]: id }, { concerns, isFeed: true });
  return html`<${Card} title="Timeline" aside="oldest first"><${Answered} answer=${events}>${(items) => html`
    <${Table} name="Events" rows=${items} keyOf=${(event) => event.seq} columns=${[
      ["Time", (event) => html`<${Time} at=${event.at} />`, "number"],
      ["Event", (event) => event.kind, "mono"],
      ["Known from", (event) => SOURCES[event.source] ?? event.source],
      ["About", (event) => subject(event, of)],
      ["Message", (event) => event.message, "reason faint wrap"],
    ]} />
    <${More} list=${events} />`}<//><//>`;
}

function subject(event, of) {
  if (event.video_id) return html`<${Id} of=${event.video_id} />`;
  return event.task_id && of === "job" ? html`<${To} view="tasks" id=${event.task_id} />` : "";
}
