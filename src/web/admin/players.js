// The search for a player.

import { get } from './api.js';
import { fill, heading, make, panel, table } from './element.js';
import { ago, asMoment, number } from './format.js';
import { remember } from './place.js';
import { load } from './tell.js';
import { states, userLink } from './user.js';

const PAUSE_MS = 250;

export function players({ query, signal }) {
  let pause;
  let found = [];
  const input = make('input', {
    type: 'search', name: 'search', autocomplete: 'off', autocapitalize: 'none', spellcheck: 'false', maxlength: 255, 'aria-describedby': 'search-hint',
  });
  input.value = query.get('search') ?? '';
  const form = make('form.search', { role: 'search', novalidate: true },
    make('label', {}, 'Find a player', input),
    make('p.quiet.small', { id: 'search-hint' }, 'The beginning of a name, a number, a UUID, or a whole e-mail address.'));
  const { element, body } = panel('players', 'The newest');
  const count = make('p.unseen', { role: 'status' });

  const look = () => {
    const search = input.value.trim();
    // Whoever was found before is not who is looked for now.
    found = [];
    remember({ search });
    const path = `/api/admin/users?limit=50${search ? `&search=${encodeURIComponent(search)}` : ''}`;
    return load(body, signal, () => get(path, signal), (users) => {
      found = users;
      element.querySelector('h2').textContent = search ? 'Found' : 'The newest';
      count.textContent = search ? `${users.length} found` : '';
      fill(body, [table('Players', [
        { title: 'Player', head: true, cell: (it) => [userLink(it), states(it)] },
        { title: 'Number', class: 'number', cell: (it) => it.userId },
        { title: 'Score', class: 'number', cell: (it) => number(it.score) },
        { title: 'Registered', class: 'tight wide', cell: (it) => make('time', { datetime: it.createdAt, title: asMoment(it.createdAt) }, ago(it.createdAt)) },
      ], users, { empty: 'Nobody is called so.' })]);
    });
  };
  input.addEventListener('input', () => {
    clearTimeout(pause);
    pause = setTimeout(look, PAUSE_MS);
  });
  form.addEventListener('submit', async (event) => {
    event.preventDefault();
    clearTimeout(pause);
    const search = input.value.trim();
    if (await look() && found.length === 1 && search && search === input.value.trim()) location.hash = `#/players/${found[0].userId}`;
  });
  signal.addEventListener('abort', () => clearTimeout(pause));
  look();
  return make('div', {}, heading('Players'), form, count, element);
}
