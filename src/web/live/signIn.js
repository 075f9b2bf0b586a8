// The form to sign up or log in. Errors of the server are shown at their fields.

import { announce } from './announce.js';
import { reducedMotion } from './motion.js';

const MODES = {
  register: { submit: 'Sign up', password: 'new-password' },
  login: { submit: 'Log in', password: 'current-password' },
};
const FIELDS = ['username', 'email', 'password'];

export class SignInForm {
  #card = document.getElementById('sign-in');
  #form = document.getElementById('sign-in-form');
  #submit = document.getElementById('sign-in-submit');
  #mode = 'register';
  #isSubmitting = false;
  /** True while the form says that the server cannot be reached. */
  #showsNetworkError = false;

  constructor(laurel) {
    this.laurel = laurel;
    for (const mode of Object.keys(MODES)) {
      document.getElementById(`sign-in-${mode}`).addEventListener('click', () => this.#setMode(mode));
    }
    this.#form.addEventListener('submit', (event) => {
      event.preventDefault();
      void this.#send();
    });
  }

  show(isShown) {
    this.#card.hidden = !isShown;
    if (!isShown) this.#clearProblems();
  }

  /** The server responds again, so a network error is out of date. */
  onReachable() {
    if (this.#showsNetworkError) this.#clearProblems();
  }

  /** Says why a login is needed, and moves the focus to the form. */
  prompt(reason) {
    this.#clearProblems();
    this.#showProblem('form', reason);
    this.#card.scrollIntoView({ block: 'nearest', behavior: reducedMotion.matches ? 'auto' : 'smooth' });
    this.#form.elements.username.focus({ preventScroll: true });
  }

  focusTitle() {
    document.getElementById('sign-in-title').focus({ preventScroll: true });
  }

  #setMode(mode) {
    this.#mode = mode;
    for (const name of Object.keys(MODES)) document.getElementById(`sign-in-${name}`).setAttribute('aria-pressed', name === mode);
    const isLogin = mode === 'login';
    document.getElementById('field-email').hidden = isLogin;
    for (const field of FIELDS) {
      document.getElementById(`hint-${field}`).hidden = isLogin;
      this.#form.elements[field].setAttribute('aria-describedby', `${isLogin ? '' : `hint-${field} `}problem-${field}`);
    }
    this.#form.elements.password.autocomplete = MODES[mode].password;
    this.#submit.textContent = MODES[mode].submit;
    this.#clearProblems();
  }

  async #send() {
    if (this.#isSubmitting) return;
    this.#clearProblems();
    const values = Object.fromEntries(new FormData(this.#form));
    if (this.#mode === 'login') delete values.email;
    const invalid = FIELDS.filter((field) => Object.hasOwn(values, field) && !this.#form.elements[field].checkValidity());
    for (const field of invalid) this.#showProblem(field, this.#form.elements[field].validationMessage);
    if (invalid.length > 0) return this.#form.elements[invalid[0]].focus();
    this.#setSubmitting(true);
    try {
      const { username } = await this.laurel[this.#mode](values);
      this.#form.reset();
      const next = document.getElementById('play-title');
      next.scrollIntoView({ block: 'nearest' });
      next.focus({ preventScroll: true });
      announce(`You are logged in as ${username}.`);
    } catch (error) {
      this.#showError(error);
    } finally {
      this.#setSubmitting(false);
    }
  }

  /** Uses `aria-disabled`: a button with `disabled` would lose the focus. */
  #setSubmitting(isSubmitting) {
    this.#isSubmitting = isSubmitting;
    this.#submit.ariaDisabled = isSubmitting;
  }

  #showError({ code, message, fields = [], retryAfterSeconds }) {
    for (const { field, problem } of fields) this.#showProblem(FIELDS.includes(field) ? field : 'form', problem);
    this.#form.querySelector('[aria-invalid]')?.focus();
    if (fields.length > 0) return;
    const wait = retryAfterSeconds === undefined ? '' : ` Try again in ${retryAfterSeconds} s.`;
    this.#showsNetworkError = code === 'NETWORK';
    this.#showProblem('form', this.#showsNetworkError ? 'Can’t reach the server. Try again.' : `${message}${wait}`);
  }

  #showProblem(field, text) {
    const outlet = document.getElementById(`problem-${field}`);
    outlet.textContent = text;
    outlet.hidden = false;
    this.#form.elements[field]?.setAttribute('aria-invalid', 'true');
  }

  #clearProblems() {
    this.#showsNetworkError = false;
    for (const field of [...FIELDS, 'form']) {
      const outlet = document.getElementById(`problem-${field}`);
      outlet.hidden = true;
      outlet.textContent = '';
      this.#form.elements[field]?.removeAttribute('aria-invalid');
    }
  }
}
