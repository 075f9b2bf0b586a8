// What an admin can do to players, each with a dialog that says what will happen and asks for a reason.

import { newIdempotencyKey } from '/assets/laurel/rest.js';
import { get, ownName, post } from './api.js';
import { fill, make } from './elements.js';
import { change, counted, number, points } from './format.js';
import { clearFieldErrors, showError, showFieldErrors, showResult } from './notices.js';

export const MAX_REASON_CHARS = 500;
const NO_REASON = { field: 'reason', problem: 'Enter a reason.' };
const NOT_CONFIRMED = { field: 'confirmed', problem: 'Confirm this first.' };

/**
 * The actions by their path in the API. `isAvailable` says if the user's state allows it, `effects` are the sentences of the dialog,
 * `confirmation` is the text of a checkbox, `result` is shown afterwards.
 */
const ACTIONS = {
  adjust: {
    label: 'Adjust', title: (user) => `Adjust the score of ${user.username}`, submit: 'Adjust', isAvailable: (user) => !user.quarantined,
    effects: () => ['Adds a ledger entry with your name and the reason. Every board shows the new score within a second.'],
    result: (user, outcome) => `${user.username} now has ${points(outcome.newScore)} (before: ${number(outcome.scoreBefore)}).`,
  },
  quarantine: {
    label: 'Quarantine', title: (user) => `Quarantine ${user.username}`, submit: 'Quarantine', isAvailable: (user) => !user.quarantined,
    effects: (user) => [`${user.username} can keep playing, but new points are held. Others still see ${user.banned ? 'nothing' : points(user.shown)}.`, 'Approve or void the held points later.'],
    result: (user) => `${user.username} is quarantined.`,
  },
  approve: {
    label: 'Approve', title: (user) => `Approve the held points of ${user.username}`, submit: 'Approve', isAvailable: (user) => user.quarantined,
    effects: (user) => [user.banned ? 'The held points count once the ban is lifted.' : `Adds the ${points(held(user))} held so far to the public score: ${number(user.shown)} becomes ${number(user.score)}.`, 'Ends the quarantine.'],
    result: (user) => `The held points of ${user.username} are approved.`,
  },
  void: {
    label: 'Void', isDanger: true, title: (user) => `Void the held points of ${user.username}`, submit: 'Void points', isAvailable: (user) => user.quarantined,
    effects: (user) => [user.banned ? 'Removes the held points.' : `Removes the ${points(held(user))} held so far, and any earned before you confirm. New score: ${number(user.shown)}.`, 'Ends the quarantine. Only an adjustment can bring the points back.'],
    confirmation: (user) => `Yes, void the held points of ${user.username}`,
    result: (user, outcome) => (outcome.newScore === null ? `${user.username} had no held points.` : `${user.username} now has ${points(outcome.newScore)} (before: ${number(outcome.scoreBefore)}).`),
  },
  ban: {
    label: 'Ban', isDanger: true, title: (user) => `Ban ${user.username}`, submit: 'Ban', isAvailable: (user) => !user.banned,
    effects: (user) => [`Within a second, ${user.username} leaves every board and is disconnected from all nodes. ${user.username} can’t log in or earn points.`, `The score of ${points(user.score)} is kept. Unbanning restores it.`],
    confirmation: (user) => `Yes, ban ${user.username} (number ${user.userId})`,
    result: (user) => `${user.username} is banned.`,
  },
  unban: {
    label: 'Unban', title: (user) => `Unban ${user.username}`, submit: 'Unban', isAvailable: (user) => user.banned,
    effects: (user) => [`${user.username} can log in and earn points again, and returns to the board with ${user.quarantined ? 'the score before the quarantine' : points(user.score)}.`],
    result: (user) => `${user.username} is unbanned.`,
  },
};

const held = (user) => user.score - user.shown;

/** Buttons for the available actions, or for some of them. `onDone` redraws the view. */
export function actionButtons(user, onDone, names = Object.keys(ACTIONS)) {
  return Object.entries(ACTIONS).filter(([name, action]) => names.includes(name) && action.isAvailable(user)).map(([name, action]) =>
    make(`button.small${action.isDanger ? '.danger' : ''}`, { type: 'button', 'data-action': name, on: { click: () => open(name, user, onDone) } }, `${action.label}…`));
}

let isOpening = false;

/** Opens the dialog with the user's current state. */
async function open(name, listedUser, onDone) {
  if (isOpening) return;
  isOpening = true;
  const openedAt = location.hash;
  let user;
  try {
    user = await get(`/api/admin/users/${listedUser.id}`);
  } catch (error) {
    showResult(error.message);
    return;
  } finally {
    isOpening = false;
  }
  if (openedAt !== location.hash) return;
  const action = ACTIONS[name];
  if (!action.isAvailable(user)) {
    showResult(`Another admin was faster. The page shows ${user.username}’s current state.`);
    onDone();
    return;
  }
  openActionDialog(name, action, user, onDone);
}

function openActionDialog(name, action, user, onDone) {
  let key = newIdempotencyKey();
  const amount = name === 'adjust' && make('input', { name: 'points', type: 'text', inputmode: 'numeric', autocomplete: 'off', required: true, placeholder: '−50', 'data-first': true });
  const preview = amount && make('output.preview', {}, `${number(user.score)} → …`);
  const reason = reasonInput({ 'data-first': !amount });
  const confirmed = action.confirmation && confirmationBox();
  const problem = make('div.outlet', { role: 'alert' });
  const submit = make(`button${action.isDanger ? '.danger.solid' : '.primary'}`, {}, action.submit);
  const cancel = make('button', { type: 'button', on: { click: () => dialog.close() } }, 'Cancel');
  const form = make('form', { novalidate: true },
    amount && make('label', {}, 'Points (negative to subtract)', amount), preview,
    make('label', {}, 'Reason, for the audit log', reason),
    confirmed && make('label.check', {}, confirmed, action.confirmation(user)),
    problem, make('div.buttons', {}, cancel, submit));
  const dialog = makeDialog(action.title(user),
    [action.effects(user).map((sentence) => make('p', {}, sentence)), user.username === ownName() && make('p.note', {}, 'This is your own account.')], form);

  if (amount) amount.addEventListener('input', () => {
    const by = wholeNumber(amount.value);
    fill(preview, [by === null ? `${number(user.score)} → …` : `${number(user.score)} → ${number(user.score + by)} (${change(by)})`]);
  });
  sendOnSubmit({ dialog, form, problem, buttons: [submit, cancel], read, send });

  async function send(body) {
    try {
      const outcome = await post(`/api/admin/users/${user.id}/${name}`, body, key);
      const wasOpen = dialog.open;
      dialog.close();
      showResult(action.result(user, outcome));
      await onDone();
      // The button that had the focus may be gone.
      if (wasOpen) document.querySelector('main h1')?.focus({ preventScroll: true });
    } catch (error) {
      if (dialog.open) fail(error);
      // The admin has left the view.
      else showResult(`${action.title(user)}: ${error.message}${error.isUnsure ? ' It may have been done.' : ''}`);
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

/** A button that bans several players. `onDone` redraws the view. */
export function banAllButton(players, address, onDone) {
  return make('button.small.danger', { type: 'button', on: { click: () => openBanAllDialog(players, address, onDone) } }, `Ban all ${players.length}…`);
}

function openBanAllDialog(players, address, onDone) {
  const title = `Ban ${counted(players.length, 'player')} behind ${address}`;
  const reason = reasonInput({ 'data-first': true });
  const confirmed = confirmationBox();
  const problem = make('div.outlet', { role: 'alert' });
  const submit = make('button.danger.solid', {}, 'Ban all');
  const cancel = make('button', { type: 'button', on: { click: () => dialog.close() } }, 'Cancel');
  const form = make('form', { novalidate: true },
    make('label', {}, 'Reason, for the audit log', reason),
    make('label.check', {}, confirmed, `Yes, ban these ${players.length} players`),
    problem, make('div.buttons', {}, cancel, submit));
  const dialog = makeDialog(title, [
    make('p', {}, players.map((player) => player.username).join(', ')),
    make('p', {}, 'Within a second, they leave every board and are disconnected from all nodes. They can’t log in or earn points. Their scores are kept: unbanning a player restores the score.'),
  ], form);
  const remaining = [...players];
  sendOnSubmit({ dialog, form, problem, buttons: [submit, cancel], read, send });

  async function send(body) {
    try {
      // One by one. Banned players leave the list, so a repeat continues where this one failed.
      for (; remaining.length; remaining.shift()) await post(`/api/admin/users/${remaining[0].suspect}/ban`, body);
      dialog.close();
      showResult(`${counted(players.length, 'player')} banned.`);
      onDone();
    } catch (error) {
      const progress = `${players.length - remaining.length} of ${counted(players.length, 'player')} banned.`;
      if (!dialog.open) showResult(`${title}: ${error.message} ${progress}`);
      else if (!showFieldErrors(form, error)) {
        showError(problem, error);
        problem.append(make('p', {}, progress));
      }
      onDone();
    }
  }

  function read() {
    const problems = [];
    if (!reason.value.trim()) problems.push(NO_REASON);
    if (!confirmed.checked) problems.push(NOT_CONFIRMED);
    return showProblems(form, problems) ? null : { reason: reason.value.trim() };
  }

  show(dialog);
}

function reasonInput(more) {
  return make('input', { name: 'reason', maxlength: MAX_REASON_CHARS, autocomplete: 'off', required: true, ...more });
}

function confirmationBox() {
  return make('input', { type: 'checkbox', name: 'confirmed' });
}

function makeDialog(title, effects, form) {
  return make('dialog.card.action-dialog', { 'aria-labelledby': 'dialog-title', 'aria-describedby': 'dialog-effects' },
    make('h2', { id: 'dialog-title' }, title), make('div', { id: 'dialog-effects' }, effects), form);
}

function show(dialog) {
  document.body.append(dialog);
  dialog.showModal();
  dialog.querySelector('[data-first]').focus();
}

/** Shows problems at their fields. Returns true if there are any. */
function showProblems(form, problems) {
  if (problems.length) showFieldErrors(form, { fields: problems });
  else clearFieldErrors(form);
  return problems.length > 0;
}

/**
 * Calls `send` with the result of `read` on each submit, unless `read` returns null. While it sends, the dialog cannot be submitted again or
 * closed. A closed dialog is removed from the page.
 */
function sendOnSubmit({ dialog, form, problem, buttons, read, send }) {
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
