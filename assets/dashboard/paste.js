// The box that people paste into, which marks the lines that the service refuses.

import { html, useEffect, useRef, useState } from "./preact.js";

/** The height of a line in the style sheet, in pixels. */
const LINE = 20;

/** `faulty` are numbers of lines, from 1. Has `name` as a field of its form. */
export function Paste({ name, describedBy, faulty }) {
  const [top, setTop] = useState(0);
  const area = useRef(null);
  useEffect(() => {
    if (faulty.length) showLine(area.current, faulty[0]);
  }, [faulty]);
  return html`<div class="paste">
    <div class="marks" aria-hidden="true"><div style=${{ transform: `translateY(${-top}px)` }}>
      ${faulty.map((line) => html`<span key=${line} style=${{ top: `${(line - 1) * LINE}px` }}>✕</span>`)}
    </div></div>
    <textarea ref=${area} name=${name} rows="10" wrap="off" spellcheck="false" autocomplete="off" aria-label="URLs"
      aria-describedby=${describedBy} aria-invalid=${faulty.length ? "true" : undefined}
      onScroll=${(event) => setTop(event.target.scrollTop)}></textarea>
  </div>`;
}

/** Scrolls a line into view, with the one before it. */
function showLine(area, line) {
  const place = (line - 1) * LINE;
  const isSeen = place >= area.scrollTop && place + LINE <= area.scrollTop + area.clientHeight;
  if (!isSeen) area.scrollTop = Math.max(0, place - LINE);
}

/** Selects a line, so that it can be typed over. */
export function selectLine(area, line) {
  const lines = area.value.split("\n");
  const start = lines.slice(0, line - 1).reduce((length, text) => length + text.length + 1, 0);
  showLine(area, line);
  area.focus({ preventScroll: true });
  area.setSelectionRange(start, start + (lines[line - 1] ?? "").length);
}
