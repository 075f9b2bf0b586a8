// The overview: how much is played, by whom and when. It looks again every half a minute while somebody sees it.

import { course, refusals, tiles } from './activity.js';
import { get } from './api.js';
import { choice, fill, heading, make, panel, table } from './element.js';
import { ago, asClock, asMoment, number } from './format.js';
import { heat } from './heat.js';
import { remember } from './place.js';
import { scores, sessions } from './spread.js';
import { load, refresh, tell } from './tell.js';
import { states, userLink } from './user.js';

const EVERY_MS = 30_000;
const PERIODS = {
  '24h': { title: '24 hours', hours: 24, step: 'hour', days: 1 },
  '7d': { title: '7 days', hours: 168, step: 'hour', days: 7 },
  '30d': { title: '30 days', hours: 720, step: 'day', days: 30 },
  '1y': { title: '1 year', hours: 8760, step: 'day', days: 365 },
};

export function overview({ query, signal }) {
  let period = Object.hasOwn(PERIODS, query.get('period') ?? '') ? query.get('period') : '24h';
  const parts = {
    sums: tiles(), course: course(signal), refusals: refusals(), active: mostActive(query, signal), heat: heat(signal), scores: scores(signal), sessions: sessions(signal),
  };
  const stamp = make('p.quiet.small', {}, '');
  const pick = choice('Period', Object.entries(PERIODS).map(([key, it]) => [key, it.title]), period, (value) => {
    period = value;
    remember({ period });
    look();
  });
  const trouble = make('div.outlet', {});

  async function look() {
    const { hours, step, days } = PERIODS[period];
    const part = (path, ...drawn) =>
      refresh(drawn[0].element, signal, () => get(`/api/admin/${path}`, signal), (found) => { for (const it of drawn) it.draw(found); });
    try {
      await refresh(trouble, signal, () => Promise.all([
        part(`activity?hours=${hours}&step=${step}`, parts.sums, parts.course, parts.refusals),
        // One day says nothing of a week's hours.
        part(`peak-hours?days=${Math.max(28, days)}`, parts.heat),
        part('scores', parts.scores),
        part(`sessions?days=${days}`, parts.sessions),
        parts.active.look(),
      ]), () => {
        trouble.replaceChildren();
        stamp.textContent = `as of ${asClock(new Date())} UTC`;
      });
    } catch (error) {
      tell(trouble, error, look);
    }
  }

  const again = () => document.visibilityState === 'visible' && look();
  const timer = setInterval(again, EVERY_MS);
  document.addEventListener('visibilitychange', again, { signal });
  signal.addEventListener('abort', () => clearInterval(timer));
  look();
  return make('div.overview', {}, heading('Overview', stamp, pick), trouble, parts.sums.element,
    make('div.grid', {}, ['course', 'refusals', 'active', 'heat', 'scores', 'sessions'].map((it) => parts[it].element)));
}

/** Who won most, over a period of its own. */
function mostActive(query, signal) {
  const periods = [['hour', 'This hour'], ['day', 'Today'], ['week', 'Week'], ['month', 'Month']];
  let period = periods.some(([it]) => it === query.get('active')) ? query.get('active') : 'day';
  const { element, body } = panel('active', 'Most active', choice('Most active of the', periods, period, (value) => {
    period = value;
    remember({ active: period });
    load(body, signal, read, draw);
  }));
  const read = () => get(`/api/admin/most-active?period=${period}&limit=10`, signal);
  const draw = ({ users, from }) => fill(body, [
    table('Most active', [
      { title: 'Player', head: true, cell: (it) => [userLink(it), states(it)] },
      { title: 'Awards', class: 'number', cell: (it) => number(it.awards) },
      { title: 'Points', class: 'number', cell: (it) => number(it.points) },
      { title: 'Last', class: 'tight', cell: (it) => make('time', { datetime: it.lastAt, title: asMoment(it.lastAt) }, ago(it.lastAt)) },
    ], users, { empty: 'Nobody won anything in this time.' }),
    make('p.quiet.small', {}, `since ${asMoment(from)}`),
  ]);
  return { element, look: () => refresh(body, signal, read, draw) };
}
