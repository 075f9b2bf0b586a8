// Light and dark theme: the system's, unless the reader chose one. The choice is stored in the browser.

import { browserStorage } from './storage.js';

const KEY = 'laurel.theme';
const root = document.documentElement;
const system = matchMedia('(prefers-color-scheme: dark)');

const chosen = () => browserStorage.get(KEY);
const isDark = () => (chosen() ?? (system.matches ? 'dark' : 'light')) === 'dark';

function apply() {
  if (chosen()) root.dataset.theme = chosen();
  for (const button of document.querySelectorAll('[data-theme-toggle]')) {
    button.textContent = isDark() ? 'Light' : 'Dark';
    button.setAttribute('aria-label', isDark() ? 'Use light colors' : 'Use dark colors');
  }
}

apply();
system.addEventListener('change', apply);
document.addEventListener('click', (event) => {
  if (!event.target.closest?.('[data-theme-toggle]')) return;
  browserStorage.set(KEY, isDark() ? 'light' : 'dark');
  apply();
});
