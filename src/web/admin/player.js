// One player: the standing, what can be done, and the whole history.

import { get } from './api.js';
import { deedButtons } from './deeds.js';
import { fill, heading, make, panel } from './element.js';
import { ago, asMoment, number, points } from './format.js';
import { history } from './history.js';
import { load } from './tell.js';
import { signs, states } from './user.js';

/** The report on a user by number, UUID or name. A number may be another's name too: then the search tells them apart. */
async function find(key, signal) {
  const report = (id) => get(`/api/admin/users/${encodeURIComponent(id)}?hours=720`, signal);
  try {
    return await report(key);
  } catch (error) {
    if (error.code !== 'VALIDATION_ERROR' || !/^\d+$/.test(key)) throw error;
    const found = await get(`/api/admin/users?limit=100&search=${key}`, signal);
    const meant = found.find((it) => String(it.userId) === key);
    if (!meant) throw error;
    return report(meant.id);
  }
}

export function player({ key, query, signal }) {
  const title = heading(`Player ${key}`);
  title.classList.add('name');
  const top = make('div', {});
  const { element, body } = panel('history', 'History');
  let stream;

  const look = () => load(top, signal, () => find(key, signal), (user) => {
    document.title = `${user.username} · Laurel operators`;
    title.querySelector('h1').textContent = user.username;
    for (const it of title.querySelectorAll('.badge')) it.remove();
    title.append(...states(user));
    fill(top, [standing(user), make('div.deeds', { role: 'group', 'aria-label': 'What can be done' }, deedButtons(user, look))]);
    if (stream) return stream.again();
    stream = history(user.id, query, signal, element.querySelector('header'));
    body.append(stream.element);
  });
  look();
  return make('div', {}, make('p.back', {}, make('a', { href: '#/players' }, '← Players')), title, top, element);
}

function standing(user) {
  const held = user.aside && !user.banned ? user.score - user.shown : 0;
  const time = (it) => (it ? make('time', { datetime: it, title: asMoment(it) }, ago(it)) : 'never');
  const facts = [
    ['Score', points(user.score)],
    ['Shown to others', user.banned ? 'nothing: banned' : points(user.shown)],
    user.aside && ['Held', user.banned ? 'what was won since' : points(held)],
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
