// The search for a player.

import { get } from './api.js';
import { fill, heading, make, panel, table } from './element.js';
import { ago, asMoment, counted, number } from './format.js';
import { remember } from './place.js';
import { load, refresh, tell } from './tell.js';
import { states, userLink } from './user.js';

const PAUSE_MS = 250;
const PAGE = 50;

export function players({ query, signal }) {
  let pause;
  let asked;
  let shown = [];
  let page;
  const input = make('input', {
    type: 'search', name: 'search', autocomplete: 'off', autocapitalize: 'none', spellcheck: 'false', maxlength: 255, 'aria-describedby': 'search-hint',
  });
  input.value = query.get('search') ?? '';
  const form = make('form.search', { role: 'search', novalidate: true },
    make('label', {}, 'Find a player', input),
    make('p.quiet.small', { id: 'search-hint' }, 'Any part of a name, a number, a UUID, or a whole e-mail address.'));
  const count = make('p.quiet.small', { role: 'status' });
  const { element, body } = panel('players', 'The newest', count);
  const trouble = make('div.outlet', {});
  const more = make('button.small', { type: 'button', hidden: true, on: { click: () => goOn() } }, 'Show more');
  element.append(trouble, make('div.more', {}, more));

  const read = (search, after) =>
    get(`/api/admin/users?limit=${PAGE}${search ? `&search=${encodeURIComponent(search)}` : ''}${after ? `&after=${after}` : ''}`, signal);

  function draw(users, found) {
    shown = users;
    page = found;
    count.textContent = users.length < found.total ? `${number(users.length)} of ${counted(found.total, 'player')}` : counted(found.total, 'player');
    more.hidden = found.next === null;
    fill(body, [table('Players', [
      { title: 'Player', head: true, cell: (it) => [userLink(it), states(it)] },
      { title: 'Number', class: 'number', cell: (it) => it.userId },
      { title: 'Score', class: 'number', cell: (it) => number(it.score) },
      { title: 'Registered', class: 'tight wide', cell: (it) => make('time', { datetime: it.createdAt, title: asMoment(it.createdAt) }, ago(it.createdAt)) },
    ], users, { empty: 'No players found.' })]);
  }

  const look = () => {
    const search = input.value.trim();
    asked = search;
    // Whoever was found before is not who is looked for now.
    page = undefined;
    count.textContent = '';
    more.hidden = true;
    trouble.replaceChildren();
    remember({ search });
    return load(body, signal, () => read(search), (found) => {
      element.querySelector('h2').textContent = search ? 'Found' : 'The newest';
      draw(found.users, found);
    });
  };

  /** Shows the next page below what is shown. */
  async function goOn() {
    more.disabled = true;
    trouble.replaceChildren();
    try {
      await refresh(body, signal, () => read(asked, page.next), (found) => draw([...shown, ...found.users], found));
    } catch (error) {
      tell(trouble, error, goOn);
    } finally {
      more.disabled = false;
    }
  }

  input.addEventListener('input', () => {
    clearTimeout(pause);
    pause = setTimeout(look, PAUSE_MS);
  });
  form.addEventListener('submit', async (event) => {
    event.preventDefault();
    clearTimeout(pause);
    const search = input.value.trim();
    if (await look() && page?.total === 1 && search && search === input.value.trim()) location.hash = `#/players/${shown[0].userId}`;
  });
  signal.addEventListener('abort', () => clearTimeout(pause));
  look();
  return make('div', {}, heading('Players'), form, element);
}
