// Videos, found by their id or by any spelling of their URL.

import { html } from "./preact.js";
import { path } from "./api.js";
import { useAnswer, useList } from "./answers.js";
import { Filters } from "./filters.js";
import { Answered, Card, Empty, Id, More, Reason, State, Table, Time, To } from "./parts.js";

const concerns = (event) => event.video_id;

export function Videos({ parameters }) {
  const asked = parameters.get("q")?.trim() ?? "";
  // Ids of upstream have no slash and no dot, and every URL has one of them.
  const isId = asked && !/[/.]/.test(asked);
  return html`
    <div class="head"><h1>Videos</h1>
      <${Filters} view="/videos" of=${{ q: asked }}>
        <input name="q" type="search" size="32" aria-label="Id or URL" placeholder="Video id, or a URL" />
      <//>
    </div>
    ${isId ? html`<${One} id=${asked} />` : html`<${List} url=${asked} />`}`;
}

function One({ id }) {
  const video = useAnswer(path("videos", id), { concerns });
  const isMissing = video.error?.status === 404;
  if (isMissing) return html`<${Card}><${Nothing} asked=${id} /><//>`;
  return html`<${Answered} answer=${video}>${(data) => html`<${Card}><${Rows} of=${[data]} /><//>`}<//>`;
}

function List({ url }) {
  const videos = useList("/v1/videos", { url }, { concerns });
  return html`<${Answered} answer=${videos}>${(items) => html`<${Card}>
    ${items.length ? html`<${Rows} of=${items} />` : html`<${Nothing} asked=${url} />`}
    <${More} list=${videos} /><//>`}<//>`;
}

function Nothing({ asked }) {
  if (!asked) return html`<${Empty} title="No videos yet"><p>A video appears with its first callback or poll.</p><//>`;
  return html`<${Empty} title="No video matches">
    <p>Its URL may still wait or be on its way. A video without a known URL is found by its id only.</p>
    <p><a href=${`#/jobs?${new URLSearchParams({ q: asked })}`}>Look for it in the jobs</a></p><//>`;
}

function Rows({ of }) {
  return html`<${Table} name="Videos" rows=${of} keyOf=${(video) => video.id} columns=${[
    ["Video", (video) => html`<${Id} of=${video.id} isWhole />`],
    ["State", (video) => html`<${State} of=${video.state} /> <${Reason} of=${video.error} />`],
    ["URL", (video) => html`<${Url} of=${video} />`, "main-cell"],
    ["Task", (video) => html`<${To} view="tasks" id=${video.task_id} />`],
    ["First seen", (video) => html`<${Time} at=${video.first_seen_at} />`, "number"],
    ["Indexed", (video) => html`<${Time} at=${video.indexed_at} />`, "number"],
  ]} />`;
}

function Url({ of: { url, attributed } }) {
  if (!url) return html`<span class="faint">not known</span>`;
  return html`<span class="wrap">${url}</span>
    ${!attributed && html` <span class="label" title="Upstream has named no URL for it">not certain</span>`}`;
}
