// What an operator can do to a player: each in a dialog that says what will happen, and wants to know why.

import { newKey } from '/assets/laurel/keys.js';
import { get, post } from './api.js';
import { sendOnSubmit } from './dialog.js';
import { fill, make } from './element.js';
import { change, number, points } from './format.js';
import { name as ownName } from './session.js';
import { clearFields, outcome, tell, tellFields } from './tell.js';

export const MAX_REASON_CHARS = 500;

/** The deeds by their path. `when` says whether one makes sense, `says` what happens, `sure` what is to be confirmed. */
const DEEDS = {
  adjust: {
    button: 'Adjust', title: (it) => `Adjust the score of ${it.username}`, submit: 'Adjust', when: (it) => !it.quarantined,
    says: () => ['The ledger gets an entry of its own, with who and why. Every board shows the new score within a second.'],
    done: (it, to) => `${it.username} has ${points(to.newScore)} now (before: ${number(to.scoreBefore)}).`,
  },
  'quarantine': {
    button: 'Set aside', title: (it) => `Set ${it.username} aside`, submit: 'Set aside', when: (it) => !it.quarantined,
    says: (it) => [`What ${it.username} wins from now on is taken and answered as always, but held: others go on to see ${it.banned ? 'nothing' : points(it.shown)}.`, 'Later you confirm what is held, or void it.'],
    done: (it) => `${it.username} is set aside.`,
  },
  approve: {
    button: 'Confirm', title: (it) => `Confirm what is held of ${it.username}`, submit: 'Confirm', when: (it) => it.quarantined,
    says: (it) => [`What is held${held(it)} is shown to all${it.banned ? ' once the ban ends' : `: the score of ${number(it.shown)} becomes ${number(it.score)}`}.`, `${it.username} is no longer set aside.`],
    done: (it) => `What was held of ${it.username} is confirmed.`,
  },
  void: {
    button: 'Void', danger: true, title: (it) => `Void what is held of ${it.username}`, submit: 'Void it', when: (it) => it.quarantined,
    says: (it) => [`What is held${held(it)} is taken away${it.banned ? '' : `: the total of ${number(it.score)} becomes ${number(it.shown)}`}. What is won until then goes too.`, `${it.username} is no longer set aside. Nothing but an adjustment brings the points back.`],
    sure: (it) => `Yes, take away what is held of ${it.username}`,
    done: (it, to) => (to.newScore === null ? `Nothing was held of ${it.username}.` : `${it.username} has ${points(to.newScore)} now (before: ${number(to.scoreBefore)}).`),
  },
  ban: {
    button: 'Ban', danger: true, title: (it) => `Ban ${it.username}`, submit: 'Ban', when: (it) => !it.banned,
    says: (it) => [`${it.username} leaves every board within a second, wins nothing more, cannot log in, and every socket is closed, on all nodes.`, `The score of ${points(it.score)} is kept: an unban brings it back.`],
    sure: (it) => `Yes, ban ${it.username}, number ${it.userId}`,
    done: (it) => `${it.username} is banned.`,
  },
  unban: {
    button: 'Unban', title: (it) => `Unban ${it.username}`, submit: 'Unban', when: (it) => it.banned,
    says: (it) => [`${it.username} may log in and win again, and is back on the board with ${it.quarantined ? 'what was shown before' : points(it.score)}.`],
    done: (it) => `${it.username} is back.`,
  },
};

function held(it) {
  return it.banned ? '' : ` (${points(it.score - it.shown)} by now)`;
}

/** Buttons for what makes sense now, of some deeds or of all; `after` shows what came of it. */
export function deedButtons(user, after, paths = Object.keys(DEEDS)) {
  return Object.entries(DEEDS).filter(([path, it]) => paths.includes(path) && it.when(user)).map(([path, it]) =>
    make(`button.small${it.danger ? '.danger' : ''}`, { type: 'button', 'data-deed': path, on: { click: () => open(path, user, after) } }, `${it.button}…`));
}

let opening = false;

/** Opens the dialog on the newest of what is known of the user. */
async function open(path, listed, after) {
  if (opening) return;
  opening = true;
  const place = location.hash;
  let user;
  try {
    user = await get(`/api/admin/users/${listed.id}`);
  } catch (error) {
    outcome(error.message);
    return;
  } finally {
    opening = false;
  }
  if (place !== location.hash) return;
  const deed = DEEDS[path];
  if (!deed.when(user)) {
    outcome(`Another operator was quicker: ${user.username} is as shown now.`);
    after();
    return;
  }
  dialogFor(path, deed, user, after);
}

function dialogFor(path, deed, user, after) {
  let key = newKey();
  const amount = path === 'adjust' && make('input', { name: 'points', type: 'text', inputmode: 'numeric', autocomplete: 'off', required: true, placeholder: '−50', 'data-first': true });
  const preview = amount && make('output.preview', {}, `${number(user.score)} → …`);
  const reason = make('input', { name: 'reason', maxlength: MAX_REASON_CHARS, autocomplete: 'off', required: true, 'data-first': !amount });
  const sure = deed.sure && make('input', { type: 'checkbox', name: 'sure' });
  const problem = make('div.outlet', { role: 'alert' });
  const submit = make(`button${deed.danger ? '.danger.solid' : '.primary'}`, {}, deed.submit);
  const cancel = make('button', { type: 'button', on: { click: () => dialog.close() } }, 'Cancel');
  const form = make('form', { novalidate: true },
    amount && make('label', {}, 'Points, with a minus to take away', amount), preview,
    make('label', {}, 'Reason, for the audit', reason),
    sure && make('label.check', {}, sure, deed.sure(user)),
    problem, make('div.buttons', {}, cancel, submit));
  const id = 'deed-title';
  const dialog = make('dialog.card.deed', { 'aria-labelledby': id, 'aria-describedby': 'deed-says' },
    make('h2', { id }, deed.title(user)),
    make('div', { id: 'deed-says' }, deed.says(user).map((it) => make('p', {}, it)),
      user.username === ownName() && make('p.note', {}, 'This is you.')),
    form);

  if (amount) amount.addEventListener('input', () => {
    const by = wholeNumber(amount.value);
    fill(preview, [by === null ? `${number(user.score)} → …` : `${number(user.score)} → ${number(user.score + by)} (${change(by)})`]);
  });
  // A double click is one; and if it were two, the key would make them one.
  sendOnSubmit({ dialog, form, problem, buttons: [submit, cancel], read: check, send });

  async function send(body) {
    try {
      const to = await post(`/api/admin/users/${user.id}/${path}`, body, key);
      const waited = dialog.open;
      dialog.close();
      outcome(deed.done(user, to));
      await after();
      // The button that had the focus may be another now.
      if (waited) document.querySelector('main h1')?.focus({ preventScroll: true });
    } catch (error) {
      if (dialog.open) failed(error);
      // Whoever went on meanwhile is told where they are now.
      else outcome(`${deed.title(user)}: ${error.message}${error.unsure ? ' It may have been done.' : ''}`);
    }
  }

  function check() {
    const fields = [];
    const by = amount && wholeNumber(amount.value);
    if (amount && !by) fields.push({ field: 'points', problem: 'must be a whole number other than 0' });
    if (!reason.value.trim()) fields.push({ field: 'reason', problem: 'is missing' });
    if (sure && !sure.checked) fields.push({ field: 'sure', problem: 'Confirm this first.' });
    if (fields.length) tellFields(form, { fields });
    else clearFields(form);
    return fields.length ? null : { ...(amount ? { points: by } : {}), reason: reason.value.trim() };
  }

  function failed(error) {
    // What is refused under a key stays refused under it: what is tried next is another operation.
    if (error.status === 400) key = newKey();
    if (tellFields(form, error)) return;
    tell(problem, error);
    if (error.code === 'IDEMPOTENCY_MISMATCH') {
      problem.append(make('p', {}, 'It was done before, with other words or points: close this and look at the history.'));
    } else if (error.unsure) {
      // Only the very same may be repeated: then it counts once, whether it was done or not.
      for (const it of [amount, reason]) if (it) it.readOnly = true;
      problem.append(make('p', {}, 'It may have been done. Try again: it counts once.'));
      submit.textContent = 'Try again';
    }
    if (error.status === 400) after();
  }

  document.body.append(dialog);
  dialog.showModal();
  dialog.querySelector('[data-first]').focus();
}

/** A whole number that JSON can carry, with whatever minus; or none. What parts it parts thousands: "-1,5" is not -15. */
function wholeNumber(text) {
  const plain = text.trim().replace(/^[−–]/, '-');
  const found = /^[+-]?(\d+|\d{1,3}([\s,_]\d{3})+)$/.test(plain) ? Number(plain.replace(/[\s,_]/g, '')) : NaN;
  return Number.isSafeInteger(found) ? found : null;
}
