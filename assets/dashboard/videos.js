// Videos, found by their id or by any spelling of their URL.

import { html } from "./preact.js";
import { query } from "./api.js";
import { Card, Empty, Id, State, Time, Trouble, useAnswer } from "./parts.js";
import { go } from "./route.js";

export function Videos({ parameters }) {
  const asked = parameters.get("q")?.trim() ?? "";
  // Ids of upstream have no slash and no dot, and every URL has one of them.
  const isUrl = /[/.]/.test(asked);
  const path = asked && !isUrl ? `/v1/videos/${encodeURIComponent(asked)}` : query("/v1/videos", { url: asked, limit: 50 });
  const { data, error, again } = useAnswer(path, { concerns: (event) => event.video_id });
  const isMissing = error?.status === 404;
  const videos = isMissing ? [] : data && (data.items ?? [data]);
  const search = (event) => {
    event.preventDefault();
    go("/videos", { q: event.target.q.value.trim() });
  };
  return html`
    <div class="head"><h1>Videos</h1>
      <form class="filters" role="search" onSubmit=${search}>
        <input name="q" type="search" size="32" aria-label="Id or URL" placeholder="Video id, or a URL" value=${asked} />
        <button>Search</button>
      </form>
    </div>
    ${error && !isMissing && html`<${Trouble} error=${error} again=${again} />`}
    ${videos && html`<${Card}>${videos.length ? html`<${Rows} videos=${videos} />` : html`<${Empty} title=${asked ? "No video matches" : "No videos yet"}>
      <p>${asked ? "Every spelling of a URL finds the same video. A video without a known URL is found by its id only." : "A video appears with its first callback or poll."}</p><//>`}<//>`}`;
}

function Rows({ videos }) {
  return html`<div class="scroll" tabindex="0"><table class="rows">
    <thead><tr><th scope="col">Video</th><th scope="col">State</th><th scope="col">URL</th><th scope="col">Task</th><th scope="col">First seen</th><th scope="col">Indexed</th></tr></thead>
    <tbody>${videos.map((video) => html`<tr key=${video.id}>
      <td><${Id} of=${video.id} short=${false} /></td>
      <td><${State} of=${video.state} /></td>
      <td class="main-cell wrap">${video.url ?? html`<span class="faint">not known</span>`}${!video.attributed && video.url && html` <span class="label" title="Upstream has not said that the video is of this URL">not certain</span>`}</td>
      <td><a class="mono" href=${`#/tasks/${video.task_id}`}>…${video.task_id.slice(-8)}</a></td>
      <td><${Time} at=${video.first_seen_at} /></td>
      <td><${Time} at=${video.indexed_at} /></td>
    </tr>`)}</tbody>
  </table></div>`;
}
