// When players play: a week's hours, the darker the more awards. A table, so that it can be read without seeing it.

import { fill, make, panel } from './element.js';
import { asShortDay, compact, number } from './format.js';

const DAYS = ['Monday', 'Tuesday', 'Wednesday', 'Thursday', 'Friday', 'Saturday', 'Sunday'];
const HOURS = Array.from({ length: 24 }, (_, it) => String(it).padStart(2, '0'));
const LEVELS = 5;

/** On a narrow screen the hours go down. */
const narrow = matchMedia('(max-width: 760px)');

export function heat(signal) {
  const { element, body } = panel('heat', 'Peak hours', make('p.quiet.small', {}, 'awards by UTC weekday and hour; the framed one is not over yet'));
  let held;
  const draw = (found) => {
    held = found;
    const most = Math.max(...found.awards.flat());
    const flat = found.awards.flat();
    const peak = flat.indexOf(most);
    const sentence = most
      ? `Busiest: ${DAYS[Math.floor(peak / 24)]}, ${HOURS[peak % 24]}:00 to ${HOURS[(peak % 24 + 1) % 24]}:00, with ${number(most)} awards since ${asShortDay(found.from)}.`
      : 'Nothing was awarded yet.';
    fill(body, [drawTable(found.awards, most), make('p.quiet.small', {}, sentence)]);
  };
  narrow.addEventListener('change', () => { if (held) draw(held); }, { signal });
  return { element, draw };
}

function drawTable(awards, most) {
  const now = new Date();
  const [today, thisHour] = [(now.getUTCDay() + 6) % 7, now.getUTCHours()];
  const cell = (day, hour) => {
    const count = awards[day][hour];
    const level = count && Math.max(1, Math.ceil((count / most) * LEVELS));
    const soFar = day === today && hour === thisHour;
    return make(`td.heat-${level}${soFar ? '.now' : ''}`, { title: `${DAYS[day]} ${HOURS[hour]}:00: ${number(count)} awards${soFar ? ' so far' : ''}` }, count ? compact(count) : '·');
  };
  const hourHead = (it, scope) => make('th', { scope }, it);
  const dayHead = (it, scope) => make('th', { scope }, make('abbr', { title: it }, it.slice(0, 3)));
  const down = narrow.matches;
  const [across, along] = down ? [DAYS, HOURS] : [HOURS, DAYS];
  const [acrossHead, alongHead] = down ? [dayHead, hourHead] : [hourHead, dayHead];
  return make('div.scroll', {}, make('table.heat', {},
    make('caption.unseen', {}, 'Awards by weekday and hour, UTC'),
    make('thead', {}, make('tr', {}, make('td', {}), across.map((it) => acrossHead(it, 'col')))),
    make('tbody', {}, along.map((name, row) => make('tr', {}, alongHead(name, 'row'),
      across.map((_, column) => (down ? cell(column, row) : cell(row, column))))))));
}
