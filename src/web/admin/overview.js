// The overview: activity, most active players, peak hours, distributions. Refreshed every 30 seconds while the page is visible.

import { refusals, tiles, timeline } from './activity.js';
import { get } from './api.js';
import { scores, sessions } from './distribution.js';
import { choice, fill, heading, make, panel, table } from './elements.js';
import { ago, asClock, asSecond, number } from './format.js';
import { heatmap } from './heatmap.js';
import { load, refresh, showError } from './notices.js';
import { setQuery } from './router.js';
import { stateBadges, userLink } from './userCells.js';

const REFRESH_MS = 30_000;
const PERIODS = {
  '24h': { title: '24 hours', hours: 24, step: 'hour', days: 1 },
  '7d': { title: '7 days', hours: 168, step: 'hour', days: 7 },
  '30d': { title: '30 days', hours: 720, step: 'day', days: 30 },
  '1y': { title: '1 year', hours: 8760, step: 'day', days: 365 },
};
/** Fewer days say little about the hours of a week. */
const MIN_HEATMAP_DAYS = 28;

export function overview({ query, signal }) {
  let period = Object.hasOwn(PERIODS, query.get('period') ?? '') ? query.get('period') : '24h';
  const panels = {
    totals: tiles(), timeline: timeline(signal), refusals: refusals(), active: mostActive(query, signal), heatmap: heatmap(signal), scores: scores(signal), sessions: sessions(signal),
  };
  const updatedAt = make('p.quiet.small', {}, '');
  const periodChoice = choice('Period', Object.entries(PERIODS).map(([key, { title }]) => [key, title]), period, (value) => {
    period = value;
    setQuery({ period });
    reload();
  });
  const problem = make('div.outlet', {});

  async function reload() {
    const { hours, step, days } = PERIODS[period];
    const update = (path, ...drawn) =>
      refresh(drawn[0].element, signal, () => get(`/api/admin/${path}`, signal), (data) => { for (const part of drawn) part.draw(data); });
    try {
      await refresh(problem, signal, () => Promise.all([
        update(`activity?hours=${hours}&step=${step}`, panels.totals, panels.timeline, panels.refusals),
        update(`peak-hours?days=${Math.max(MIN_HEATMAP_DAYS, days)}`, panels.heatmap),
        update('scores', panels.scores),
        update(`sessions?days=${days}`, panels.sessions),
        panels.active.reload(),
      ]), () => {
        problem.replaceChildren();
        updatedAt.textContent = `as of ${asClock(new Date())} UTC`;
      });
    } catch (error) {
      showError(problem, error, reload);
    }
  }

  const reloadIfVisible = () => document.visibilityState === 'visible' && reload();
  const timer = setInterval(reloadIfVisible, REFRESH_MS);
  document.addEventListener('visibilitychange', reloadIfVisible, { signal });
  signal.addEventListener('abort', () => clearInterval(timer));
  reload();
  return make('div.overview', {}, heading('Overview', updatedAt, periodChoice), problem, panels.totals.element,
    make('div.grid', {}, ['timeline', 'refusals', 'active', 'heatmap', 'scores', 'sessions'].map((name) => panels[name].element)));
}

/** The players with the most awards, over a period of its own. */
function mostActive(query, signal) {
  const periods = [['hour', 'This hour'], ['day', 'Today'], ['week', 'This week'], ['month', 'This month']];
  let period = periods.some(([name]) => name === query.get('active')) ? query.get('active') : 'day';
  const { element, body } = panel('active', 'Most active', choice('Period of the most active', periods, period, (value) => {
    period = value;
    setQuery({ active: period });
    load(body, signal, request, draw);
  }));
  const request = () => get(`/api/admin/most-active?period=${period}&limit=10`, signal);
  const draw = ({ users, from }) => fill(body, [
    table('Most active', [
      { title: 'Player', isHead: true, cell: (user) => [userLink(user), stateBadges(user)] },
      { title: 'Awards', class: 'number', cell: (user) => number(user.awards) },
      { title: 'Points', class: 'number', cell: (user) => number(user.points) },
      { title: 'Last award', class: 'tight', cell: ({ lastAt }) => make('time', { datetime: lastAt, title: asSecond(lastAt) }, ago(lastAt)) },
    ], users, { empty: 'No awards in this period.' }),
    make('p.quiet.small', {}, `since ${asSecond(from)}`),
  ]);
  return { element, reload: () => refresh(body, signal, request, draw) };
}
