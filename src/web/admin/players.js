// Players: search, and pages of results.

import { get } from './api.js';
import { fill, heading, make, panel, table } from './elements.js';
import { ago, asSecond, counted, number } from './format.js';
import { load, refresh, showError } from './notices.js';
import { setQuery } from './router.js';
import { stateBadges, userLink } from './userCells.js';

const SEARCH_DELAY_MS = 250;
const PAGE_SIZE = 50;

export function players({ query, signal }) {
  let searchTimer;
  /** The search whose results are shown. */
  let shownSearch;
  let shownUsers = [];
  let page;
  const input = make('input', {
    type: 'search', name: 'search', autocomplete: 'off', autocapitalize: 'none', spellcheck: 'false', maxlength: 255, 'aria-describedby': 'search-hint',
  });
  input.value = query.get('search') ?? '';
  const form = make('form.search', { role: 'search', novalidate: true },
    make('label', {}, 'Find a player', input),
    make('p.quiet.small', { id: 'search-hint' }, 'Part of a name, a number, a UUID, or a whole email address.'));
  const count = make('p.quiet.small', { role: 'status' });
  const { element, body } = panel('players', 'Newest players', count);
  const problem = make('div.outlet', {});
  const more = make('button.small', { type: 'button', hidden: true, on: { click: () => loadMore() } }, 'Show more');
  element.append(problem, make('div.more', {}, more));

  const request = (search, after) =>
    get(`/api/admin/users?limit=${PAGE_SIZE}${search ? `&search=${encodeURIComponent(search)}` : ''}${after ? `&after=${after}` : ''}`, signal);

  function draw(users, newPage) {
    shownUsers = users;
    page = newPage;
    count.textContent = users.length < page.total ? `${number(users.length)} of ${counted(page.total, 'player')}` : counted(page.total, 'player');
    more.hidden = page.next === null;
    fill(body, [table('Players', [
      { title: 'Player', isHead: true, cell: (user) => [userLink(user), stateBadges(user)] },
      { title: 'Number', class: 'number', cell: (user) => user.userId },
      { title: 'Score', class: 'number', cell: (user) => number(user.score) },
      { title: 'Registered', class: 'tight wide', cell: ({ createdAt }) => make('time', { datetime: createdAt, title: asSecond(createdAt) }, ago(createdAt)) },
    ], users, { empty: 'No players found.' })]);
  }

  const reload = () => {
    const search = input.value.trim();
    shownSearch = search;
    // Enter must not open a result of the search before.
    page = undefined;
    count.textContent = '';
    more.hidden = true;
    problem.replaceChildren();
    setQuery({ search });
    return load(body, signal, () => request(search), (newPage) => {
      element.querySelector('h2').textContent = search ? 'Results' : 'Newest players';
      draw(newPage.users, newPage);
    });
  };

  /** Adds the next page. */
  async function loadMore() {
    more.disabled = true;
    problem.replaceChildren();
    try {
      await refresh(body, signal, () => request(shownSearch, page.next), (newPage) => draw([...shownUsers, ...newPage.users], newPage));
    } catch (error) {
      showError(problem, error, loadMore);
    } finally {
      more.disabled = false;
    }
  }

  input.addEventListener('input', () => {
    clearTimeout(searchTimer);
    searchTimer = setTimeout(reload, SEARCH_DELAY_MS);
  });
  // Enter opens the player if there is exactly one.
  form.addEventListener('submit', async (event) => {
    event.preventDefault();
    clearTimeout(searchTimer);
    const search = input.value.trim();
    const isDrawn = await reload();
    if (isDrawn && page?.total === 1 && search && search === input.value.trim()) location.hash = `#/players/${shownUsers[0].userId}`;
  });
  signal.addEventListener('abort', () => clearTimeout(searchTimer));
  reload();
  return make('div', {}, heading('Players'), form, element);
}
