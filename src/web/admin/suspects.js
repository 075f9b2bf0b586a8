// Who looks like cheating, and the evidence against one.

import { get } from './api.js';
import { deedButtons } from './deeds.js';
import { choice, fill, heading, make, panel, table } from './element.js';
import { SIGNS, ago, asMinute, asMoment, number, words } from './format.js';
import { proofText } from './history.js';
import { remember } from './place.js';
import { load } from './tell.js';
import { signs, states } from './user.js';

const HOURS = [['1', '1 hour'], ['24', '24 hours'], ['168', '7 days'], ['720', '30 days']];
const hoursOf = (query) => (HOURS.some(([it]) => it === query.get('hours')) ? query.get('hours') : '24');

function when(at) {
  return make('time', { datetime: at, title: asMoment(at) }, ago(at));
}

export function suspects({ query, signal }) {
  let hours = hoursOf(query);
  const { element, body } = panel('suspects', 'The heaviest first', choice('Seen within', HOURS, hours, (value) => {
    hours = value;
    remember({ hours });
    look();
  }));
  const evidence = (it) => `#/suspects/${encodeURIComponent(it.suspect)}?hours=${hours}`;
  const look = () => load(body, signal, () => get(`/api/admin/suspects?hours=${hours}&limit=200`, signal), draw);
  const draw = (found) => {
    const most = found[0]?.weight || 1;
    fill(body, [table('Suspects', [
      { title: 'Suspect', head: true, cell: (it) => [make('a.user', { href: evidence(it) }, it.username ?? it.suspect), states(it), it.username ? null : make('span.badge', {}, 'address')] },
      { title: 'Weight', class: 'weight', cell: (it) => [number(it.weight), make('span.bar-line', { 'aria-hidden': 'true', style: { '--share': String(it.weight / most) } })] },
      { title: 'Signs', class: 'text', cell: (it) => signs(it.signs) },
      { title: 'Last seen', class: 'tight', cell: (it) => when(it.lastAt) },
    ], found, { empty: 'Nobody looks like cheating in this time.', stacked: true })]);
  };
  look();
  return make('div', {}, heading('Suspects', make('p.quiet', {}, 'Signs are counted by player and by address. Nothing is decided by them.')), element, legend());
}

function legend() {
  return make('details.legend', {}, make('summary', {}, 'What the signs mean'),
    make('dl.facts', {}, Object.entries(SIGNS).map(([sign, meaning]) => make('div', {}, make('dt', {}, words(sign)), make('dd', {}, meaning)))),
    make('p.quiet', {}, 'What no honest client does weighs most; what a slow network does weighs least.'));
}

/** The evidence against one. */
export function suspect({ key, query, signal }) {
  let hours = hoursOf(query);
  const title = heading(key);
  title.classList.add('name');
  const done = make('div', {});
  const byHour = panel('evidence', 'Signs by hour', choice('Seen within', HOURS, hours, (value) => {
    hours = value;
    remember({ hours });
    look();
  }));
  const refused = panel('refused', 'Proofs that failed');
  refused.element.hidden = true;

  async function read() {
    const found = await get(`/api/admin/suspects/${encodeURIComponent(key)}?hours=${hours}`, signal);
    const user = found.username ? await get(`/api/admin/users/${encodeURIComponent(found.suspect)}`, signal) : null;
    return { ...found, user };
  }

  function draw({ suspect: address, user, signs: seen, refused: attempts }) {
    const name = user?.username ?? address;
    document.title = `${name} · Laurel operators`;
    title.querySelector('h1').textContent = name;
    for (const it of title.querySelectorAll('.badge')) it.remove();
    title.append(...(user ? states(user) : [make('span.badge', {}, 'address')]));
    fill(done, [user
      ? make('div.deeds', {}, make('a.button.small', { href: `#/players/${user.userId}` }, 'The player’s page'), deedButtons(user, look))
      : make('p.deeds.quiet', {}, 'An address may be shared by many. What can be done is done to players.')]);
    fill(byHour.body, [matrix(seen)]);
    refused.element.hidden = !user;
    fill(refused.body, [table('Proofs that failed', [
      { title: 'When', head: true, class: 'tight', cell: (it) => when(it.at) },
      { title: 'Action', class: 'tight', cell: (it) => words(it.actionType) },
      { title: 'Worth', class: 'number', cell: (it) => number(it.points) },
      { title: 'Proof', class: 'text', cell: (it) => make('code', {}, proofText(it.proof)) },
    ], attempts, { empty: 'None in this time.' })]);
  }

  const look = () => load(byHour.body, signal, read, draw);
  look();
  return make('div', {}, make('p.back', {}, make('a', { href: `#/suspects?hours=${hours}` }, '← Suspects')), title, done,
    make('div.stack', {}, byHour.element, refused.element));
}

/** A row an hour and a column a sign, the most frequent first. */
function matrix(seen) {
  const sums = {};
  const hours = Map.groupBy(seen, (it) => it.hour);
  for (const { sign, count } of seen) sums[sign] = (sums[sign] ?? 0) + count;
  const rows = [...hours].map(([hour, of]) => ({ hour, counts: Object.fromEntries(of.map((it) => [it.sign, it.count])) }));
  const columns = Object.keys(sums).sort((one, other) => sums[other] - sums[one]);
  return table('Signs by hour', [
    { title: 'Hour (UTC)', head: true, class: 'tight', cell: (it) => (it.hour ? make('time', { datetime: it.hour }, asMinute(it.hour)) : make('b', {}, 'All')) },
    ...columns.map((sign) => ({
      title: make('span', { title: SIGNS[sign] }, words(sign)),
      class: 'number',
      cell: (it) => (it.counts[sign] ? number(it.counts[sign]) : make('span.quiet', {}, '·')),
    })),
  ], rows.length ? [{ counts: sums }, ...rows] : [], { empty: 'No sign in this time.', wide: true });
}
