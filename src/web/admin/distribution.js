// Histograms: players by score, and game sessions by number of actions.

import { chart } from './chart.js';
import { make, panel } from './elements.js';
import { asMinute, compact, counted, decimal, duration, number, points } from './format.js';

/** The x axis of adjacent bars. `labels()` returns the label of each position. */
function barAxis(labels) {
  return {
    range: (_, low, high) => [low - 0.6, high + 0.6],
    incrs: [1, 2, 5, 10],
    space: 46,
    values: (splits) => splits.map((split) => labels()[split] ?? ''),
  };
}

function facts(pairs) {
  return make('dl.facts', {}, pairs.map(([name, value]) => make('div', {}, make('dt', {}, name), make('dd', {}, value))));
}

export function scores(signal) {
  const { element, body } = panel('scores', 'Scores');
  let buckets = [];
  const rangeOf = ({ from, to }) => {
    if (to === null) return `${number(from)} and more`;
    return to - from === 1 ? number(from) : `${number(from)} to ${number(to - 1)}`;
  };
  const histogram = chart({
    name: 'Players by score',
    signal,
    // The labels are at the edges between bars.
    x: barAxis(() => [...buckets.map(({ from, to }) => `${compact(from)}${to === null ? '+' : ''}`), compact(buckets.at(-1)?.to ?? undefined)]),
    color: 'gold',
    columns: [
      { title: 'Score', isHead: true, cell: rangeOf },
      { title: 'Players', class: 'number', cell: (bucket) => number(bucket.users) },
    ],
    describe: (index) => `${rangeOf(buckets[index])} points · ${counted(buckets[index].users, 'player')}`,
  });
  const figures = make('div', {});
  const barWidth = make('p.quiet.small', {});
  body.append(figures, barWidth, histogram.element);
  return {
    element,
    draw(data) {
      buckets = data.buckets;
      const { p50, p90, p99, max } = data.percentiles;
      figures.replaceChildren(facts([['Players', number(data.users)], ['Median', number(p50)], ['90% have at most', number(p90)], ['99% have at most', number(p99)], ['Best', number(max)]]));
      const last = buckets.at(-1);
      const isOpenEnded = last?.to === null;
      barWidth.textContent = last ? `Each bar is ${points(buckets[0].to - buckets[0].from)} wide.${isOpenEnded ? ` The dashed one has all players from ${number(last.from)} up.` : ''}` : '';
      histogram.draw(buckets.map((_, index) => index + 0.5), buckets.map((bucket) => bucket.users), buckets,
        `${counted(data.users, 'player')}. Half have at most ${number(p50)}, 99% at most ${number(p99)}. ${barWidth.textContent}`, { isLastSpecial: isOpenEnded });
    },
  };
}

export function sessions(signal) {
  const { element, body } = panel('sessions', 'Actions per game session');
  let buckets = [];
  // A bucket ends where the next one starts. The last one is open-ended.
  const rangeOf = (bucket, index) => {
    const next = buckets[index + 1];
    if (!next) return `${number(bucket.actions)}+`;
    return next.actions - bucket.actions > 1 ? `${number(bucket.actions)}–${number(next.actions - 1)}` : number(bucket.actions);
  };
  const histogram = chart({
    name: 'Game sessions by actions',
    signal,
    x: barAxis(() => buckets.map(rangeOf)),
    color: 'laurel',
    columns: [
      { title: 'Actions', isHead: true, cell: (bucket) => rangeOf(bucket, buckets.indexOf(bucket)) },
      { title: 'Sessions', class: 'number', cell: (bucket) => number(bucket.sessions) },
    ],
    describe: (index) => `${rangeOf(buckets[index], index)} actions · ${counted(buckets[index].sessions, 'session')}`,
  });
  const figures = make('div', {});
  body.append(figures, histogram.element);
  return {
    element,
    draw(data) {
      buckets = data.buckets;
      const averages = [['Average actions', decimal(data.actionsPerSession)], ['Average duration', duration(data.averageSeconds ?? 0)]];
      figures.replaceChildren(facts([['Sessions', number(data.sessions)], ...averages, ['Since (UTC)', asMinute(data.from)]]));
      histogram.draw(buckets.map((_, index) => index), buckets.map((bucket) => bucket.sessions), buckets,
        `${counted(data.sessions, 'session')} with ${decimal(data.actionsPerSession)} actions on average.`);
    },
  };
}
