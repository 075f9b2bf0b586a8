// A player's history, newest first, page by page.

import { get } from './api.js';
import { detailsOf } from './audit.js';
import { choice, make } from './elements.js';
import { asClock, asDay, asSecond, change, counted, isoDay, number, points, words } from './format.js';
import { showError } from './notices.js';
import { setQuery } from './router.js';

const PAGE_SIZE = 50;
/** With a filter, pages are loaded until this many events are shown, or this many pages are loaded. */
const MIN_FILTERED_EVENTS = 20;
const MAX_PAGES_AT_ONCE = 6;
const MAX_JSON_CHARS = 600;

/** Filters: name in the URL, label, kinds of events. */
const FILTERS = [
  ['', 'All', null],
  ['award', 'Awards', ['award', 'carried']],
  ['adjustment', 'Adjustments', ['adjustment']],
  ['refused', 'Refused', ['refused']],
  ['unfinished', 'Unfinished', ['expired', 'open']],
  ['session', 'Sessions', ['session']],
  ['admin', 'Admin actions', ['admin', 'adjustment']],
];

export function history(id, query, signal, header) {
  let [filterName, , kinds] = FILTERS.find(([name]) => name === query.get('kind')) ?? FILTERS[0];
  let events = [];
  /** The cursor of the next page: undefined before the first page, null after the last. */
  let next;
  let newestRead = 0;
  const list = make('div.history', {});
  const count = make('p.quiet.small', { role: 'status' });
  const problem = make('div.outlet', {});
  const more = make('button.small', { type: 'button', hidden: true, on: { click: () => read(1) } }, 'Load older');
  header.append(choice('Show', FILTERS.map(([name, label]) => [name, label]), filterName, (value) => {
    [filterName, , kinds] = FILTERS.find(([name]) => name === value);
    setQuery({ kind: filterName });
    // This discards the page that is on its way, and without the first page there is nothing to show.
    read(next === undefined ? 1 : 0);
  }));

  const visibleEvents = () => events.filter((event) => !kinds || kinds.includes(event.kind));

  /** Loads at least `minPages` pages, and more while the filter hides most events. */
  async function read(minPages) {
    newestRead += 1;
    const thisRead = newestRead;
    more.disabled = true;
    problem.replaceChildren();
    const before = minPages ? visibleEvents().length : 0;
    const needsMore = (page) => page < minPages || (kinds && page < MAX_PAGES_AT_ONCE && visibleEvents().length - before < MIN_FILTERED_EVENTS);
    try {
      for (let page = 0; next !== null && needsMore(page); page += 1) {
        const found = await get(`/api/admin/users/${id}/history?limit=${PAGE_SIZE}${next ? `&before=${encodeURIComponent(next)}` : ''}`, signal);
        if (thisRead !== newestRead) return;
        events.push(...found.events);
        ({ next } = found);
      }
    } catch (error) {
      if (signal.aborted || thisRead !== newestRead) return;
      showError(problem, error, () => read(minPages));
    } finally {
      if (thisRead === newestRead) more.disabled = false;
    }
    // Without the first page, the history must not look empty.
    if (next !== undefined) draw();
  }

  function draw() {
    const visible = visibleEvents();
    list.replaceChildren(...days(visible));
    if (!visible.length) list.append(make('p.empty.quiet', {}, emptyText()));
    count.textContent = countText(visible.length);
    more.hidden = next === null;
  }

  function countText(visible) {
    if (next === null && !events.length) return '';
    if (next === null && visible === events.length) return visible === 1 ? 'Showing the only event.' : `Showing all ${number(visible)} events.`;
    return `Showing ${number(visible)} of ${counted(events.length, 'event')}${next === null ? '' : ' loaded so far'}.`;
  }

  function emptyText() {
    if (!kinds) return 'No events yet.';
    return next === null ? 'No events of this kind.' : 'No events of this kind among those loaded so far.';
  }

  function reload() {
    events = [];
    next = undefined;
    return read(1);
  }

  reload();
  return { element: make('div', {}, list, problem, make('div.more', {}, more, count)), reload };
}

function days(events) {
  const byDay = Map.groupBy(events, (event) => isoDay(event.at));
  return [...byDay].map(([day, ofDay]) => make('section', {}, make('h3', {}, asDay(day)), make('ol', {}, ofDay.map(eventRow))));
}

/** For each kind of event: its badge, its text, and more details. */
const KINDS = {
  award: (event) => ['award', words(event.actionType), markOf(event)],
  carried: (event) => [event.actionType, event.actionType === 'carried' ? 'total of older months' : 'not earned by an action'],
  adjustment: (event) => [event.actionType, event.note ? reasonOf(event.note.actor, event.note.reason) : ''],
  refused: (event) => ['refused', `${words(event.actionType)}: the proof did not verify`],
  expired: (event) => ['expired', `${words(event.actionType)}: never finished`],
  open: (event) => ['open', `${words(event.actionType)}: can still be finished`],
  session: (event) => ['session', `${counted(event.actions ?? 0, 'action')}${event.active ? ', still active' : ''}`],
  admin: (event) => [event.action, reasonOf(event.actor, event.reason), detailsOf(event.detail)],
};
const BADGE_LABELS = { adjust: 'adjusted', void: 'voided' };

function markOf(event) {
  if (event.held) return make('span.badge.quarantine', {}, 'held');
  return event.voidedBy && make('span.badge.void', {}, BADGE_LABELS.void);
}

function reasonOf(actor, reason) {
  return [`${actor}: `, make('span.reason', {}, reason)];
}

function eventRow(event) {
  const [badge, text, extra] = (KINDS[event.kind] ?? (({ kind }) => [kind, '']))(event);
  const hasPoints = ['award', 'carried', 'adjustment'].includes(event.kind);
  return make('li', { 'data-kind': event.kind }, make('details', {},
    make('summary', {},
      make('time', { datetime: event.at, title: asSecond(event.at) }, asClock(event.at)),
      make(`span.badge.${badge}`, {}, BADGE_LABELS[badge] ?? words(badge)),
      make('span.text', {}, text, ' ', extra),
      hasPoints && make('span.points', { 'data-sign': event.points < 0 ? 'minus' : 'plus' }, change(event.points)),
      hasPoints && make('span.after.quiet', { title: 'Score after this' }, number(event.scoreAfter))),
    facts(event)));
}

/** All fields of an event. */
function facts(event) {
  const fields = Object.entries(event).filter(([name, value]) => name !== 'kind' && value !== null && value !== undefined);
  return make('dl.facts', {}, fields.map(([name, value]) => make('div', {}, make('dt', {}, fieldLabel(name)), make('dd', {}, fieldValue(name, value)))));
}

const fieldLabel = (name) => name.replace(/[A-Z]/g, (letter) => ` ${letter.toLowerCase()}`);

function fieldValue(name, value) {
  if (typeof value === 'object') return make('code', {}, shortJson(value));
  if (/At$|^at$/.test(name)) return asSecond(value);
  if (name === 'points') return points(value);
  if (typeof value === 'boolean') return value ? 'yes' : 'no';
  return typeof value === 'number' ? number(value) : String(value);
}

/** A value as JSON, cut off where it is long. */
export function shortJson(value) {
  const text = value === null || value === undefined ? '' : JSON.stringify(value);
  return text.length > MAX_JSON_CHARS ? `${text.slice(0, MAX_JSON_CHARS)} …` : text;
}
