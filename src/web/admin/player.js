// One player: the standing, what can be done, and the whole history.

import { get } from './api.js';
import { deedButtons } from './deeds.js';
import { fill, heading, make, panel } from './element.js';
import { ago, asMoment, number, points } from './format.js';
import { history } from './history.js';
import { load, notFound } from './tell.js';
import { signs, states } from './user.js';

export function player({ key, query, signal }) {
  const title = heading(`Player ${key}`);
  title.classList.add('name');
  const top = make('div', {});
  const { element, body } = panel('history', 'History');
  let stream;

  const look = () => load(top, signal, () => get(`/api/admin/users/${encodeURIComponent(key)}?hours=720`, signal), (user) => {
    document.title = `${user.username} · Laurel operators`;
    title.querySelector('h1').textContent = user.username;
    for (const it of title.querySelectorAll('.badge')) it.remove();
    title.append(...states(user));
    fill(top, [standing(user), make('div.deeds', { role: 'group', 'aria-label': 'What can be done' }, deedButtons(user, look))]);
    if (stream) return stream.again();
    stream = history(user.id, query, signal, element.querySelector('header'));
    body.append(stream.element);
  }, () => view.replaceWith(notFound(`No player has the name, number or UUID “${key}”.`, '#/players', 'Players')));
  const view = make('div', {}, make('p.back', {}, make('a', { href: '#/players' }, '← Players')), title, top, element);
  look();
  return view;
}

function standing(user) {
  const held = user.quarantined && !user.banned ? user.score - user.shown : 0;
  const time = (it) => (it ? make('time', { datetime: it, title: asMoment(it) }, ago(it)) : 'never');
  const facts = [
    ['Score', points(user.score)],
    ['Shown to others', user.banned ? 'nothing: banned' : points(user.shown)],
    user.quarantined && ['Held', user.banned ? 'what was won since' : points(held)],
    user.rank !== undefined && ['Rank', user.rank === null ? 'none' : `#${number(user.rank)}`],
    user.awards !== undefined && ['Awards', number(user.awards)],
    user.lastAt !== undefined && ['Last award', time(user.lastAt)],
    user.createdAt && ['Registered', time(user.createdAt)],
    ['Number', user.userId],
    ['UUID', make('code', {}, user.id)],
    ['Signs, 30 days', Object.keys(user.signs).length ? make('a', { href: `#/suspects/${user.id}?hours=720` }, signs(user.signs)) : 'none'],
  ];
  return make('dl.facts.card.standing', {}, facts.filter(Boolean).map(([name, value]) => make('div', {}, make('dt', {}, name), make('dd', {}, value))));
}
