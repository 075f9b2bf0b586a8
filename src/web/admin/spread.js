// Distributions: how many players have how much, and how many actions a game session has.

import { chart } from './chart.js';
import { make, panel } from './element.js';
import { asMinute, compact, counted, decimal, number, points, span } from './format.js';

/** Bars side by side, each with a name; `named` gets the splits of the axis. */
function bars(names) {
  return {
    range: (_, low, high) => [low - 0.6, high + 0.6],
    incrs: [1, 2, 5, 10],
    space: 46,
    values: (splits) => splits.map((it) => names()[it] ?? ''),
  };
}

function facts(pairs) {
  return make('dl.facts', {}, pairs.map(([name, value]) => make('div', {}, make('dt', {}, name), make('dd', {}, value))));
}

export function scores(signal) {
  const { element, body } = panel('scores', 'Scores');
  let buckets = [];
  const range = (it) => {
    if (it.to === null) return `${number(it.from)} and more`;
    return it.to - it.from === 1 ? number(it.from) : `${number(it.from)} to ${number(it.to - 1)}`;
  };
  const drawing = chart({
    name: 'Players by score',
    signal,
    // The names are those of the edges between the bars.
    x: bars(() => [...buckets.map((it) => `${compact(it.from)}${it.to === null ? '+' : ''}`), compact(buckets.at(-1)?.to ?? undefined)]),
    ink: 'gold',
    columns: [
      { title: 'Score', head: true, cell: range },
      { title: 'Players', class: 'number', cell: (it) => number(it.users) },
    ],
    read: (index) => `${range(buckets[index])} points · ${counted(buckets[index].users, 'player')}`,
  });
  const about = make('div', {});
  const widths = make('p.quiet.small', {});
  body.append(about, widths, drawing.element);
  return {
    element,
    draw(found) {
      buckets = found.buckets;
      const { p50, p90, p99, max } = found.percentiles;
      about.replaceChildren(facts([['Players', number(found.users)], ['Half have', `≤ ${number(p50)}`], ['90 %', `≤ ${number(p90)}`], ['99 %', `≤ ${number(p99)}`], ['Best', number(max)]]));
      const last = buckets.at(-1);
      const endless = last?.to === null;
      widths.textContent = last ? `Each bar is ${points(buckets[0].to - buckets[0].from)} wide${endless ? `; the dashed one is everybody from ${number(last.from)} on` : ''}.` : '';
      drawing.draw(buckets.map((_, it) => it + 0.5), buckets.map((it) => it.users), buckets,
        `${number(found.users)} players; half have ${number(p50)} or less, one in a hundred more than ${number(p99)}. ${widths.textContent}`, { lastApart: endless });
    },
  };
}

export function sessions(signal) {
  const { element, body } = panel('sessions', 'Actions per game session');
  let buckets = [];
  // A class ends where the next begins; the last one has no end.
  const named = (it, index) => {
    const next = buckets[index + 1];
    if (!next) return `${number(it.actions)}+`;
    return next.actions - it.actions > 1 ? `${number(it.actions)}–${number(next.actions - 1)}` : number(it.actions);
  };
  const drawing = chart({
    name: 'Game sessions by actions',
    signal,
    x: bars(() => buckets.map(named)),
    ink: 'laurel',
    columns: [
      { title: 'Actions', head: true, cell: (it) => named(it, buckets.indexOf(it)) },
      { title: 'Sessions', class: 'number', cell: (it) => number(it.sessions) },
    ],
    read: (index) => `${named(buckets[index], index)} actions · ${counted(buckets[index].sessions, 'session')}`,
  });
  const about = make('div', {});
  body.append(about, drawing.element);
  return {
    element,
    draw(found) {
      buckets = found.buckets;
      about.replaceChildren(facts([['Sessions', number(found.sessions)], ['Actions each', decimal(found.actionsPerSession)], ['Length', span(found.averageSeconds ?? 0)], ['Since (UTC)', asMinute(found.from)]]));
      drawing.draw(buckets.map((_, it) => it), buckets.map((it) => it.sessions), buckets, `${number(found.sessions)} sessions of ${decimal(found.actionsPerSession)} actions each.`);
    },
  };
}
