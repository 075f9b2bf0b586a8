// Bans of all players behind an address, in one dialog.

import { post } from './api.js';
import { MAX_REASON_CHARS } from './deeds.js';
import { sendOnSubmit } from './dialog.js';
import { make } from './element.js';
import { counted } from './format.js';
import { clearFields, outcome, tell, tellFields } from './tell.js';

/** A button that bans players, each as by itself; `after` shows what came of it. */
export function banButton(players, address, after) {
  return make('button.small.danger', { type: 'button', on: { click: () => open(players, address, after) } }, `Ban all ${players.length}…`);
}

function open(players, address, after) {
  const title = `Ban ${counted(players.length, 'player')} behind ${address}`;
  const reason = make('input', { name: 'reason', maxlength: MAX_REASON_CHARS, autocomplete: 'off', required: true });
  const sure = make('input', { type: 'checkbox', name: 'sure' });
  const problem = make('div.outlet', { role: 'alert' });
  const submit = make('button.danger.solid', {}, 'Ban all');
  const cancel = make('button', { type: 'button', on: { click: () => dialog.close() } }, 'Cancel');
  const form = make('form', { novalidate: true },
    make('label', {}, 'Reason, for the audit', reason),
    make('label.check', {}, sure, `Yes, ban these ${players.length}`),
    problem, make('div.buttons', {}, cancel, submit));
  const dialog = make('dialog.card.deed', { 'aria-labelledby': 'ban-title', 'aria-describedby': 'ban-says' },
    make('h2', { id: 'ban-title' }, title),
    make('div', { id: 'ban-says' },
      make('p', {}, players.map((it) => it.username).join(', ')),
      make('p', {}, 'They leave every board within a second, win nothing more, cannot log in, and every socket is closed. Their scores are kept: an unban brings one back.')),
    form);
  const left = [...players];
  sendOnSubmit({ dialog, form, problem, buttons: [submit, cancel], read: check, send: ban });

  async function ban() {
    try {
      // One after the other: whoever is banned is off the list, so a repeat goes on where this one ended.
      for (; left.length; left.shift()) await post(`/api/admin/users/${left[0].suspect}/ban`, { reason: reason.value.trim() });
      dialog.close();
      outcome(`${counted(players.length, 'player')} banned.`);
      after();
    } catch (error) {
      const done = `${players.length - left.length} of ${players.length} are banned.`;
      if (!dialog.open) outcome(`${title}: ${error.message} ${done}`);
      else if (!tellFields(form, error)) {
        tell(problem, error);
        problem.append(make('p', {}, done));
      }
      after();
    }
  }

  function check() {
    const fields = [];
    if (!reason.value.trim()) fields.push({ field: 'reason', problem: 'is missing' });
    if (!sure.checked) fields.push({ field: 'sure', problem: 'Confirm this first.' });
    if (fields.length) tellFields(form, { fields });
    else clearFields(form);
    return !fields.length;
  }

  document.body.append(dialog);
  dialog.showModal();
  reason.focus();
}
