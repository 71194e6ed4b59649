// What happened to a job or a task, with the source of each fact.

import { html, useState } from "./preact.js";
import { get, query } from "./api.js";
import { Card, Id, Time, Trouble, useAnswer } from "./parts.js";

const SOURCES = {
  callback: "a callback", poll: "a poll", submit: "the answer to the submit", operator: "an operator", clock: "the time",
};

export function Timeline({ of, id, concerns }) {
  const path = query("/v1/events", { [of]: id, limit: 200 });
  const { data, error, again } = useAnswer(path, { concerns });
  const [more, setMore] = useState({ id, items: [], next: null });
  if (!data) return error ? html`<${Trouble} error=${error} again=${again} />` : null;
  const rest = more.id === id ? more.items : [];
  const next = more.id === id && more.next ? more.next : data.next;
  const isFull = (more.id === id && more.next ? more.isFull : data.items.length === 200) ?? false;
  const load = async () => {
    const page = await get(query(path, { after: next }));
    setMore({ id, items: [...rest, ...page.items], next: page.next, isFull: page.items.length === 200 });
  };
  const last = rest.at(-1)?.seq ?? 0;
  const events = [...data.items, ...rest.filter((event) => event.seq > (data.items.at(-1)?.seq ?? 0) && event.seq <= last)];
  return html`<${Card} title="Timeline"><div class="scroll" tabindex="0"><table class="rows">
    <thead><tr><th scope="col">Time</th><th scope="col">Event</th><th scope="col">Known from</th><th scope="col">About</th><th scope="col">Message</th></tr></thead>
    <tbody>${events.map((event) => html`<tr key=${event.seq}>
      <td class="number"><${Time} at=${event.at} /></td>
      <td class="mono">${event.kind}</td>
      <td>${SOURCES[event.source] ?? event.source}</td>
      <td>${event.video_id ? html`<${Id} of=${event.video_id} />`
        : event.task_id && of === "job" ? html`<a class="mono" href=${`#/tasks/${event.task_id}`}>…${event.task_id.slice(-8)}</a>` : ""}</td>
      <td class="faint">${event.message}</td>
    </tr>`)}</tbody>
  </table></div>
  ${isFull && html`<div class="body"><button type="button" onClick=${load}>Show more</button></div>`}<//>`;
}
