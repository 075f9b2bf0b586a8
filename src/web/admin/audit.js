// The audit log: what admins did.

import { get } from './api.js';
import { choice, heading, make, panel, table } from './elements.js';
import { ago, asMinute, asSecond, change, number, words } from './format.js';
import { load } from './notices.js';
import { userLink } from './userCells.js';

export function audit({ query, signal }) {
  const limit = query.get('limit') ?? '50';
  const { element, body } = panel('audit', 'Newest first', choice('Entries', [['50', '50'], ['200', '200'], ['1000', '1,000']], limit,
    (value) => { location.hash = `#/audit?limit=${value}`; }));
  load(body, signal, () => get(`/api/admin/audit?limit=${encodeURIComponent(limit)}`, signal), (entries) =>
    body.replaceChildren(table('Audit log', [
      { title: 'Time (UTC)', class: 'tight', cell: ({ at }) => make('time', { datetime: at, title: `${asSecond(at)}, ${ago(at)}` }, asMinute(at)) },
      { title: 'Admin', cell: (entry) => entry.actor },
      { title: 'Action', cell: ({ action }) => make(`span.badge.${action}`, {}, words(action)) },
      { title: 'Player', isHead: true, cell: (entry) => (entry.username === null ? '' : userLink(entry)) },
      { title: 'Reason', class: 'text', cell: ({ reason, detail }) => [make('span.reason', {}, reason), detailsOf(detail)] },
    ], entries, { empty: 'No admin actions yet.', stacked: true })));
  return make('div', {}, heading('Audit log', make('p.quiet', {}, 'Everything that admins did, and why.')), element);
}

/** The outcome and the circumstances of an action: the `detail` of its audit row. */
export function detailsOf(detail) {
  const { points, before, after, refused, joins, letter, board, period, host } = detail ?? {};
  const details = [
    refused && `refused: ${words(refused)}${points === undefined ? '' : ` (${change(points)})`}`,
    after !== undefined && `${number(before)} → ${number(after)} (${change(after - before)})`,
    joins && 'already voided by an earlier action',
    letter !== undefined && `dead letter ${letter}`,
    board !== undefined && `board ${board}${period === undefined ? '' : `, period ${period}`}`,
    host && `on host ${host}`,
  ];
  return details.filter(Boolean).map((text) => make('span.detail.quiet', {}, text));
}
