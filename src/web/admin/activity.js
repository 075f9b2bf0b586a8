// Awards and refusals over time, their sums, and the refusals by their codes.

import { chart } from './chart.js';
import { fill, make, panel, table } from './element.js';
import { asDay, asHour, asMinute, asShortDay, compact, counted, decimal, number, words } from './format.js';

const HOUR_S = 3600;
const DAY_S = 24 * HOUR_S;

const refused = (row) => Object.values(row.refusals).reduce((sum, it) => sum + it, 0);

/** The sums, as instruments in a row. */
export function tiles() {
  const element = make('dl.tiles.card', { 'aria-label': 'Sums of the period' });
  return {
    element,
    draw({ summary, rows }) {
      // The last hour or day is not over: at the end of a line it would look like a fall.
      const over = rows.slice(0, -1);
      const line = (read, ink) => (over.some((it) => read(it) > 0) ? spark(over.map(read), ink) : null);
      fill(element, [
        tile('Active players', compact(summary.activeUsers), line((it) => it.activeUsers, 'laurel')),
        tile('Awards', compact(summary.awards), line((it) => it.awards, 'laurel')),
        tile('Points', compact(summary.points), line((it) => it.points, 'gold')),
        tile('Refusals', compact(summary.refusals), line(refused, 'danger')),
        tile('Game sessions', compact(summary.sessions), note('that have ended')),
        tile('Actions per session', decimal(summary.actionsPerSession), note('on average')),
        tile('New players', compact(summary.newUsers), note('registered')),
      ]);
    },
  };
}

function tile(name, value, line) {
  return make('div.tile', {}, make('dt', {}, name), make('dd', {}, value), line);
}

const note = (text) => make('dd.note-line', {}, text);

/** A line without words, for the eye alone: the charts say the same. */
function spark(all, ink) {
  const SVG = 'http://www.w3.org/2000/svg';
  // It is as wide as a thumb: more points than this would be a smear.
  const each = Math.ceil(all.length / 36);
  const length = Math.floor(all.length / each);
  // What is left over is the oldest.
  const newest = all.slice(all.length - length * each);
  const values = Array.from({ length }, (_, it) => newest.slice(it * each, (it + 1) * each).reduce((sum, one) => sum + one));
  const most = Math.max(1, ...values);
  const points = values.map((it, index) => `${(index / (values.length - 1)) * 100},${23 - (it / most) * 22}`);
  const svg = document.createElementNS(SVG, 'svg');
  const line = document.createElementNS(SVG, 'polyline');
  const set = (element, pairs) => Object.entries(pairs).forEach(([name, value]) => element.setAttribute(name, value));
  set(svg, { viewBox: '0 0 100 24', preserveAspectRatio: 'none', 'aria-hidden': 'true', class: `spark ${ink}` });
  set(line, { points: points.join(' '), 'vector-effect': 'non-scaling-stroke' });
  svg.append(line);
  return svg;
}

/** Two drawings over the same time, whose pointers go together. */
export function course(signal) {
  const { element, body } = panel('course', 'Over time', make('p.quiet.small', { 'data-step': true }));
  let rows = [];
  let step = 'hour';
  const when = (it) => (step === 'day' ? asDay(it.at) : asMinute(it.at));
  const soFar = (it) => it === rows.at(-1);
  const at = { title: 'From', head: true, cell: (it) => [make('time', { datetime: it.at }, when(it)), soFar(it) && make('span.badge', {}, 'so far')] };
  const figures = [
    { title: 'Awards', class: 'number', cell: (it) => number(it.awards) },
    { title: 'Points', class: 'number', cell: (it) => number(it.points) },
    { title: 'Active players', class: 'number', cell: (it) => number(it.activeUsers) },
  ];
  const place = (index) => `${when(rows[index])}${soFar(rows[index]) ? ', so far' : ''}`;
  const x = {
    time: true,
    values: (splits, every) => splits.map((it) => label(it, every)),
    // The first and the last are as wide as the others.
    range: (_, low, high) => { const half = (step === 'day' ? DAY_S : HOUR_S) / 2; return [low - half, high + half]; },
  };
  const awards = chart({
    name: 'Awards', signal, x, ink: 'laurel', sync: 'course', columns: [at, ...figures],
    read: (index) => [place(index), counted(rows[index].awards, 'award'), counted(rows[index].points, 'point'), counted(rows[index].activeUsers, 'player')].join(' · '),
  });
  const refusals = chart({
    name: 'Refusals', signal, x, ink: 'danger', sync: 'course', height: 130,
    columns: [at, { title: 'Refusals', class: 'number', cell: (it) => number(refused(it)) }],
    read: (index) => `${place(index)} · ${counted(refused(rows[index]), 'refusal')}`,
  });
  body.append(make('h3', {}, 'Awards'), awards.element, make('h3', {}, 'Refusals'), refusals.element);
  return {
    element,
    body,
    draw(found) {
      ({ rows, step } = found);
      element.querySelector('[data-step]').textContent = `by UTC ${step}; the dashed one is not over yet`;
      const times = rows.map((it) => Date.parse(it.at) / 1000);
      const how = { bars: rows.length <= 60, lastApart: true };
      const sentence = (read) => `${told(rows, read, when)} The last ${step} is not over yet.`;
      awards.draw(times, rows.map((it) => it.awards), rows, sentence((it) => it.awards), how);
      refusals.draw(times, rows.map(refused), rows, sentence(refused), how);
    },
  };
}

function label(seconds, every) {
  const at = new Date(seconds * 1000);
  return every >= DAY_S || seconds % DAY_S === 0 ? asShortDay(at) : asHour(at);
}

/** A course in a sentence: its sum and its peak. */
function told(rows, read, when) {
  if (!rows.length) return 'Nothing yet.';
  const sum = rows.reduce((all, it) => all + read(it), 0);
  const peak = rows.reduce((best, it) => (read(it) > read(best) ? it : best));
  return `${number(sum)} in all; the most, ${number(read(peak))}, at ${when(peak)}.`;
}

/** Refusals by their codes, the most first, each with a bar. */
export function refusals() {
  const { element, body } = panel('refusals', 'Refusals by code');
  return {
    element,
    draw({ rows }) {
      const sums = {};
      for (const row of rows) for (const [code, count] of Object.entries(row.refusals)) sums[code] = (sums[code] ?? 0) + count;
      const found = Object.entries(sums).sort((one, other) => other[1] - one[1]);
      const most = found[0]?.[1] ?? 1;
      fill(body, [table('Refusals by code', [
        { title: 'Code', head: true, cell: ([code, count]) => [make('span', { title: code }, words(code)), bar(count / most)] },
        { title: 'Refusals', class: 'number', cell: ([, count]) => number(count) },
      ], found, { empty: 'Nothing was refused.' })]);
    },
  };
}

function bar(share) {
  return make('span.bar-line', { 'aria-hidden': 'true', style: { '--share': String(share) } });
}
