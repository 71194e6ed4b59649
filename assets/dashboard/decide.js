// Decisions of an operator: a question that says what it may cost, and what came of it.

import { html, useEffect, useLayoutEffect, useRef, useState } from "./preact.js";
import { Refused, path, post } from "./api.js";

const UNANSWERED = "There was no answer, so nobody knows whether it was done. Look before you try again.";

let show = () => {};

/**
 * Asks a `question` before it calls `act`. `field` is what somebody has to type, and `act` gets it. `onDone` gets what
 * `act` has returned. What is asked stays as it was asked, whatever changes below it.
 */
export function ask({ question, detail, confirm, tone = "", field, act, onDone }) {
  show({ question, detail, confirm, tone, field, act, onDone });
}

/** A button that asks. */
export function Decide({ name, confirm = name, tone = "", ...asked }) {
  return html`<button type="button" class=${tone} onClick=${() => ask({ confirm, tone, ...asked })}>${name}</button>`;
}

/** The place of the question that is open. */
export function Questions() {
  const [asked, setAsked] = useState(null);
  useLayoutEffect(() => {
    show = setAsked;
    return () => {
      show = () => {};
    };
  }, []);
  return asked && html`<${Question} ...${asked} close=${() => setAsked(null)} />`;
}

function Question({ question, detail, confirm, tone, field, act, onDone, close }) {
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
      dialog.current?.close();
      onDone?.(done);
    } catch (refused) {
      setError(refused instanceof Refused && refused.isCertain ? refused.inFull : UNANSWERED);
      setBusy(false);
    }
  };
  // A question that was answered can't be taken back.
  const cancel = (event) => isBusy && event.preventDefault();
  return html`<dialog ref=${dialog} aria-labelledby="question" onCancel=${cancel} onClose=${close}>
    <form onSubmit=${send}>
    <h2 id="question">${question}</h2>
    ${detail && html`<p class="small">${detail}</p>`}
    ${field && html`<label class="field">${field}
      <input name="field" required autocomplete="off" spellcheck="false" /></label>`}
    ${error && html`<p class="fault" role="alert">${error}</p>`}
    <div class="answers">
      <button type="button" disabled=${isBusy} onClick=${() => dialog.current.close()}>Back</button>
      <button class=${tone || "primary"} disabled=${isBusy}>${confirm}</button>
    </div>
  </form></dialog>`;
}

/** Stops sending, or continues it. `pauses` are those in force. The view hears of the change by its event. */
export function Sending({ pauses }) {
  return html`
    ${pauses.length > 0 && html`<${Decide} name="Resume sending" act=${() => post(path("resume"))}
      question="Resume sending?"
      detail="This lifts every pause, whatever its reason. Waiting URLs are sent, and may be charged." />`}
    ${!pauses.some((pause) => pause.scope === "operator") && html`<${Decide} name="Pause sending"
      act=${() => post(path("pause"))} question="Pause sending?"
      detail="No URL is sent until somebody resumes. Requests that are on their way go on, and polls continue." />`}`;
}
