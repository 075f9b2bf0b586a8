// One board: a period's state, its entries by page, and the entries of players that a search finds.

import { get, post } from './api.js';
import { periodsPanel, revisionsPanel } from './boardPeriods.js';
import { describeBoard } from './boards.js';
import { fill, heading, make, panel, table } from './elements.js';
import { ago, asSecond, counted, number } from './format.js';
import { load, notFound, refresh, showError } from './notices.js';
import { setQuery } from './router.js';
import { userLink } from './userCells.js';

const PAGE_SIZE = 50;
const SEARCH_DELAY_MS = 250;

export function board({ key, query, signal }) {
  const path = `/api/v1/boards/${encodeURIComponent(key)}`;
  const title = heading(key);
  const top = make('div', {});
  const select = make('select', { 'aria-label': 'Period', hidden: true });
  const { element, body } = panel('entries', 'Entries', select);
  const problem = make('div.outlet', {});
  const more = make('button.small', { type: 'button', hidden: true, on: { click: () => loadMore() } }, 'Show more');
  element.append(problem, make('div.more', {}, more));
  const search = playerSearch(query, signal, (users) =>
    post(`${path}/entries/lookup`, { userIds: users.map(({ id }) => id), ...(period && { period }) }));
  const revisions = revisionsPanel(key, signal);
  const periods = periodsPanel(key, signal, () => {
    reload();
    void showPeriods();
  });
  let period = query.get('period') ?? '';
  let decimals = 0;
  let entries = [];
  let next;

  const request = (cursor) => {
    const fields = Object.entries({ limit: PAGE_SIZE, period, cursor }).filter(([, value]) => value);
    return get(`${path}/entries?${new URLSearchParams(fields)}`, signal);
  };

  function draw(page, shown) {
    [entries, next] = [shown, page.next];
    fill(top, [facts(page)]);
    fill(body, [entryTable('Entries', entries, decimals)]);
    more.hidden = next === undefined;
    revisions.show(page);
  }

  const reload = () => load(body, signal, () => request(), (page) => draw(page, page.entries));

  /** Adds the next page. */
  async function loadMore() {
    more.disabled = true;
    problem.replaceChildren();
    try {
      await refresh(body, signal, () => request(next), (page) => draw(page, [...entries, ...page.entries]));
    } catch (error) {
      showError(problem, error, loadMore);
    } finally {
      more.disabled = false;
    }
  }

  /** Fills the choice of periods. Without them, the current one is shown. */
  async function showPeriods() {
    const { periods } = await get(`${path}/periods?limit=200`, signal).catch(() => ({ periods: [] }));
    fill(select, [make('option', { value: '' }, 'Current period'), periods.map(({ id, state }) => make('option', { value: id }, `${id}, ${state}`))]);
    select.value = period;
    select.hidden = periods.length === 0;
  }

  select.addEventListener('change', () => {
    period = select.value;
    setQuery({ period });
    reload();
    search.reload(decimals);
  });

  const missing = () => view.replaceWith(notFound(`There is no board “${key}”.`, '#/boards', 'Boards'));
  const view = make('div', {}, make('p.back', {}, make('a', { href: '#/boards' }, '← Boards')), title, top,
    search.form, make('div.stack', {}, search.element, element, revisions.element, periods.element));
  load(top, signal, () => get(path, signal), (definition) => {
    document.title = `${definition.title} · Laurel Admin`;
    title.querySelector('h1').textContent = definition.title;
    title.append(make('p.quiet', {}, describeBoard(definition)));
    top.replaceChildren();
    decimals = definition.decimals;
    reload();
    search.reload(decimals);
    periods.reload();
    void showPeriods();
  }, missing);
  return view;
}

function facts({ period, state, total, version, asOf, stale }) {
  const values = [
    ['Period', `${period}, ${state}`],
    ['Entries', number(total)],
    ['Version', make('code', {}, version)],
    ['As of', asOf ? make('time', { datetime: asOf, title: ago(asOf) }, asSecond(asOf)) : 'not loaded'],
    ['Stale', stale ? make('span.badge.refused', {}, 'stale') : 'no'],
  ];
  return make('dl.facts.card.standing', {}, values.map(([name, value]) => make('div', {}, make('dt', {}, name), make('dd', {}, value))));
}

/** A search for players, by the entries that `lookUp(users)` returns. The results are hidden without a search. */
function playerSearch(query, signal, lookUp) {
  let timer;
  let decimals = 0;
  const input = make('input', {
    type: 'search', name: 'search', autocomplete: 'off', autocapitalize: 'none', spellcheck: 'false', maxlength: 255, 'aria-describedby': 'search-hint',
  });
  input.value = query.get('search') ?? '';
  const form = make('form.search', { role: 'search', novalidate: true },
    make('label', {}, 'Find a player', input),
    make('p.quiet.small', { id: 'search-hint' }, 'Part of a name, a number, a UUID, or a whole email address.'));
  const count = make('p.quiet.small', { role: 'status' });
  const { element, body } = panel('found', 'Found players', count);

  async function request(search) {
    const { users, total } = await get(`/api/admin/users?limit=${PAGE_SIZE}&search=${encodeURIComponent(search)}`, signal);
    const { entries } = users.length ? await lookUp(users) : { entries: [] };
    return { entries, found: users.length, total };
  }

  const reload = () => {
    const search = input.value.trim();
    setQuery({ search });
    element.hidden = search === '';
    count.textContent = '';
    if (search === '') return;
    load(body, signal, () => request(search), ({ entries, found, total }) => {
      const limit = total > found ? ` of the newest ${found}` : '';
      count.textContent = `${number(entries.length)}${limit} of ${counted(total, 'player')} with an entry`;
      fill(body, [entryTable('Found players', entries, decimals, 'No player found has an entry.')]);
    });
  };

  input.addEventListener('input', () => {
    clearTimeout(timer);
    timer = setTimeout(reload, SEARCH_DELAY_MS);
  });
  form.addEventListener('submit', (event) => {
    event.preventDefault();
    clearTimeout(timer);
    reload();
  });
  signal.addEventListener('abort', () => clearTimeout(timer));
  element.hidden = true;
  return {
    form,
    element,
    reload(boardDecimals) {
      decimals = boardDecimals;
      reload();
    },
  };
}

function entryTable(caption, entries, decimals, empty = 'No entries.') {
  const score = (value) => (value / 10 ** decimals).toLocaleString('en', { minimumFractionDigits: decimals });
  return table(caption, [
    { title: 'Position', class: 'number tight', cell: (entry) => number(entry.position) },
    { title: 'Rank', class: 'number tight', cell: (entry) => number(entry.rank) },
    { title: 'Player', isHead: true, cell: ({ userId, username }) => userLink({ userId, username }) },
    { title: 'Score', class: 'number', cell: (entry) => score(entry.score) },
    { title: 'Subscore', class: 'number wide', cell: (entry) => number(entry.subscore) },
    { title: 'Reached', class: 'tight wide', cell: ({ achievedAt }) => make('time', { datetime: achievedAt, title: asSecond(achievedAt) }, ago(achievedAt)) },
  ], entries, { empty });
}
