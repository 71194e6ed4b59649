// Filters of lists.

import { html, useLayoutEffect, useRef } from "./preact.js";
import { go } from "./route.js";

/**
 * A form of filters that are kept in the address, `of` which these are the values. It goes to `view` with new ones, at
 * once for a choice and on submit for a text. Its fields have no value of their own, because lists are drawn again
 * while somebody types.
 */
export function Filters({ view, of, children }) {
  const form = useRef(null);
  useLayoutEffect(() => {
    for (const [name, value] of Object.entries(of)) form.current.elements[name].value = value ?? "";
  }, [JSON.stringify(of)]);
  const apply = () => {
    const given = [...new FormData(form.current)].map(([name, value]) => [name, value.trim()]);
    go(view, Object.fromEntries(given));
  };
  const submit = (event) => {
    event.preventDefault();
    apply();
  };
  return html`<form ref=${form} class="filters" role="search" onSubmit=${submit}
    onChange=${(event) => event.target.tagName === "SELECT" && apply()}>
    ${children}<button>Search</button>
  </form>`;
}

/** A choice of one word, or of all. `choose` gets the word, or an empty text. */
export function Choice({ label, name, value, words, all = "Every state", choose }) {
  const change = choose && ((event) => choose(event.target.value));
  return html`<select aria-label=${label} name=${name} value=${value} onChange=${change}>
    <option value="">${all}</option>
    ${words.map((word) => html`<option key=${word} value=${word}>${word}</option>`)}
  </select>`;
}
