// The frame of the operators' page: who is in, which view is shown, and the way between them, which is the address's hash.

import { turnedAway } from './api.js';
import { audit } from './audit.js';
import { fill } from './element.js';
import { asHour } from './format.js';
import { letters } from './letters.js';
import { loginCard } from './login.js';
import { overview } from './overview.js';
import { player } from './player.js';
import { players } from './players.js';
import * as session from './session.js';
import { suspect } from './suspect.js';
import { suspects } from './suspects.js';
import { notFound } from './tell.js';

const main = document.getElementById('main');
const VIEWS = { overview: [overview], suspects: [suspects, suspect], players: [players, player], letters: [letters], audit: [audit] };
let leave = new AbortController();

/** The place that the hash names: `#/players/12?kind=admin`. No hash is the overview. */
function place() {
  const [path, query] = location.hash.replace(/^#\/?/, '').split('?');
  const [name, key, ...rest] = (path || 'overview').split('/').map((it) => { try { return decodeURIComponent(it); } catch { return it; } });
  // A browser takes `.` and `..` out of the address that it asks, however they are written: they would be another place.
  const known = Object.hasOwn(VIEWS, name) && !rest.length && !/^\.{1,2}$/.test(key);
  const view = known ? VIEWS[name][key ? 1 : 0] : undefined;
  return { name, view: view ?? (() => notFound('This page has no such view.', '#/overview', 'Overview')), key, query: new URLSearchParams(query) };
}

function show({ focus = true, told } = {}) {
  leave.abort();
  leave = new AbortController();
  const inside = Boolean(session.token());
  for (const it of document.querySelectorAll('[data-signed-in]')) it.hidden = !inside;
  document.querySelector('.who').textContent = inside ? session.name() : '';
  const { name, view, key, query } = place();
  for (const link of document.querySelectorAll('nav a')) {
    if (link.hash === `#/${name}`) link.setAttribute('aria-current', 'page');
    else link.removeAttribute('aria-current');
  }
  for (const dialog of document.querySelectorAll('dialog')) dialog.close();
  scrollTo(0, 0);
  if (!inside) return fill(main, [loginCard(told, () => show())]);
  fill(main, [view({ key, query, signal: leave.signal })]);
  if (focus) main.querySelector('h1')?.focus({ preventScroll: true });
}

addEventListener('hashchange', () => show());
turnedAway.addEventListener('turned-away', ({ detail }) => {
  session.forget();
  show({ told: detail.status === 403 ? detail.message : 'Your login has run out. Log in again to go on where you were.' });
});
document.querySelector('[data-log-out]').addEventListener('click', () => {
  session.forget();
  show({ told: 'You are logged out.' });
});
// A hash names a view here, so the way to the content cannot be one.
document.querySelector('[data-skip]').addEventListener('click', (event) => {
  event.preventDefault();
  main.focus();
});

const time = document.querySelector('.clock time');
const tick = () => { time.textContent = asHour(new Date()); };
tick();
setInterval(tick, 5000);
show({ focus: false });
