// Entries that could not be written to the ledger, and what becomes of them.

import { get, post } from './api.js';
import { MAX_REASON_CHARS } from './deeds.js';
import { choice, fill, heading, make, panel, table } from './element.js';
import { ago, asMinute, asMoment, change, words } from './format.js';
import { load, outcome, tell } from './tell.js';
import { userLink } from './user.js';

export function letters({ query, signal }) {
  const state = query.get('state') === 'all' ? 'all' : 'waiting';
  const { element, body } = panel('letters', 'The newest first', choice('Which', [['waiting', 'Waiting'], ['all', 'All']], state,
    (value) => { location.hash = `#/letters?state=${value}`; }));
  const look = () => load(body, signal, () => get(`/api/admin/dead-letters?state=${state}&limit=200`, signal), (found) =>
    fill(body, [table('Dead letters', [
      { title: 'Since (UTC)', head: true, class: 'tight', cell: (it) => make('time', { datetime: it.at, title: `${asMoment(it.at)}, ${ago(it.at)}` }, asMinute(it.at)) },
      { title: 'Player', cell: (it) => (it.username ? userLink(it) : it.id ?? 'unreadable') },
      { title: 'Entry', cell: (it) => [it.kind ? words(it.kind) : 'unreadable', it.points === null ? null : ` ${change(it.points)}`] },
      { title: 'Why', class: 'text', cell: (it) => [make('span.badge', {}, words(it.reason)), make('span.reason', {}, ` ${it.detail}`), make('details', {}, make('summary', {}, 'As it lay in the outbox'), make('code', {}, it.entry))] },
      { title: 'State', cell: (it) => [words(it.state), it.decidedBy && make('p.quiet.text', {}, `${it.decidedBy}: ${it.decidedWhy}`)] },
      { title: 'Decide', cell: (it) => (it.state === 'waiting' ? decide(it, look) : '') },
    ], found, { empty: state === 'all' ? 'There were none.' : 'None is waiting.', stacked: true })]));
  look();
  return make('div', {}, heading('Dead letters', make('p.quiet', {}, 'What they moved in Redis is not in the ledger until they are written. Retry after what kept them from it is mended.')), element);
}

/** A reason and two buttons. */
function decide(letter, after) {
  const reason = make('input', { name: 'reason', maxlength: MAX_REASON_CHARS, autocomplete: 'off', required: true, 'aria-label': 'Reason, for the audit', placeholder: 'Reason' });
  const problem = make('div.outlet', { role: 'alert' });
  const buttons = [make('button.small', { value: 'retry' }, 'Retry'), make('button.small.danger', { value: 'discard' }, 'Discard')];
  const form = make('form.decide', {}, reason, make('div.buttons', {}, buttons), problem);
  form.addEventListener('submit', async (event) => {
    event.preventDefault();
    for (const it of buttons) it.disabled = true;
    try {
      const to = await post(`/api/admin/dead-letters/${letter.letterId}/${event.submitter.value}`, { reason: reason.value.trim() });
      outcome(`Dead letter ${to.letterId} is ${words(to.state)}.`);
      after();
    } catch (error) {
      tell(problem, error);
    } finally {
      for (const it of buttons) it.disabled = false;
    }
  });
  return form;
}
