// Light or dark as the system has it, until somebody chooses; the choice is kept in this browser.

import { browser } from './kept.js';

const KEY = 'laurel.theme';
const root = document.documentElement;
const system = matchMedia('(prefers-color-scheme: dark)');

const chosen = () => browser.get(KEY);
const isDark = () => (chosen() ?? (system.matches ? 'dark' : 'light')) === 'dark';

function apply() {
  if (chosen()) root.dataset.theme = chosen();
  for (const button of document.querySelectorAll('[data-theme-toggle]')) {
    button.textContent = isDark() ? 'Light' : 'Dark';
    button.setAttribute('aria-label', isDark() ? 'Use light colours' : 'Use dark colours');
  }
}

apply();
system.addEventListener('change', apply);
document.addEventListener('click', (event) => {
  if (!event.target.closest?.('[data-theme-toggle]')) return;
  browser.set(KEY, isDark() ? 'light' : 'dark');
  apply();
});
