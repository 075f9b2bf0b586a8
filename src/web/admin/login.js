// The login card.

import { logIn, login } from './api.js';
import { make } from './elements.js';
import { showError, showFieldErrors } from './notices.js';

/** The card. `message` says why it is shown, `onLogin` is called after a login. */
export function loginCard(message, onLogin) {
  document.title = 'Log in · Laurel Admin';
  const problem = make('div.outlet', { role: 'alert' }, message && make('p.note', {}, message));
  const username = make('input', { name: 'username', autocomplete: 'username', autocapitalize: 'none', spellcheck: 'false', required: true });
  const password = make('input', { name: 'password', type: 'password', autocomplete: 'current-password', required: true });
  const button = make('button.primary', {}, 'Log in');
  const form = make('form', { novalidate: true },
    make('label', {}, 'Username', username), make('label', {}, 'Password', password), problem, button);
  form.addEventListener('submit', async (event) => {
    event.preventDefault();
    if (button.disabled) return;
    button.disabled = true;
    problem.replaceChildren();
    try {
      login.token = await logIn(username.value.trim(), password.value);
      onLogin();
    } catch (error) {
      password.value = '';
      if (!showFieldErrors(form, error)) showError(problem, error);
      (error.code === 'INVALID_CREDENTIALS' ? password : username).focus();
    } finally {
      button.disabled = false;
    }
  });
  queueMicrotask(() => username.focus({ preventScroll: true }));
  return make('div.login-page', {}, make('section.card.login', { 'aria-labelledby': 'login-title' },
    make('img', { src: '/assets/common/icon.svg', alt: '', width: 56, height: 56 }),
    make('h1', { id: 'login-title' }, 'Admin'),
    make('p.quiet', {}, 'Log in with an admin account.'),
    form,
    make('footer', {}, make('p', {}, 'No admin yet? Register a player, then run this on the server:'),
      make('pre', {}, make('code', {}, 'laurel admin grant NAME --reason "runs the game"')))));
}
