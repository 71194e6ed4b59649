// Decisions of an operator: a button, a question that says what it may cost, and what came of it.

import { html, useEffect, useRef, useState } from "./preact.js";
import { Refused } from "./api.js";

/** A button that asks before it calls `act`. With `question` null it acts at once. */
export function Decide({ name, question, detail, confirm = name, tone = "", act, onDone, disabled = false }) {
  const [isOpen, setOpen] = useState(false);
  const [error, setError] = useState(null);
  const [isBusy, setBusy] = useState(false);
  const dialog = useRef(null);
  useEffect(() => {
    if (isOpen) dialog.current.showModal();
  }, [isOpen]);
  const close = () => {
    dialog.current?.close();
    setOpen(false);
    setError(null);
  };
  const send = async () => {
    setBusy(true);
    setError(null);
    try {
      await act();
      close();
      onDone?.();
    } catch (refused) {
      setError(refused instanceof Refused ? refused.message : "The service does not answer. Nobody knows whether it was done, so look before you try again.");
    }
    setBusy(false);
  };
  return html`<button type="button" class=${tone} disabled=${disabled} onClick=${() => setOpen(true)}>${name}</button>
    ${isOpen && html`<dialog ref=${dialog} aria-labelledby="question" onClose=${() => setOpen(false)}>
      <h2 id="question">${question}</h2>
      ${detail && html`<p class="small">${detail}</p>`}
      ${error && html`<p class="fault" role="alert">${error}</p>`}
      <div class="answers">
        <button type="button" onClick=${close}>Back</button>
        <button type="button" class=${tone || "primary"} disabled=${isBusy} onClick=${send}>${confirm}</button>
      </div>
    </dialog>`}`;
}
