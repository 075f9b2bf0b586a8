// The admin page: shows the view that the URL's hash names, or the login.

import { loggedOut, login, ownName } from './api.js';
import { audit } from './audit.js';
import { board } from './board.js';
import { boards } from './boards.js';
import { deadLetters } from './deadLetters.js';
import { fill } from './elements.js';
import { asHour } from './format.js';
import { loginCard } from './login.js';
import { notFound } from './notices.js';
import { overview } from './overview.js';
import { player } from './player.js';
import { players } from './players.js';
import { currentRoute } from './router.js';
import { suspect } from './suspect.js';
import { suspects } from './suspects.js';

const main = document.getElementById('main');
/** For each name the view without a key and the one with a key. */
const VIEWS = {
  overview: [overview],
  suspects: [suspects, suspect],
  players: [players, player],
  boards: [boards, board],
  letters: [deadLetters],
  audit: [audit],
};
let viewLifetime = new AbortController();

function viewOf({ name, key, rest }) {
  // Browsers resolve `.` and `..` in request URLs, even if they are percent-encoded: the API would see another path.
  const isValid = Object.hasOwn(VIEWS, name) && !rest.length && !/^\.{1,2}$/.test(key);
  const view = isValid ? VIEWS[name][key ? 1 : 0] : undefined;
  return view ?? (() => notFound('There is no such view.', '#/overview', 'Overview'));
}

function show({ focus = true, message } = {}) {
  viewLifetime.abort();
  viewLifetime = new AbortController();
  const isLoggedIn = Boolean(login.token);
  for (const element of document.querySelectorAll('[data-logged-in]')) element.hidden = !isLoggedIn;
  document.querySelector('.username').textContent = isLoggedIn ? ownName() : '';
  const route = currentRoute();
  for (const link of document.querySelectorAll('nav a')) {
    if (link.hash === `#/${route.name}`) link.setAttribute('aria-current', 'page');
    else link.removeAttribute('aria-current');
  }
  for (const dialog of document.querySelectorAll('dialog')) dialog.close();
  scrollTo(0, 0);
  if (!isLoggedIn) return fill(main, [loginCard(message, () => show())]);
  fill(main, [viewOf(route)({ key: route.key, query: route.query, signal: viewLifetime.signal })]);
  if (focus) main.querySelector('h1')?.focus({ preventScroll: true });
}

addEventListener('hashchange', () => show());
loggedOut.addEventListener('rejected', ({ detail }) => {
  login.token = null;
  show({ message: detail.status === 403 ? detail.message : 'Your login has expired. Log in again to continue.' });
});
document.querySelector('[data-log-out]').addEventListener('click', () => {
  login.token = null;
  show({ message: 'You are logged out.' });
});
// The hash names a view, so the skip link cannot use one.
document.querySelector('[data-skip]').addEventListener('click', (event) => {
  event.preventDefault();
  main.focus();
});

const time = document.querySelector('.clock time');
const tick = () => { time.textContent = asHour(new Date()); };
tick();
setInterval(tick, 5000);
show({ focus: false });
