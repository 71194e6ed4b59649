// Small plots of figures by time. A list of the values stands beside them for those who can't see them.

import { html } from "./preact.js";
import { clockTime, number } from "./format.js";

const HEIGHT = 72;

/** Bars of whole numbers. `spans` have `at`, and `value` gives the number of one. */
export function Bars({ spans, value, unit }) {
  const values = spans.map(value);
  const most = Math.max(1, ...values);
  const sum = values.reduce((all, one) => all + one, 0);
  const width = 100 / spans.length;
  return html`<div>
    <svg class="plot" viewBox=${`0 0 100 ${HEIGHT}`} preserveAspectRatio="none" role="img"
      aria-label=${`${number(sum)} ${unit}, at most ${number(most)} at once`}>
      ${values.map((one, place) => {
        const height = one ? Math.max(2, (one / most) * (HEIGHT - 4)) : 1;
        return html`<rect key=${place} class=${one ? "bar-fill" : "rest"} x=${place * width + width * 0.12} y=${HEIGHT - height}
          width=${width * 0.76} height=${height}><title>${clockTime(spans[place].at)}: ${number(one)} ${unit}</title></rect>`;
      })}
    </svg>
    <${Axis} spans=${spans} />
  </div>`;
}

/** Two lines of seconds, with gaps where nothing was measured. */
export function Lines({ spans, values, names, shown }) {
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
  return html`<div class="axis" aria-hidden="true"><span>${clockTime(spans[0].at)}</span><span>now</span></div>`;
}
