// Signing in with an API key. The key is sent once, and not kept.

import { html, useEffect, useRef, useState } from "./preact.js";
import { post } from "./api.js";
import { Card } from "./parts.js";

export function SignIn({ onDone }) {
  const [error, setError] = useState(null);
  const [isBusy, setBusy] = useState(false);
  const field = useRef(null);
  useEffect(() => field.current.focus(), []);
  const send = async (event) => {
    event.preventDefault();
    setBusy(true);
    setError(null);
    try {
      await post("/v1/session", { key: field.current.value });
      if (await onDone() === false) setError("The key is right, but the browser did not keep the cookie.");
    } catch (refused) {
      setError(refused.status ? refused.message : "The service does not answer. Try again.");
      field.current.select();
    }
    setBusy(false);
  };
  return html`<main id="content" class="sign-in"><${Card}>
    <form onSubmit=${send}>
      <h1>Sign in to scrapehook</h1>
      <input type="text" name="username" autocomplete="username" value="scrapehook" hidden />
      <label class="field">API key
        <input ref=${field} type="password" name="key" autocomplete="current-password" required spellcheck="false"
          aria-describedby="sign-in-hint" aria-invalid=${error ? "true" : undefined} />
      </label>
      ${error && html`<p class="fault" role="alert">${error}</p>`}
      <button class="primary" disabled=${isBusy}>Sign in</button>
      <p id="sign-in-hint" class="small faint">Keys are in <code>auth.api_keys</code> of the configuration. A key with
        the role <code>read</code> looks and cannot change anything.</p>
    </form>
  <//></main>`;
}
