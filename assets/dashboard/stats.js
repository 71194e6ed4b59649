// Plots of the last hour or day. Each says in words what it shows, for those who can't see it.

import { html, useState } from "./preact.js";
import { useAnswer } from "./answers.js";
import { clockTime, count, duration, number } from "./format.js";
import { Card, Trouble } from "./parts.js";

const WINDOWS = ["1h", "24h"];
/** The height of a plot in the style sheet, in pixels. */
const HEIGHT = 72;

export function Stats() {
  const [range, setRange] = useState("1h");
  const { data, error } = useAnswer(`/v1/stats?window=${range}`, { every: 30_000, concerns: () => false });
  const choice = html`<span role="group" aria-label="Time of the plots">${WINDOWS.map(
    (one) => html`<button key=${one} type="button" class="choice" aria-pressed=${range === one ? "true" : "false"}
      onClick=${() => setRange(one)}>${one}</button>`,
  )}</span>`;
  const spans = data?.spans ?? [];
  const all = (figure) => spans.reduce((sum, span) => sum + span[figure], 0);
  // Nothing is known until there is an answer.
  const words = !data ? {} : {
    callbacks: number(all("callbacks")),
    urls: `${count(all("urls_sent"), "URL")} sent, ${number(all("urls_indexed"))} indexed`,
    delay: delay(spans.findLast((one) => one.median_seconds !== null)),
  };
  // The cards keep their place while the figures are on their way.
  return html`
    ${error && html`<${Trouble} error=${error} />`}
    <${Plot} title="Callbacks" aside=${choice} words=${words.callbacks}>
      <${Bars} spans=${spans} value=${(span) => span.callbacks} unit="callbacks" /><//>
    <${Plot} title="URLs" aside="indexed" words=${words.urls}>
      <${Bars} spans=${spans} value=${(span) => span.urls_indexed} unit="URLs" /><//>
    <${Plot} title="Time until indexed" aside="median, and 95 % (dashed)" words=${words.delay}>
      <${Lines} spans=${spans} values=${[(span) => span.median_seconds, (span) => span.p95_seconds]}
        names=${["Median", "95th percentile"]} shown=${duration} /><//>`;
}

function delay(latest) {
  if (!latest) return "Nothing was indexed.";
  return `${duration(latest.median_seconds)}, ${duration(latest.p95_seconds)} for 95 %`;
}

function Plot({ title, aside, words, children }) {
  return html`<${Card} title=${title} aside=${aside} className="third"><div class="body">
    <p class="small number">${words ?? "…"}</p>${children}</div><//>`;
}

/** Bars of whole numbers. `spans` have `at`, and `value` gives the number of one. */
function Bars({ spans, value, unit }) {
  const values = spans.map(value);
  const most = Math.max(1, ...values);
  const sum = values.reduce((all, one) => all + one, 0);
  const width = 100 / spans.length;
  return html`<div>
    <svg class="plot" viewBox=${`0 0 100 ${HEIGHT}`} preserveAspectRatio="none" role="img"
      aria-label=${`${number(sum)} ${unit}, at most ${number(most)} at once`}>
      ${values.map((one, place) => {
        const height = one ? Math.max(2, (one / most) * (HEIGHT - 4)) : 1;
        const words = `${clockTime(spans[place].at)}: ${number(one)} ${unit}`;
        return html`<rect key=${place} class=${one ? "bar-fill" : "rest"} x=${place * width + width * 0.12}
          y=${HEIGHT - height} width=${width * 0.76} height=${height}><title>${words}</title></rect>`;
      })}
    </svg>
    <${Axis} spans=${spans} />
  </div>`;
}

/** Two lines of seconds, with gaps where nothing was measured. */
function Lines({ spans, values, names, shown }) {
  const most = Math.max(...values.flatMap((value) => spans.map((span) => value(span) ?? 0)), 0.1);
  const path = (value) => {
    let isOn = false;
    return spans.map((span, place) => {
      const one = value(span);
      if (one === null) {
        isOn = false;
        return "";
      }
      const point = `${((place + 0.5) * 100) / spans.length} ${HEIGHT - (one / most) * (HEIGHT - 4)}`;
      const step = isOn ? `L${point}` : `M${point}h0.01`;
      isOn = true;
      return step;
    }).join("");
  };
  return html`<div>
    <svg class="plot" viewBox=${`0 0 100 ${HEIGHT}`} preserveAspectRatio="none" role="img"
      aria-label=${`${names.join(" and ")}, at most ${shown(most)}`}>
      ${values.map((value, place) => html`<path key=${place} class=${place ? "second" : ""} d=${path(value)} />`)}
    </svg>
    <${Axis} spans=${spans} />
  </div>`;
}

function Axis({ spans }) {
  const first = spans.length ? clockTime(spans[0].at) : "";
  return html`<div class="axis" aria-hidden="true"><span>${first}</span><span>now</span></div>`;
}
