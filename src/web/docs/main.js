// The documentation page: its parts REST and Sockets, each loaded when it is first shown.

import { Login } from './login.js';
import { showRest } from './rest.js';
import { showSockets } from './sockets.js';

const login = new Login();
const PARTS = { rest: showRest, sockets: showSockets };
const loaded = new Set();
const root = document.documentElement;

function show() {
  const name = location.hash.slice(1);
  // `in` would also find inherited names, such as `constructor`.
  const part = Object.hasOwn(PARTS, name) ? name : 'rest';
  for (const link of document.querySelectorAll('[data-part]')) {
    const isShown = link.dataset.part === part;
    link.toggleAttribute('aria-current', isShown);
    if (isShown) link.setAttribute('aria-current', 'page');
    document.getElementById(`part-${link.dataset.part}`).hidden = !isShown;
  }
  if (loaded.has(part)) return;
  loaded.add(part);
  void PARTS[part](login);
}

// Swagger UI has a class for its dark theme.
const systemDark = matchMedia('(prefers-color-scheme: dark)');
const applyTheme = () => root.classList.toggle('dark-mode', (root.dataset.theme ?? (systemDark.matches ? 'dark' : 'light')) === 'dark');
new MutationObserver(applyTheme).observe(root, { attributeFilter: ['data-theme'] });
systemDark.addEventListener('change', applyTheme);
applyTheme();

// `#content` is the target of the skip link.
addEventListener('hashchange', () => location.hash !== '#content' && show());
show();
