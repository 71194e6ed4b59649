// Decisions of an operator: a button, a question that says what it may cost, and what came of it.

import { html, useEffect, useRef, useState } from "./preact.js";
import { Refused, path, post } from "./api.js";

const UNANSWERED = "The service does not answer. Nobody knows whether it was done, so look before you try again.";

/**
 * A button that asks a `question` before it calls `act`. `field` is what somebody has to type, and `act` gets it.
 * `onDone` gets what `act` has returned.
 */
export function Decide({ name, question, detail, confirm = name, tone = "", field, act, onDone }) {
  const [isOpen, setOpen] = useState(false);
  return html`<button type="button" class=${tone} onClick=${() => setOpen(true)}>${name}</button>
    ${isOpen && html`<${Question} ...${{ question, detail, confirm, tone, field, act, onDone }}
      close=${() => setOpen(false)} />`}`;
}

/** The question of a decision. It is asked at once, and `close` is called once it is answered. */
export function Question({ question, detail, confirm, tone = "", field, act, onDone, close }) {
  const [error, setError] = useState(null);
  const [isBusy, setBusy] = useState(false);
  const dialog = useRef(null);
  useEffect(() => dialog.current.showModal(), []);
  const send = async (event) => {
    event.preventDefault();
    const given = field && event.target.elements.field.value.trim();
    setBusy(true);
    setError(null);
    try {
      const done = await act(given);
      dialog.current.close();
      onDone?.(done);
    } catch (refused) {
      setError(refused instanceof Refused ? refused.inFull : UNANSWERED);
      setBusy(false);
    }
  };
  return html`<dialog ref=${dialog} aria-labelledby="question" onClose=${close}><form onSubmit=${send}>
    <h2 id="question">${question}</h2>
    ${detail && html`<p class="small">${detail}</p>`}
    ${field && html`<label class="field">${field}
      <input name="field" required autocomplete="off" spellcheck="false" /></label>`}
    ${error && html`<p class="fault" role="alert">${error}</p>`}
    <div class="answers">
      <button type="button" onClick=${() => dialog.current.close()}>Back</button>
      <button class=${tone || "primary"} disabled=${isBusy}>${confirm}</button>
    </div>
  </form></dialog>`;
}

/** Stops sending, or continues it. The view hears of the change by its event. */
export function Sending({ isPaused }) {
  return isPaused
    ? html`<${Decide} name="Resume sending" tone="primary" act=${() => post(path("resume"))} question="Resume sending?"
        detail="This lifts every pause, whatever its reason. Waiting URLs are sent, and charged." />`
    : html`<${Decide} name="Pause sending" act=${() => post(path("pause"))} question="Pause sending?"
        detail="No URL is sent until somebody resumes. Requests that are on their way go on, and polls continue." />`;
}
