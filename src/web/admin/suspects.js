// Suspects: players and addresses with abuse signals.

import { get } from './api.js';
import { choice, fill, heading, make, panel, table } from './elements.js';
import { SIGNALS, ago, asSecond, number, words } from './format.js';
import { load } from './notices.js';
import { setQuery } from './router.js';
import { riskScore, signalList, stateBadges } from './userCells.js';

export const PERIODS = [['1', '1 hour'], ['24', '24 hours'], ['168', '7 days'], ['720', '30 days']];
const LIMIT = 200;

export function hoursOf(query) {
  return PERIODS.some(([hours]) => hours === query.get('hours')) ? query.get('hours') : '24';
}

export function agoCell(at) {
  return make('time', { datetime: at, title: asSecond(at) }, ago(at));
}

/** A table of players or of addresses. Its bars compare its rows. `head` is the title of the first column. */
export function suspectTable(caption, head, suspects, hours, empty, columns = []) {
  const max = suspects[0]?.weight || 1;
  return table(caption, [
    { title: head, isHead: true, cell: (row) => [make('a.user', { href: `#/suspects/${encodeURIComponent(row.suspect)}?hours=${hours}` }, row.username ?? row.suspect), stateBadges(row)] },
    { title: 'Risk score', class: 'risk', cell: ({ weight }) => riskScore(weight, max) },
    { title: 'Signals', class: 'text', cell: ({ signals }) => signalList(signals) },
    { title: 'Last seen', class: 'tight', cell: ({ lastAt }) => agoCell(lastAt) },
    ...columns,
  ], suspects, { empty, stacked: true });
}

export function suspects({ query, signal }) {
  let hours = hoursOf(query);
  const players = panel('suspects', 'Players');
  const addresses = panel('addresses', 'Addresses');
  const meanings = panel('meanings', 'What the signals mean');
  const panels = make('div.stack', {}, players.element, addresses.element, meanings.element);
  const outlet = make('div', {});
  const periodChoice = choice('Period', PERIODS, hours, (value) => {
    hours = value;
    setQuery({ hours });
    reload();
  });
  const reload = () => load(outlet, signal, () => get(`/api/admin/suspects?hours=${hours}&limit=${LIMIT}`, signal), (data) => {
    fill(players.body, [suspectTable('Players', 'Player', data.players, hours, 'No suspicious players in this period.'), limitNote(data.players)]);
    fill(addresses.body, [
      make('p.quiet.about', {}, 'Many players may share an address, for example at a school or on a mobile network, so its risk score does not compare with a player’s. Open an address to see the players behind it.'),
      suspectTable('Addresses', 'Address', data.addresses, hours, 'No suspicious addresses in this period.'),
      limitNote(data.addresses),
    ]);
    fill(meanings.body, [legend(data.weights)]);
    fill(outlet, [panels]);
  });
  reload();
  return make('div', {}, heading('Suspects', periodChoice), make('p.quiet.intro', {},
    'Suspicious activity per player and IP address, highest risk first. Each abuse signal adds 1 to 10 to the risk score. Nobody is banned automatically.'), outlet);
}

function limitNote(suspects) {
  return suspects.length === LIMIT && make('p.quiet.small', {}, `Only the ${number(LIMIT)} with the highest risk scores are shown.`);
}

/** The signals, highest weight first. */
function legend(weights) {
  const sorted = Object.entries(weights).sort((one, other) => other[1] - one[1]);
  return table('What the signals mean', [
    { title: 'Signal', isHead: true, class: 'tight', cell: ([signal]) => words(signal) },
    { title: 'Weight', class: 'number tight', cell: ([, weight]) => number(weight) },
    { title: 'Meaning', class: 'text', cell: ([signal]) => SIGNALS[signal] },
  ], sorted);
}
