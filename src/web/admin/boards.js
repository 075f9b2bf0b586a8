// The boards with their current periods.

import { get } from './api.js';
import { fill, heading, make, panel, table } from './elements.js';
import { asSecond, number } from './format.js';
import { newBoardButton } from './newBoard.js';
import { load } from './notices.js';

const ORDERS = { desc: 'highest first', asc: 'lowest first' };

export function boards({ signal }) {
  const { element, body } = panel('boards', 'All boards', newBoardButton(signal));
  const time = (at) => (at ? make('time', { datetime: at }, asSecond(at)) : '–');
  load(body, signal, () => get('/api/v1/boards', signal), (list) => fill(body, [table('Boards', [
    { title: 'Board', isHead: true, cell: ({ id, title }) => make('a.user', { href: `#/boards/${encodeURIComponent(id)}` }, title) },
    { title: 'Id', class: 'wide', cell: ({ id }) => make('code', {}, id) },
    { title: 'Scores', class: 'wide', cell: describeBoard },
    { title: 'Period', class: 'tight', cell: ({ period }) => period?.id ?? 'none' },
    { title: 'Ends', class: 'tight wide', cell: ({ period }) => time(period?.endsAt) },
    { title: 'Players', class: 'number', cell: ({ period }) => number(period?.players) },
  ], list.boards)]));
  return make('div', {}, heading('Boards'), element);
}

/** What a board ranks: `sum of points, highest first`. */
export const describeBoard = ({ aggregate, measure, order }) => `${aggregate} of ${measure}, ${ORDERS[order]}`;
