// A body as it arrived, indented if it is JSON. Must never change a character of it but white space.

import { html, useMemo } from "./preact.js";

/** The most characters of a body that are shown. Browsers would need seconds for the longest ones. */
const MOST = 20_000;
/** Deeper levels are not indented further. */
const DEEPEST = 20;
/** A string, a mark, or anything else up to the next one. Numbers stay as they are, however long. */
const TOKENS = /"(?:[^"\\]|\\.)*"|[{}[\],:]|[^\s{}[\],:"]+/g;

export function Raw({ of }) {
  const text = useMemo(() => of && indented(of), [of]);
  if (of === null) return html`<p class="small faint">The body was removed after <code>retention.after</code>.</p>`;
  return html`<pre class="raw" tabindex="0"><code>${text.slice(0, MOST)}</code></pre>
    ${text.length > MOST && html`<p class="small faint">The rest is left out here. The API has it.</p>`}`;
}

function indented(text) {
  try {
    JSON.parse(text);
  } catch {
    return text;
  }
  let depth = 0;
  let before = "";
  let shown = "";
  const line = () => `\n${"  ".repeat(Math.min(depth, DEEPEST))}`;
  for (const [token] of text.matchAll(TOKENS)) {
    const isEnd = token === "}" || token === "]";
    const isFirst = before === "{" || before === "[";
    if (isEnd) depth -= 1;
    if (isEnd ? !isFirst : isFirst || before === ",") shown += line();
    shown += token === ":" ? ": " : token;
    if (token === "{" || token === "[") depth += 1;
    before = token;
  }
  return shown;
}
