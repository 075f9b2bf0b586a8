// What operators did, the newest first.

import { get } from './api.js';
import { choice, heading, make, panel, table } from './element.js';
import { ago, asMinute, asMoment, change, number, words } from './format.js';
import { load } from './tell.js';
import { userLink } from './user.js';

export function audit({ query, signal }) {
  const limit = query.get('limit') ?? '50';
  const { element, body } = panel('audit', 'The newest first', choice('How many', [['50', '50'], ['200', '200'], ['1000', '1,000']], limit,
    (value) => { location.hash = `#/audit?limit=${value}`; }));
  load(body, signal, () => get(`/api/admin/audit?limit=${encodeURIComponent(limit)}`, signal), (deeds) =>
    body.replaceChildren(table('What operators did', [
      { title: 'When (UTC)', class: 'tight', cell: (it) => make('time', { datetime: it.at, title: `${asMoment(it.at)}, ${ago(it.at)}` }, asMinute(it.at)) },
      { title: 'Who', cell: (it) => it.actor },
      { title: 'Did', cell: (it) => make(`span.badge.${it.action}`, {}, words(it.action)) },
      { title: 'To', head: true, cell: (it) => userLink(it) },
      { title: 'Why', class: 'text', cell: (it) => [make('span.reason', {}, it.reason), detail(it.detail)] },
    ], deeds, { empty: 'No operator did anything yet.', stacked: true })));
  return make('div', {}, heading('Audit', make('p.quiet', {}, 'Everything that operators did, with who and why.')), element);
}

/** What came of a deed. */
export function detail(it) {
  if (it?.refused) return make('span.detail.quiet', {}, `refused: ${words(it.refused)}`);
  if (!it || it.after === undefined) return null;
  return make('span.detail.quiet', {}, `${number(it.before)} → ${number(it.after)} (${change(it.after - it.before)})`);
}
