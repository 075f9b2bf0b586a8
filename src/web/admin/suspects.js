// Who looks like cheating.

import { get } from './api.js';
import { choice, fill, heading, make, panel, table } from './element.js';
import { SIGNS, ago, asMoment, number, words } from './format.js';
import { remember } from './place.js';
import { load } from './tell.js';
import { signs, states, weight } from './user.js';

export const HOURS = [['1', '1 hour'], ['24', '24 hours'], ['168', '7 days'], ['720', '30 days']];
export const hoursOf = (query) => (HOURS.some(([it]) => it === query.get('hours')) ? query.get('hours') : '24');
const LIMIT = 200;

export function when(at) {
  return make('time', { datetime: at, title: asMoment(at) }, ago(at));
}

/** A table of suspects of one kind, whose bars compare them with each other alone. `first` is the first column's title. */
export function suspectTable(caption, first, found, hours, empty, more = []) {
  const most = found[0]?.weight || 1;
  return table(caption, [
    { title: first, head: true, cell: (it) => [make('a.user', { href: `#/suspects/${encodeURIComponent(it.suspect)}?hours=${hours}` }, it.username ?? it.suspect), states(it)] },
    { title: 'Weight', class: 'weight', cell: (it) => weight(it, most) },
    { title: 'Signs', class: 'text', cell: (it) => signs(it.signs) },
    { title: 'Last seen', class: 'tight', cell: (it) => when(it.lastAt) },
    ...more,
  ], found, { empty, stacked: true });
}

export function suspects({ query, signal }) {
  let hours = hoursOf(query);
  const players = panel('suspects', 'Players');
  const addresses = panel('addresses', 'Addresses');
  const meanings = panel('meanings', 'What the signs mean');
  const all = make('div.stack', {}, players.element, addresses.element, meanings.element);
  const outlet = make('div', {});
  const pick = choice('Seen within', HOURS, hours, (value) => {
    hours = value;
    remember({ hours });
    look();
  });
  const look = () => load(outlet, signal, () => get(`/api/admin/suspects?hours=${hours}&limit=${LIMIT}`, signal), (found) => {
    fill(players.body, [suspectTable('Players', 'Player', found.players, hours, 'No player looks like cheating in this time.'), cut(found.players)]);
    fill(addresses.body, [
      make('p.quiet.about', {}, 'An address may be a school’s or a whole mobile network’s, so its weight does not compare with a player’s. Open one to see the players behind it.'),
      suspectTable('Addresses', 'Address', found.addresses, hours, 'Nothing suspicious came from any address in this time.'),
      cut(found.addresses),
    ]);
    fill(meanings.body, [legend(found.weights)]);
    fill(outlet, [all]);
  });
  look();
  return make('div', {}, heading('Suspects', pick), make('p.quiet.intro', {},
    'A sign is a request that a game played honestly does not send, or seldom. Each kind of sign counts from 1 to 10, and the sum is the weight: the heaviest suspects are first. Nobody is banned automatically.'), outlet);
}

function cut(found) {
  return found.length === LIMIT && make('p.quiet.small', {}, `Only the ${number(LIMIT)} heaviest are shown.`);
}

/** The signs, those that weigh most first. */
function legend(weights) {
  const all = Object.entries(weights).sort((one, other) => other[1] - one[1]);
  return table('What the signs mean', [
    { title: 'Sign', head: true, class: 'tight', cell: ([sign]) => words(sign) },
    { title: 'Each counts', class: 'number tight', cell: ([, each]) => number(each) },
    { title: 'What was sent', class: 'text', cell: ([sign]) => SIGNS[sign] },
  ], all);
}
