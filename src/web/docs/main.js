// The parts of the page, each read when it is looked at first.

import { Login } from './login.js';
import { showRest } from './rest.js';
import { showSockets } from './sockets.js';

const login = new Login();
const PARTS = { rest: showRest, sockets: showSockets };
const shown = new Set();
const root = document.documentElement;

function show() {
  const named = location.hash.slice(1);
  // Not by `in`: an object has names that nobody gave it, such as `constructor`.
  const part = Object.hasOwn(PARTS, named) ? named : 'rest';
  for (const link of document.querySelectorAll('[data-part]')) {
    const here = link.dataset.part === part;
    link.toggleAttribute('aria-current', here);
    if (here) link.setAttribute('aria-current', 'page');
    document.getElementById(`part-${link.dataset.part}`).hidden = !here;
  }
  if (shown.has(part)) return;
  shown.add(part);
  void PARTS[part](login);
}

// Swagger UI has a class for its own dark colours.
const dark = matchMedia('(prefers-color-scheme: dark)');
const colour = () => root.classList.toggle('dark-mode', (root.dataset.theme ?? (dark.matches ? 'dark' : 'light')) === 'dark');
new MutationObserver(colour).observe(root, { attributeFilter: ['data-theme'] });
dark.addEventListener('change', colour);
colour();

// The link that skips to the content is no part.
addEventListener('hashchange', () => location.hash !== '#content' && show());
show();
