// Cells of tables with users: name, state, risk score, abuse signals.

import { make, shareBar } from './elements.js';
import { SIGNALS, number, words } from './format.js';

/** The name, linked to the player's page. */
export function userLink({ userId, username }) {
  return make('a.user', { href: `#/players/${userId}` }, username);
}

/** Badges: banned, quarantined, admin. */
export function stateBadges({ banned, quarantined, role }) {
  return [
    banned && make('span.badge.ban', {}, 'banned'),
    quarantined && make('span.badge.quarantine', {}, 'quarantined'),
    role === 'admin' && make('span.badge.grant', {}, 'admin'),
  ].filter(Boolean);
}

/** A risk score, with a bar relative to the highest of its table. */
export function riskScore(score, max) {
  return [number(score), shareBar(score / max)];
}

/** Signals with their counts, most frequent first. */
export function signalList(counts) {
  const sorted = Object.entries(counts).sort((one, other) => other[1] - one[1]);
  return make('span.signals', {}, sorted.map(([signal, count]) => make('span.signal', { title: SIGNALS[signal] }, words(signal), ' ', make('b', {}, `×${count}`))));
}
