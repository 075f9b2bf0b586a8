// The way in.

import { logIn } from './api.js';
import { make } from './element.js';
import { tell, tellFields } from './tell.js';
import { keep } from './session.js';

/** The card; `told` is why it is shown, and `entered` goes on. */
export function loginCard(told, entered) {
  document.title = 'Log in · Laurel operators';
  const problem = make('div.outlet', { role: 'alert' }, told && make('p.note', {}, told));
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
      keep(await logIn(username.value.trim(), password.value));
      entered();
    } catch (error) {
      password.value = '';
      if (!tellFields(form, error)) tell(problem, error);
      (error.code === 'INVALID_CREDENTIALS' ? password : username).focus();
    } finally {
      button.disabled = false;
    }
  });
  queueMicrotask(() => username.focus({ preventScroll: true }));
  return make('div.gate', {}, make('section.card.login', { 'aria-labelledby': 'login-title' },
    make('img', { src: '/assets/common/icon.svg', alt: '', width: 56, height: 56 }),
    make('h1', { id: 'login-title' }, 'Operators'),
    make('p.quiet', {}, 'Log in with an account of the role admin.'),
    form,
    make('footer', {}, make('p', {}, 'The first operator is made on the machine, of a registered player:'),
      make('pre', {}, make('code', {}, 'laurel admin grant NAME --reason "runs the game"')))));
}
