// Awards and refusals over time, their totals, and refusals by code.

import { chart } from './chart.js';
import { fill, make, panel, shareBar, table } from './elements.js';
import { asDay, asHour, asMinute, asShortDay, compact, counted, decimal, number, words } from './format.js';

const HOUR_S = 3600;
const DAY_S = 24 * HOUR_S;
/** More points would be a smear at the width of a sparkline. */
const MAX_SPARK_POINTS = 36;

const refusalsOf = (row) => Object.values(row.refusals).reduce((sum, count) => sum + count, 0);

/** The totals of the period, with sparklines. */
export function tiles() {
  const element = make('dl.tiles.card', { 'aria-label': 'Totals of the period' });
  return {
    element,
    draw({ summary, rows }) {
      // The last hour or day is incomplete and would look like a drop.
      const complete = rows.slice(0, -1);
      const line = (read, color) => (complete.some((row) => read(row) > 0) ? sparkline(complete.map(read), color) : null);
      fill(element, [
        tile('Active players', compact(summary.activeUsers), line((row) => row.activeUsers, 'laurel')),
        tile('Awards', compact(summary.awards), line((row) => row.awards, 'laurel')),
        tile('Points', compact(summary.points), line((row) => row.points, 'gold')),
        tile('Refusals', compact(summary.refusals), line(refusalsOf, 'danger')),
        tile('Game sessions', compact(summary.sessions), note('ended')),
        tile('Actions per session', decimal(summary.actionsPerSession), note('on average')),
        tile('New players', compact(summary.newUsers), note('registered')),
      ]);
    },
  };
}

function tile(name, value, extra) {
  return make('div.tile', {}, make('dt', {}, name), make('dd', {}, value), extra);
}

const note = (text) => make('dd.note-line', {}, text);

/** A line chart without text. Hidden from screen readers, because the charts below show the same values. */
function sparkline(all, color) {
  const size = Math.ceil(all.length / MAX_SPARK_POINTS);
  const length = Math.floor(all.length / size);
  // The oldest values that do not fill a group are left out.
  const newest = all.slice(all.length - length * size);
  const values = Array.from({ length }, (_, index) => newest.slice(index * size, (index + 1) * size).reduce((sum, value) => sum + value));
  const max = Math.max(1, ...values);
  const points = values.map((value, index) => `${(index / (values.length - 1)) * 100},${23 - (value / max) * 22}`);
  const svg = svgElement('svg', { viewBox: '0 0 100 24', preserveAspectRatio: 'none', 'aria-hidden': 'true', class: `spark ${color}` });
  svg.append(svgElement('polyline', { points: points.join(' '), 'vector-effect': 'non-scaling-stroke' }));
  return svg;
}

function svgElement(name, attributes) {
  const element = document.createElementNS('http://www.w3.org/2000/svg', name);
  for (const [attribute, value] of Object.entries(attributes)) element.setAttribute(attribute, value);
  return element;
}

/** The charts of awards and refusals over time, with a common cursor. */
export function timeline(signal) {
  const { element, body } = panel('timeline', 'Over time', make('p.quiet.small', { 'data-step': true }));
  let rows = [];
  let step = 'hour';
  const timeOf = (row) => (step === 'day' ? asDay(row.at) : asMinute(row.at));
  const isIncomplete = (row) => row === rows.at(-1);
  const start = { title: 'From', isHead: true, cell: (row) => [make('time', { datetime: row.at }, timeOf(row)), isIncomplete(row) && make('span.badge', {}, 'so far')] };
  const figures = [
    { title: 'Awards', class: 'number', cell: (row) => number(row.awards) },
    { title: 'Points', class: 'number', cell: (row) => number(row.points) },
    { title: 'Active players', class: 'number', cell: (row) => number(row.activeUsers) },
  ];
  const labelOf = (index) => `${timeOf(rows[index])}${isIncomplete(rows[index]) ? ', so far' : ''}`;
  const x = {
    time: true,
    values: (splits, increment) => splits.map((seconds) => tickLabel(seconds, increment)),
    // The first and the last bar are as wide as the others.
    range: (_, low, high) => { const half = (step === 'day' ? DAY_S : HOUR_S) / 2; return [low - half, high + half]; },
  };
  const awards = chart({
    name: 'Awards', signal, x, color: 'laurel', sync: 'timeline', columns: [start, ...figures],
    describe: (index) => [labelOf(index), counted(rows[index].awards, 'award'), counted(rows[index].points, 'point'), counted(rows[index].activeUsers, 'player')].join(' · '),
  });
  const refusals = chart({
    name: 'Refusals', signal, x, color: 'danger', sync: 'timeline', height: 130,
    columns: [start, { title: 'Refusals', class: 'number', cell: (row) => number(refusalsOf(row)) }],
    describe: (index) => `${labelOf(index)} · ${counted(refusalsOf(rows[index]), 'refusal')}`,
  });
  body.append(make('h3', {}, 'Awards'), awards.element, make('h3', {}, 'Refusals'), refusals.element);
  return {
    element,
    body,
    draw(data) {
      ({ rows, step } = data);
      element.querySelector('[data-step]').textContent = `per ${step}, UTC; dashed: still counting`;
      const times = rows.map((row) => Date.parse(row.at) / 1000);
      const style = { bars: rows.length <= 60, isLastSpecial: true };
      const summary = (read) => `${summarize(rows, read, timeOf)} The last ${step} is still counting.`;
      awards.draw(times, rows.map((row) => row.awards), rows, summary((row) => row.awards), style);
      refusals.draw(times, rows.map(refusalsOf), rows, summary(refusalsOf), style);
    },
  };
}

function tickLabel(seconds, increment) {
  const time = new Date(seconds * 1000);
  return increment >= DAY_S || seconds % DAY_S === 0 ? asShortDay(time) : asHour(time);
}

/** The total and the peak, in a sentence. */
function summarize(rows, read, timeOf) {
  if (!rows.length) return 'No data yet.';
  const sum = rows.reduce((total, row) => total + read(row), 0);
  const peak = rows.reduce((best, row) => (read(row) > read(best) ? row : best));
  return `${number(sum)} in total. Peak: ${number(read(peak))} at ${timeOf(peak)}.`;
}

/** Refusals by code, most frequent first. */
export function refusals() {
  const { element, body } = panel('refusals', 'Refusals by code');
  return {
    element,
    draw({ rows }) {
      const sums = {};
      for (const row of rows) for (const [code, count] of Object.entries(row.refusals)) sums[code] = (sums[code] ?? 0) + count;
      const sorted = Object.entries(sums).sort((one, other) => other[1] - one[1]);
      const max = sorted[0]?.[1] ?? 1;
      fill(body, [table('Refusals by code', [
        { title: 'Code', isHead: true, cell: ([code, count]) => [make('span', { title: code }, words(code)), shareBar(count / max)] },
        { title: 'Refusals', class: 'number', cell: ([, count]) => number(count) },
      ], sorted, { empty: 'No refusals.' })]);
    },
  };
}
