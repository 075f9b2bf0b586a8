// Register, or log in. What the server says of a field is shown at that field.

import { still } from './motion.js';
import { say } from './say.js';

const MODES = {
  register: { go: 'Register', password: 'new-password' },
  login: { go: 'Log in', password: 'current-password' },
};
const FIELDS = ['username', 'email', 'password'];

export class Door {
  #card = document.getElementById('door');
  #form = document.getElementById('door-form');
  #go = document.getElementById('door-go');
  #mode = 'register';
  #asking = false;
  /** The problem that is shown is that the server did not answer. */
  #isLost = false;

  constructor(laurel) {
    this.laurel = laurel;
    for (const mode of Object.keys(MODES)) {
      document.getElementById(`door-${mode}`).addEventListener('click', () => this.#choose(mode));
    }
    this.#form.addEventListener('submit', (event) => {
      event.preventDefault();
      void this.#enter();
    });
  }

  show(shown) {
    this.#card.hidden = !shown;
    if (!shown) this.#clear();
  }

  /** The server answers: that it did not is wrong by now. */
  reachable() {
    if (this.#isLost) this.#clear();
  }

  /** Says why one should come in, and leads there. */
  ask(why) {
    this.#clear();
    this.#problem('door', why);
    this.#card.scrollIntoView({ block: 'nearest', behavior: still.matches ? 'auto' : 'smooth' });
    this.#form.elements.username.focus({ preventScroll: true });
  }

  /** Whoever left is here again. */
  focus() {
    document.getElementById('door-title').focus({ preventScroll: true });
  }

  #choose(mode) {
    this.#mode = mode;
    for (const it of Object.keys(MODES)) document.getElementById(`door-${it}`).setAttribute('aria-pressed', it === mode);
    const known = mode === 'login';
    document.getElementById('door-email').hidden = known;
    for (const field of FIELDS) {
      document.getElementById(`hint-${field}`).hidden = known;
      this.#form.elements[field].setAttribute('aria-describedby', `${known ? '' : `hint-${field} `}problem-${field}`);
    }
    this.#form.elements.password.autocomplete = MODES[mode].password;
    this.#go.textContent = MODES[mode].go;
    this.#clear();
  }

  async #enter() {
    if (this.#asking) return;
    this.#clear();
    const values = Object.fromEntries(new FormData(this.#form));
    if (this.#mode === 'login') delete values.email;
    const wrong = FIELDS.filter((it) => Object.hasOwn(values, it) && !this.#form.elements[it].checkValidity());
    for (const field of wrong) this.#problem(field, this.#form.elements[field].validationMessage);
    if (wrong.length > 0) return this.#form.elements[wrong[0]].focus();
    this.#wait(true);
    try {
      const { username } = await this.laurel[this.#mode](values);
      this.#form.reset();
      const next = document.getElementById('play-title');
      next.scrollIntoView({ block: 'nearest' });
      next.focus({ preventScroll: true });
      say(`You are logged in as ${username}.`);
    } catch (error) {
      this.#refused(error);
    } finally {
      this.#wait(false);
    }
  }

  /** A disabled button would lose the focus of whoever pressed it. */
  #wait(asking) {
    this.#asking = asking;
    this.#go.ariaDisabled = asking;
  }

  #refused({ code, message, fields = [], retryAfterSeconds }) {
    for (const { field, problem } of fields) this.#problem(FIELDS.includes(field) ? field : 'door', problem);
    this.#form.querySelector('[aria-invalid]')?.focus();
    if (fields.length > 0) return;
    const wait = retryAfterSeconds === undefined ? '' : ` Try again in ${retryAfterSeconds} s.`;
    this.#isLost = code === 'NETWORK';
    this.#problem('door', this.#isLost ? 'Can’t reach the server. Try again.' : `${message}${wait}`);
  }

  #problem(field, text) {
    const place = document.getElementById(`problem-${field}`);
    place.textContent = text;
    place.hidden = false;
    this.#form.elements[field]?.setAttribute('aria-invalid', 'true');
  }

  #clear() {
    this.#isLost = false;
    for (const field of [...FIELDS, 'door']) {
      const place = document.getElementById(`problem-${field}`);
      place.hidden = true;
      place.textContent = '';
      this.#form.elements[field]?.removeAttribute('aria-invalid');
    }
  }
}
