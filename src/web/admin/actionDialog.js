// Dialogs that say what an action will do, ask for a reason, and send it once.

import { newIdempotencyKey } from '/assets/laurel/rest.js';
import { post } from './api.js';
import { fill, make } from './elements.js';
import { change, number } from './format.js';
import { clearFieldErrors, showError, showFieldErrors, showResult } from './notices.js';

export const MAX_REASON_CHARS = 500;
export const NO_REASON = { field: 'reason', problem: 'Enter a reason.' };
export const NOT_CONFIRMED = { field: 'confirmed', problem: 'Confirm this first.' };

/**
 * Opens the dialog of an action on a player, a period or a board. `effects` are its sentences, `confirmation` is the text of a checkbox,
 * `result` is shown afterwards, and `note` is about this subject. An action that `changesScore` asks for points. `onDone` redraws the view.
 */
export function openActionDialog({ action, subject, note, path, onDone }) {
  let key = newIdempotencyKey();
  const amount = action.changesScore && make('input', { name: 'points', type: 'text', inputmode: 'numeric', autocomplete: 'off', required: true, placeholder: '−50', 'data-first': true });
  const preview = amount && make('output.preview', {}, `${number(subject.score)} → …`);
  const reason = reasonInput({ 'data-first': !amount });
  const confirmed = action.confirmation && confirmationBox();
  const problem = make('div.outlet', { role: 'alert' });
  const submit = make(`button${action.isDanger ? '.danger.solid' : '.primary'}`, {}, action.submit);
  const cancel = make('button', { type: 'button', on: { click: () => dialog.close() } }, 'Cancel');
  const form = make('form', { novalidate: true },
    amount && make('label', {}, 'Points (negative to subtract)', amount), preview,
    make('label', {}, 'Reason, for the audit log', reason),
    confirmed && make('label.check', {}, confirmed, action.confirmation(subject)),
    problem, make('div.buttons', {}, cancel, submit));
  const dialog = makeDialog(action.title(subject),
    [action.effects(subject).map((sentence) => make('p', {}, sentence)), note && make('p.note', {}, note)], form);

  if (amount) amount.addEventListener('input', () => {
    const by = wholeNumber(amount.value);
    fill(preview, [by === null ? `${number(subject.score)} → …` : `${number(subject.score)} → ${number(subject.score + by)} (${change(by)})`]);
  });
  sendOnSubmit({ dialog, form, problem, buttons: [submit, cancel], read, send });

  async function send(body) {
    try {
      const outcome = await post(path, body, key);
      const wasOpen = dialog.open;
      dialog.close();
      showResult(action.result(subject, outcome));
      await onDone();
      // The button that had the focus may be gone.
      if (wasOpen) document.querySelector('main h1')?.focus({ preventScroll: true });
    } catch (error) {
      if (dialog.open) fail(error);
      // The admin has left the view.
      else showResult(`${action.title(subject)}: ${error.message}${error.isUnsure ? ' It may have been done.' : ''}`);
    }
  }

  function read() {
    const by = amount && wholeNumber(amount.value);
    const problems = [];
    if (amount && !by) problems.push({ field: 'points', problem: 'Enter a whole number other than 0.' });
    if (!reason.value.trim()) problems.push(NO_REASON);
    if (confirmed && !confirmed.checked) problems.push(NOT_CONFIRMED);
    return showProblems(form, problems) ? null : { ...(amount ? { points: by } : {}), reason: reason.value.trim() };
  }

  function fail(error) {
    // The API repeats a rejection under its key, so the next attempt needs another key.
    if (error.status === 400) key = newIdempotencyKey();
    if (showFieldErrors(form, error)) return;
    showError(problem, error);
    if (error.code === 'IDEMPOTENCY_MISMATCH') {
      problem.append(make('p', {}, 'This was already done with another reason or amount. Close this and check the history.'));
    } else if (error.isUnsure) {
      // Only the same request with the same key counts once, whether it was done or not.
      for (const input of [amount, reason]) if (input) input.readOnly = true;
      problem.append(make('p', {}, 'It may have been done. You can safely try again: it counts once.'));
      submit.textContent = 'Try again';
    }
    if (error.status === 400) onDone();
  }

  show(dialog);
}

export function reasonInput(more) {
  return make('input', { name: 'reason', maxlength: MAX_REASON_CHARS, autocomplete: 'off', required: true, ...more });
}

export function confirmationBox() {
  return make('input', { type: 'checkbox', name: 'confirmed' });
}

export function makeDialog(title, effects, form) {
  return make('dialog.card.action-dialog', { 'aria-labelledby': 'dialog-title', 'aria-describedby': 'dialog-effects' },
    make('h2', { id: 'dialog-title' }, title), make('div', { id: 'dialog-effects' }, effects), form);
}

export function show(dialog) {
  document.body.append(dialog);
  dialog.showModal();
  dialog.querySelector('[data-first]').focus();
}

/** Shows problems at their fields. Returns true if there are any. */
export function showProblems(form, problems) {
  if (problems.length) showFieldErrors(form, { fields: problems });
  else clearFieldErrors(form);
  return problems.length > 0;
}

/**
 * Calls `send` with the result of `read` on each submit, unless `read` returns null. While it sends, the dialog cannot be submitted again or
 * closed. A closed dialog is removed from the page.
 */
export function sendOnSubmit({ dialog, form, problem, buttons, read, send }) {
  let isSending = false;
  dialog.addEventListener('cancel', (event) => { if (isSending) event.preventDefault(); });
  dialog.addEventListener('close', () => dialog.remove());
  form.addEventListener('submit', async (event) => {
    event.preventDefault();
    if (isSending) return;
    const body = read();
    if (!body) return;
    isSending = true;
    for (const button of buttons) button.disabled = true;
    form.setAttribute('aria-busy', 'true');
    problem.replaceChildren();
    try {
      await send(body);
    } finally {
      isSending = false;
      for (const button of buttons) button.disabled = false;
      form.removeAttribute('aria-busy');
    }
  });
}

/** A safe integer, or null. Accepts every kind of minus, and separators of thousands only: "-1,5" is not -15. */
function wholeNumber(text) {
  const plain = text.trim().replace(/^[−–]/, '-');
  const value = /^[+-]?(\d+|\d{1,3}([\s,_]\d{3})+)$/.test(plain) ? Number(plain.replace(/[\s,_]/g, '')) : NaN;
  return Number.isSafeInteger(value) ? value : null;
}
