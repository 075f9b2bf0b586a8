// A user as the lists show one.

import { make } from './element.js';
import { SIGNS, number, words } from './format.js';

/** The name, as a link to the player's page. */
export function userLink({ userId, username }) {
  return make('a.user', { href: `#/players/${userId}` }, username);
}

/** What holds of a user, in words. */
export function states({ banned, quarantined, role }) {
  return [
    banned && make('span.badge.ban', {}, 'banned'),
    quarantined && make('span.badge.quarantine', {}, 'set aside'),
    role === 'admin' && make('span.badge.grant', {}, 'operator'),
  ].filter(Boolean);
}

/** How much is known against a suspect, beside the most that is known against one of the same kind. */
export function weight(it, most) {
  return [number(it.weight), make('span.bar-line', { 'aria-hidden': 'true', style: { '--share': String(it.weight / most) } })];
}

/** Signs of cheating with how often each was seen. */
export function signs(seen) {
  const most = Object.entries(seen).sort((one, other) => other[1] - one[1]);
  return make('span.signs', {}, most.map(([sign, count]) => make('span.sign', { title: SIGNS[sign] }, words(sign), ' ', make('b', {}, `×${count}`))));
}
