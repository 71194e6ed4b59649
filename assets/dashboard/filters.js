// Filters of lists.

import { html } from "./preact.js";
import { go } from "./route.js";

/**
 * A form of filters that are kept in the address. It goes to `view` with their values, at once for a choice and on
 * submit for a text.
 */
export function Filters({ view, of, children }) {
  const apply = (form) => {
    const given = [...new FormData(form)].map(([name, value]) => [name, value.trim()]);
    go(view, { ...of, ...Object.fromEntries(given) });
  };
  return html`<form class="filters" role="search"
    onChange=${(event) => event.target.tagName === "SELECT" && apply(event.currentTarget)}
    onSubmit=${(event) => { event.preventDefault(); apply(event.currentTarget); }}>
    ${children}<button>Search</button>
  </form>`;
}

/** A choice of one word, or of all. `choose` gets the word, or an empty text. */
export function Choice({ label, name, value, words, all = "Every state", choose }) {
  const change = choose && ((event) => choose(event.target.value));
  return html`<select aria-label=${label} name=${name} value=${value ?? ""} onChange=${change}>
    <option value="">${all}</option>
    ${words.map((word) => html`<option key=${word} value=${word}>${word}</option>`)}
  </select>`;
}
