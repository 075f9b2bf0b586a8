// The periods of a board: their states, what an admin can do to them, and the revisions of closed ones.

import { openActionDialog } from './actionDialog.js';
import { get } from './api.js';
import { fill, make, panel, table } from './elements.js';
import { ago, asMinute, asSecond, number } from './format.js';
import { load, refresh, showError } from './notices.js';

const PAGE_SIZE = 10;
/** The leader closes a period within a second. */
const DONE_MS = 1500;

/** The actions by their path in the API, as `openActionDialog` needs them. `isAvailable` says if the period's state allows it. */
const ACTIONS = {
  close: {
    label: 'Close now', isDanger: true, title: ({ id }) => `Close period ${id}`, submit: 'Close', isAvailable: ({ state, heldBy }) => state === 'settling' && !heldBy,
    effects: ({ closesAt }) => [`Its entries become final and are signed now, and not at ${asSecond(closesAt)}.`, 'This can’t be undone. Later bans and voids make a revision with their reason.'],
    confirmation: ({ id }) => `Yes, close ${id} now`,
    result: ({ id }) => `Period ${id} closes within a second.`,
  },
  hold: {
    label: 'Hold', title: ({ id }) => `Hold period ${id}`, submit: 'Hold', isAvailable: ({ state, endsAt, heldBy }) => state !== 'closed' && endsAt && !heldBy,
    effects: ({ endsAt }) => [`It is not closed until an admin releases it. Awards count until ${asSecond(endsAt)} all the same, and the next period begins on time.`],
    result: ({ id }) => `Period ${id} is held.`,
  },
  release: {
    label: 'Release', title: ({ id }) => `Release period ${id}`, submit: 'Release', isAvailable: ({ heldBy }) => heldBy,
    effects: ({ closesAt }) => [`It is closed at ${asSecond(closesAt)}, or at once if that is over.`],
    result: ({ id }) => `Period ${id} is released.`,
  },
};

const REBUILD = {
  title: (board) => `Rebuild ${board}`, submit: 'Rebuild',
  effects: () => ['Loads the open periods from the ledger again. They stay readable, and say “stale” until they are loaded. Awards go on.'],
  result: (board, { periods }) => `${board} is being loaded: ${periods.join(', ')}.`,
};

const api = (board) => `/api/admin/boards/${encodeURIComponent(board)}`;
const time = (at) => (at ? make('time', { datetime: at, title: asSecond(at) }, asMinute(at)) : '–');

/** The periods of a board by page, newest first, with buttons. `onChange` is called after an action. */
export function periodsPanel(board, signal, onChange) {
  const rebuild = make('button.small', { type: 'button', 'data-action': 'rebuild', on: { click: () => openActionDialog({ action: REBUILD, subject: board, path: `${api(board)}/rebuild`, onDone }) } }, 'Rebuild…');
  const { element, body } = panel('periods', 'Periods', rebuild);
  const problem = make('div.outlet', {});
  const more = make('button.small', { type: 'button', hidden: true, on: { click: () => loadMore() } }, 'Show more');
  element.append(problem, make('div.more', {}, more));
  let periods = [];
  let next;

  const request = (cursor) => get(`${api(board)}/periods?${new URLSearchParams({ limit: PAGE_SIZE, ...(cursor && { cursor }) })}`, signal);
  const reload = () => load(body, signal, () => request(), (page) => draw(page, page.periods));

  function onDone() {
    onChange();
    setTimeout(() => {
      if (signal.aborted) return;
      reload();
      onChange();
    }, DONE_MS);
    return reload();
  }

  async function loadMore() {
    more.disabled = true;
    problem.replaceChildren();
    try {
      await refresh(body, signal, () => request(next), (page) => draw(page, [...periods, ...page.periods]));
    } catch (error) {
      showError(problem, error, loadMore);
    } finally {
      more.disabled = false;
    }
  }

  function draw(page, shown) {
    [periods, next] = [shown, page.next];
    more.hidden = next === null;
    fill(body, [table('Periods', [
      { title: 'Period', isHead: true, class: 'tight', cell: ({ id }) => make('a.user', { href: `#/boards/${encodeURIComponent(board)}?period=${id}` }, id) },
      { title: 'State', cell: ({ state, heldBy }) => [state, heldBy && ', held by ', heldBy && make('span.user', {}, heldBy)] },
      { title: 'Starts (UTC)', class: 'tight wide', cell: ({ startsAt }) => time(startsAt) },
      { title: 'Ends (UTC)', class: 'tight', cell: ({ endsAt }) => time(endsAt) },
      { title: 'Closes (UTC)', class: 'tight wide', cell: ({ state, closesAt }) => (state === 'closed' ? '–' : time(closesAt)) },
      { title: 'Entries', class: 'number wide', cell: ({ total }) => number(total) },
      { title: 'Revision', class: 'number wide', cell: ({ revision }) => number(revision) },
      { title: 'Actions', class: 'number', cell: (period) => make('div.buttons', {}, buttons(period)) },
    ], periods, { empty: 'No periods yet.', stacked: true })]);
  }

  const buttons = (period) => Object.entries(ACTIONS).filter(([, action]) => action.isAvailable(period)).map(([name, action]) => {
    const path = `${api(board)}/periods/${encodeURIComponent(period.id)}/${name}`;
    const click = () => openActionDialog({ action, subject: period, path, onDone });
    return make(`button.small${action.isDanger ? '.danger' : ''}`, { type: 'button', 'data-action': name, on: { click } }, `${action.label}…`);
  });

  return { element, reload };
}

/** The revisions of the shown period, newest first; hidden before its close. */
export function revisionsPanel(board, signal) {
  const { element, body } = panel('revisions', 'Revisions');
  element.hidden = true;
  const show = ({ period, state }) => {
    element.hidden = state !== 'closed';
    if (element.hidden) return;
    load(body, signal, () => get(`${api(board)}/periods/${encodeURIComponent(period)}`, signal), ({ revisions }) => fill(body, [table('Revisions', [
      { title: 'Revision', class: 'tight', isHead: true, cell: ({ revision }) => number(revision) },
      { title: 'Time (UTC)', class: 'tight', cell: ({ at }) => make('time', { datetime: at, title: `${asSecond(at)}, ${ago(at)}` }, asMinute(at)) },
      { title: 'By', cell: ({ actor }) => make('span.user', {}, actor) },
      { title: 'Reason', class: 'text', cell: ({ reason }) => make('span.reason', {}, reason) },
      { title: 'Root', class: 'wide', cell: ({ root }) => make('code', {}, root) },
    ], revisions.toReversed(), { empty: 'No revisions: there never was an entry.', stacked: true })]));
  };
  return { element, show };
}
