// All that happened to a player, the newest first, page by page.

import { get } from './api.js';
import { detail } from './audit.js';
import { choice, make } from './element.js';
import { asClock, asDay, asMoment, change, counted, number, points, utcDay, words } from './format.js';
import { remember } from './place.js';
import { tell } from './tell.js';

const PAGE = 50;
/** A filter reads on by itself until it shows so many, or has read so many pages. */
const ENOUGH = 20;
const PAGES_AT_ONCE = 6;

const FILTERS = [
  ['', 'All', null],
  ['award', 'Awards', ['award', 'carried']],
  ['adjustment', 'Adjustments', ['adjustment']],
  ['refused', 'Refused', ['refused']],
  ['unfinished', 'Unfinished', ['expired', 'open']],
  ['session', 'Sessions', ['session']],
  ['admin', 'Operators', ['admin', 'adjustment']],
];

export function history(id, query, signal, header) {
  let filter = FILTERS.find(([it]) => it === query.get('kind')) ?? FILTERS[0];
  let rows = [];
  let next;
  let turn = 0;
  const list = make('div.history', {});
  const count = make('p.quiet.small', { role: 'status' });
  const trouble = make('div.outlet', {});
  const more = make('button.small', { type: 'button', hidden: true, on: { click: () => read(1) } }, 'Load older');
  header.append(choice('Show', FILTERS.map(([key, text]) => [key, text]), filter[0], (value) => {
    filter = FILTERS.find(([it]) => it === value);
    remember({ kind: value });
    // The page under way counts for nothing now: without the first one there would be nothing to show.
    read(next === undefined ? 1 : 0);
  }));

  const shown = () => rows.filter((it) => !filter[2] || filter[2].includes(it.kind));

  /** Reads at least so many pages, and on while a filter hides most. */
  async function read(atLeast) {
    const mine = ++turn;
    more.disabled = true;
    trouble.replaceChildren();
    const before = shown().length;
    try {
      for (let page = 0; next !== null && (page < atLeast || (filter[2] && page < PAGES_AT_ONCE && shown().length - (atLeast ? before : 0) < ENOUGH)); page += 1) {
        const found = await get(`/api/admin/users/${id}/history?limit=${PAGE}${next ? `&before=${encodeURIComponent(next)}` : ''}`, signal);
        if (mine !== turn) return;
        rows.push(...found.events);
        ({ next } = found);
      }
    } catch (error) {
      if (signal.aborted || mine !== turn) return;
      tell(trouble, error, () => read(atLeast));
    } finally {
      if (mine === turn) more.disabled = false;
    }
    // Of a history that did not come nothing is known, not even that it is empty.
    if (next !== undefined) draw();
  }

  function draw() {
    const visible = shown();
    list.replaceChildren(...days(visible));
    if (!visible.length) list.append(make('p.empty.quiet', {}, empty()));
    count.textContent = `${number(visible.length)} shown of ${number(rows.length)} loaded${next === null ? ', which is all' : ''}.`;
    more.hidden = next === null;
  }

  function empty() {
    if (!filter[2]) return 'Nothing happened yet.';
    return next === null ? 'Nothing of this kind happened.' : 'Nothing of this kind among what is loaded.';
  }

  function again() {
    rows = [];
    next = undefined;
    return read(1);
  }

  again();
  return { element: make('div', {}, list, trouble, make('div.more', {}, more, count)), again };
}

function days(rows) {
  const found = Map.groupBy(rows, (it) => utcDay(it.at));
  return [...found].map(([day, of]) => make('section', {}, make('h3', {}, asDay(day)), make('ol', {}, of.map(entry))));
}

/** What a row says in a line, and the points if it has some. */
const KINDS = {
  award: (it) => ['award', words(it.actionType), it.held && make('span.badge.quarantine', {}, 'held')],
  carried: (it) => [it.actionType, it.actionType === 'carried' ? 'what older months came to' : 'not won by an action'],
  adjustment: (it) => [it.actionType, it.note ? said(it.note.by, it.note.why) : ''],
  refused: (it) => ['refused', `${words(it.actionType)}: the proof did not verify`],
  expired: (it) => ['expired', `${words(it.actionType)}: never finished`],
  open: (it) => ['open', `${words(it.actionType)}: may still be finished`],
  session: (it) => ['session', `${counted(it.actions ?? 0, 'action')}${it.active ? ', still on' : ''}`],
  admin: (it) => [it.action, said(it.actor, it.reason), detail(it.detail)],
};
const said = (who, why) => [`${who}: `, make('span.reason', {}, why)];
const NAMES = { adjust: 'adjusted', void: 'voided' };

function entry(row) {
  const [badge, text, extra] = (KINDS[row.kind] ?? ((it) => [it.kind, '']))(row);
  const moved = ['award', 'carried', 'adjustment'].includes(row.kind);
  return make('li', { 'data-kind': row.kind }, make('details', {},
    make('summary', {},
      make('time', { datetime: row.at, title: asMoment(row.at) }, asClock(row.at)),
      make(`span.badge.${badge}`, {}, NAMES[badge] ?? words(badge)),
      make('span.text', {}, text, ' ', extra),
      moved && make('span.moved', { 'data-sign': row.points < 0 ? 'minus' : 'plus' }, change(row.points)),
      moved && make('span.after.quiet', { title: 'The score after it' }, number(row.scoreAfter))),
    facts(row)));
}

/** Everything that is known of a row. */
function facts(row) {
  const known = Object.entries(row).filter(([name, value]) => name !== 'kind' && value !== null && value !== undefined);
  const value = (name, it) => {
    if (typeof it === 'object') return make('code', {}, proofText(it));
    if (/At$|^at$/.test(name)) return asMoment(it);
    if (name === 'points') return points(it);
    if (typeof it === 'boolean') return it ? 'yes' : 'no';
    return typeof it === 'number' ? number(it) : String(it);
  };
  const spaced = (name) => name.replace(/[A-Z]/g, (it) => ` ${it.toLowerCase()}`);
  return make('dl.facts', {}, known.map(([name, it]) => make('div', {}, make('dt', {}, spaced(name)), make('dd', {}, value(name, it)))));
}

/** A proof or a note as it was sent, cut where it is long. */
export function proofText(it) {
  const text = it === null || it === undefined ? '' : JSON.stringify(it);
  return text.length > 600 ? `${text.slice(0, 600)} …` : text;
}
