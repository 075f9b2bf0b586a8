// One player: standing, actions, history.

import { actionButtons } from './adminActions.js';
import { get } from './api.js';
import { fill, heading, make, panel } from './elements.js';
import { ago, asSecond, number, points } from './format.js';
import { history } from './history.js';
import { load, notFound } from './notices.js';
import { signalList, stateBadges } from './userCells.js';

export function player({ key, query, signal }) {
  const title = heading(`Player ${key}`);
  title.classList.add('name');
  const top = make('div', {});
  const { element, body } = panel('history', 'History');
  let events;

  const reload = () => load(top, signal, () => get(`/api/admin/users/${encodeURIComponent(key)}?hours=720`, signal), (user) => {
    document.title = `${user.username} · Laurel Admin`;
    title.querySelector('h1').textContent = user.username;
    for (const badge of title.querySelectorAll('.badge')) badge.remove();
    title.append(...stateBadges(user));
    fill(top, [standing(user), make('div.actions', { role: 'group', 'aria-label': 'Actions' }, actionButtons(user, reload))]);
    if (events) return events.reload();
    events = history(user.id, query, signal, element.querySelector('header'));
    body.append(events.element);
  }, () => view.replaceWith(notFound(`No player has the name, number or UUID “${key}”.`, '#/players', 'Players')));
  const view = make('div', {}, make('p.back', {}, make('a', { href: '#/players' }, '← Players')), title, top, element);
  reload();
  return view;
}

function standing(user) {
  const time = (at) => (at ? make('time', { datetime: at, title: asSecond(at) }, ago(at)) : 'never');
  const facts = [
    ['Score', points(user.score)],
    ['Public score', user.banned ? 'hidden: banned' : points(user.shown)],
    user.quarantined && ['Held', user.banned ? 'points since the quarantine' : points(user.score - user.shown)],
    user.rank !== undefined && ['Rank', user.rank === null ? 'none' : `#${number(user.rank)}`],
    user.awards !== undefined && ['Awards', number(user.awards)],
    user.lastAt !== undefined && ['Last award', time(user.lastAt)],
    user.createdAt && ['Registered', time(user.createdAt)],
    ['Number', user.userId],
    ['UUID', make('code', {}, user.id)],
    ['Abuse signals, 30 days', Object.keys(user.signals).length ? make('a', { href: `#/suspects/${user.id}?hours=720` }, signalList(user.signals)) : 'none'],
  ];
  return make('dl.facts.card.standing', {}, facts.filter(Boolean).map(([name, value]) => make('div', {}, make('dt', {}, name), make('dd', {}, value))));
}
