// One suspect: its abuse signals, refused proofs, and the addresses of a player or the players behind an address.

import { actionButtons, banAllButton } from './adminActions.js';
import { get } from './api.js';
import { choice, fill, heading, make, panel, table } from './elements.js';
import { SIGNALS, asMinute, number, words } from './format.js';
import { shortJson } from './history.js';
import { load, notFound } from './notices.js';
import { setQuery } from './router.js';
import { PERIODS, agoCell, hoursOf, suspectTable } from './suspects.js';
import { stateBadges } from './userCells.js';

export function suspect({ key, query, signal }) {
  let hours = hoursOf(query);
  const title = heading(key);
  title.classList.add('name');
  const actions = make('div', {});
  const evidence = panel('evidence', 'Signals by hour', choice('Period', PERIODS, hours, (value) => {
    hours = value;
    setQuery({ hours });
    reload();
  }));
  const related = panel('related', '');
  const refused = panel('refused', 'Refused proofs');
  for (const { element } of [related, refused]) element.hidden = true;

  async function request() {
    const found = await get(`/api/admin/suspects/${encodeURIComponent(key)}?hours=${hours}`, signal);
    const user = found.username ? await get(`/api/admin/users/${encodeURIComponent(found.suspect)}`, signal) : null;
    return { ...found, user };
  }

  function draw({ suspect: address, user, signals, players, addresses, refused: attempts }) {
    const name = user?.username ?? address;
    document.title = `${name} · Laurel Admin`;
    title.querySelector('h1').textContent = name;
    for (const badge of title.querySelectorAll('.badge')) badge.remove();
    title.append(...(user ? stateBadges(user) : [make('span.badge', {}, 'address')]));
    fill(actions, [user
      ? make('div.actions', {}, make('a.button.small', { href: `#/players/${user.userId}` }, 'Player page'), actionButtons(user, reload))
      : make('p.actions.quiet', {}, 'Several players may share this IP address. Actions apply to players, not addresses. To block the address, use your load balancer or firewall.')]);
    fill(evidence.body, [signalsByHour(signals)]);
    related.element.hidden = false;
    related.element.querySelector('h2').textContent = user ? 'Addresses of this player’s signals' : 'Players behind this address';
    fill(related.body, user
      ? [suspectTable('Addresses', 'Address', addresses, hours, 'No known address in this period.')]
      : [make('p.quiet.about', {}, 'Players with signals from this address. Risk scores count only those signals.'), playersBehind(players)]);
    refused.element.hidden = !user;
    fill(refused.body, [table('Refused proofs', [
      { title: 'Time', isHead: true, class: 'tight', cell: (attempt) => agoCell(attempt.at) },
      { title: 'Action', class: 'tight', cell: (attempt) => words(attempt.actionType) },
      { title: 'Points', class: 'number', cell: (attempt) => number(attempt.points) },
      { title: 'Proof', class: 'text', cell: (attempt) => make('code', {}, shortJson(attempt.proof)) },
    ], attempts, { empty: 'No refused proofs in this period.' })]);
  }

  function playersBehind(players) {
    const notBanned = players.filter((player) => !player.banned);
    return [
      suspectTable('Players behind this address', 'Player', players, hours, 'No players: these requests had no login.', [
        { title: 'Action', cell: (player) => actionButtons({ ...player, id: player.suspect }, reload, ['ban', 'unban']) },
      ]),
      notBanned.length > 1 && make('div.more', {}, banAllButton(notBanned, key, reload)),
    ];
  }

  const reload = () => load(evidence.body, signal, request, draw,
    () => view.replaceWith(notFound(`“${key}” is not an address, and no player has this name, number or UUID.`, '#/suspects', 'Suspects')));
  const view = make('div', {}, make('p.back', {}, make('a', { href: `#/suspects?hours=${hours}` }, '← Suspects')), title, actions,
    make('div.stack', {}, evidence.element, related.element, refused.element));
  reload();
  return view;
}

/** A row for each hour and a column for each signal, most frequent first. */
function signalsByHour(signals) {
  const totals = {};
  const byHour = Map.groupBy(signals, (entry) => entry.hour);
  for (const { signal, count } of signals) totals[signal] = (totals[signal] ?? 0) + count;
  const rows = [...byHour].map(([hour, entries]) => ({ hour, counts: Object.fromEntries(entries.map(({ signal, count }) => [signal, count])) }));
  const sorted = Object.keys(totals).sort((one, other) => totals[other] - totals[one]);
  return table('Signals by hour', [
    { title: 'Hour (UTC)', isHead: true, class: 'tight', cell: ({ hour }) => (hour ? make('time', { datetime: hour }, asMinute(hour)) : make('b', {}, 'Total')) },
    ...sorted.map((signal) => ({
      title: make('span', { title: SIGNALS[signal] }, words(signal)),
      class: 'number',
      cell: ({ counts }) => (counts[signal] ? number(counts[signal]) : make('span.quiet', {}, '·')),
    })),
  ], rows.length ? [{ counts: totals }, ...rows] : [], { empty: 'No signals in this period.', wide: true });
}
