// The evidence against one suspect, and who is behind it.

import { get } from './api.js';
import { deedButtons } from './deeds.js';
import { choice, fill, heading, make, panel, table } from './element.js';
import { SIGNS, asMinute, number, words } from './format.js';
import { banButton } from './groupBan.js';
import { proofText } from './history.js';
import { remember } from './place.js';
import { HOURS, hoursOf, suspectTable, when } from './suspects.js';
import { load, notFound } from './tell.js';
import { states } from './user.js';

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
  const behind = panel('behind', '');
  const refused = panel('refused', 'Proofs that failed');
  for (const it of [behind, refused]) it.element.hidden = true;

  async function read() {
    const found = await get(`/api/admin/suspects/${encodeURIComponent(key)}?hours=${hours}`, signal);
    const user = found.username ? await get(`/api/admin/users/${encodeURIComponent(found.suspect)}`, signal) : null;
    return { ...found, user };
  }

  function draw({ suspect: address, user, signs: seen, players, addresses, refused: attempts }) {
    const name = user?.username ?? address;
    document.title = `${name} · Laurel operators`;
    title.querySelector('h1').textContent = name;
    for (const it of title.querySelectorAll('.badge')) it.remove();
    title.append(...(user ? states(user) : [make('span.badge', {}, 'address')]));
    fill(done, [user
      ? make('div.deeds', {}, make('a.button.small', { href: `#/players/${user.userId}` }, 'The player’s page'), deedButtons(user, look))
      : make('p.deeds.quiet', {}, 'An address may be shared by many. Ban the players behind it who cheat; to keep everybody out who comes from it, refuse it at the load balancer or the firewall.')]);
    fill(byHour.body, [matrix(seen)]);
    behind.element.hidden = false;
    behind.element.querySelector('h2').textContent = user ? 'Addresses that the signs came from' : 'Players behind this address';
    fill(behind.body, user
      ? [suspectTable('Addresses', 'Address', addresses, hours, 'None is known in this time.')]
      : [make('p.quiet.about', {}, 'Only players with a sign from this address. Weights and signs are those from here.'), playersBehind(players)]);
    refused.element.hidden = !user;
    fill(refused.body, [table('Proofs that failed', [
      { title: 'When', head: true, class: 'tight', cell: (it) => when(it.at) },
      { title: 'Action', class: 'tight', cell: (it) => words(it.actionType) },
      { title: 'Worth', class: 'number', cell: (it) => number(it.points) },
      { title: 'Proof', class: 'text', cell: (it) => make('code', {}, proofText(it.proof)) },
    ], attempts, { empty: 'None in this time.' })]);
  }

  function playersBehind(players) {
    const left = players.filter((it) => !it.banned);
    return [
      suspectTable('Players behind this address', 'Player', players, hours, 'No player: whoever sent this was not logged in.', [
        { title: 'Decide', cell: (it) => deedButtons({ ...it, id: it.suspect }, look, ['ban', 'unban']) },
      ]),
      left.length > 1 && make('div.more', {}, banButton(left, key, look)),
    ];
  }

  const look = () => load(byHour.body, signal, read, draw,
    () => view.replaceWith(notFound(`“${key}” is no address, and no player’s name, number or UUID.`, '#/suspects', 'Suspects')));
  const view = make('div', {}, make('p.back', {}, make('a', { href: `#/suspects?hours=${hours}` }, '← Suspects')), title, done,
    make('div.stack', {}, byHour.element, behind.element, refused.element));
  look();
  return view;
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
