// Dead letters: outbox entries that could not be written to the ledger, to retry or discard.

import { MAX_REASON_CHARS } from './actionDialog.js';
import { get, post } from './api.js';
import { choice, fill, heading, make, panel, table } from './elements.js';
import { ago, asMinute, asSecond, change, words } from './format.js';
import { load, showError, showResult } from './notices.js';
import { userLink } from './userCells.js';

export function deadLetters({ query, signal }) {
  const state = query.get('state') === 'all' ? 'all' : 'waiting';
  const { element, body } = panel('letters', 'Newest first', choice('State', [['waiting', 'Waiting'], ['all', 'All']], state,
    (value) => { location.hash = `#/letters?state=${value}`; }));
  const reload = () => load(body, signal, () => get(`/api/admin/dead-letters?state=${state}&limit=200`, signal), (letters) =>
    fill(body, [table('Dead letters', [
      { title: 'Since (UTC)', isHead: true, class: 'tight', cell: ({ at }) => make('time', { datetime: at, title: `${asSecond(at)}, ${ago(at)}` }, asMinute(at)) },
      { title: 'Player', cell: (letter) => (letter.username ? userLink(letter) : letter.id ?? 'unreadable') },
      { title: 'Entry', cell: ({ kind, points }) => [kind ? words(kind) : 'unreadable', points === null ? null : ` ${change(points)}`] },
      { title: 'Reason', class: 'text', cell: ({ reason, detail, entry }) => [make('span.badge', {}, words(reason)), make('span.reason', {}, ` ${detail}`), make('details', {}, make('summary', {}, 'Raw entry'), make('code', {}, entry))] },
      { title: 'State', cell: (letter) => [words(letter.state), letter.decidedBy && make('p.quiet.text', {}, `${letter.decidedBy}: ${letter.decidedReason}`)] },
      { title: 'Decision', cell: (letter) => (letter.state === 'waiting' ? decisionForm(letter, reload) : '') },
    ], letters, { empty: state === 'all' ? 'No dead letters.' : 'No dead letters are waiting.', stacked: true })]));
  reload();
  return make('div', {}, heading('Dead letters', make('p.quiet', {}, 'Entries that could not be written to the ledger. Redis already has their points. Fix the cause, then retry.')), element);
}

/** A reason, and buttons to retry or discard. */
function decisionForm(letter, onDone) {
  const reason = make('input', { name: 'reason', maxlength: MAX_REASON_CHARS, autocomplete: 'off', required: true, 'aria-label': 'Reason, for the audit log', placeholder: 'Reason' });
  const problem = make('div.outlet', { role: 'alert' });
  const buttons = [make('button.small', { value: 'retry' }, 'Retry'), make('button.small.danger', { value: 'discard' }, 'Discard')];
  const form = make('form.decision', {}, reason, make('div.buttons', {}, buttons), problem);
  form.addEventListener('submit', async (event) => {
    event.preventDefault();
    for (const button of buttons) button.disabled = true;
    try {
      const decided = await post(`/api/admin/dead-letters/${letter.letterId}/${event.submitter.value}`, { reason: reason.value.trim() });
      showResult(`Dead letter ${decided.letterId} is ${words(decided.state)}.`);
      onDone();
    } catch (error) {
      showError(problem, error);
    } finally {
      for (const button of buttons) button.disabled = false;
    }
  });
  return form;
}
