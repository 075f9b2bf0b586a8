// Awards by weekday and hour. It is a table, so that screen readers can read it.

import { fill, make, panel } from './elements.js';
import { asShortDay, compact, counted, number } from './format.js';

const DAYS = ['Monday', 'Tuesday', 'Wednesday', 'Thursday', 'Friday', 'Saturday', 'Sunday'];
const HOURS = Array.from({ length: 24 }, (_, hour) => String(hour).padStart(2, '0'));
const LEVELS = 5;

/** On a narrow screen hours are rows. */
const narrow = matchMedia('(max-width: 760px)');

export function heatmap(signal) {
  const { element, body } = panel('heatmap', 'Peak hours', make('p.quiet.small', {}, 'awards by weekday and hour, UTC; framed: still counting'));
  let drawn;
  const draw = (data) => {
    drawn = data;
    const all = data.awards.flat();
    const max = Math.max(...all);
    const peak = all.indexOf(max);
    const summary = max
      ? `Busiest: ${DAYS[Math.floor(peak / 24)]}, ${HOURS[peak % 24]}:00 to ${HOURS[(peak % 24 + 1) % 24]}:00, with ${counted(max, 'award')} since ${asShortDay(data.from)}.`
      : 'No awards yet.';
    fill(body, [drawTable(data.awards, max), make('p.quiet.small', {}, summary)]);
  };
  narrow.addEventListener('change', () => { if (drawn) draw(drawn); }, { signal });
  return { element, draw };
}

function drawTable(awards, max) {
  const now = new Date();
  const [today, thisHour] = [(now.getUTCDay() + 6) % 7, now.getUTCHours()];
  const cell = (day, hour) => {
    const count = awards[day][hour];
    const level = count && Math.max(1, Math.ceil((count / max) * LEVELS));
    const isNow = day === today && hour === thisHour;
    return make(`td.level-${level}${isNow ? '.now' : ''}`, { title: `${DAYS[day]} ${HOURS[hour]}:00: ${number(count)} awards${isNow ? ' so far' : ''}` }, count ? compact(count) : '·');
  };
  const hourHead = (hour, scope) => make('th', { scope }, hour);
  const dayHead = (day, scope) => make('th', { scope }, make('abbr', { title: day }, day.slice(0, 3)));
  const hoursAreRows = narrow.matches;
  const [columns, rows] = hoursAreRows ? [DAYS, HOURS] : [HOURS, DAYS];
  const [columnHead, rowHead] = hoursAreRows ? [dayHead, hourHead] : [hourHead, dayHead];
  return make('div.scroll', {}, make('table.heatmap', {},
    make('caption.visually-hidden', {}, 'Awards by weekday and hour, UTC'),
    make('thead', {}, make('tr', {}, make('td', {}), columns.map((name) => columnHead(name, 'col')))),
    make('tbody', {}, rows.map((name, row) => make('tr', {}, rowHead(name, 'row'),
      columns.map((_, column) => (hoursAreRows ? cell(column, row) : cell(row, column))))))));
}
