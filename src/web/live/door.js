// Register, or log in. What the server says of a field is shown at that field.

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
  }

  /** Says why one should come in, and leads there. */
  ask(why) {
    this.#problem('door', why);
    this.#card.scrollIntoView({ block: 'nearest', behavior: 'smooth' });
    this.#form.elements.username.focus({ preventScroll: true });
  }

  #choose(mode) {
    this.#mode = mode;
    for (const it of Object.keys(MODES)) document.getElementById(`door-${it}`).setAttribute('aria-pressed', it === mode);
    document.getElementById('door-email').hidden = mode === 'login';
    this.#form.elements.password.autocomplete = MODES[mode].password;
    this.#go.textContent = MODES[mode].go;
    this.#clear();
  }

  async #enter() {
    this.#clear();
    const values = Object.fromEntries(new FormData(this.#form));
    if (this.#mode === 'login') delete values.email;
    const wrong = FIELDS.filter((it) => it in values && !this.#form.elements[it].checkValidity());
    for (const field of wrong) this.#problem(field, this.#form.elements[field].validationMessage);
    if (wrong.length > 0) return this.#form.elements[wrong[0]].focus();
    this.#go.disabled = true;
    try {
      await this.laurel[this.#mode](values);
      this.#form.reset();
      document.getElementById('play-title').scrollIntoView({ block: 'nearest' });
    } catch (error) {
      this.#refused(error);
    } finally {
      this.#go.disabled = false;
    }
  }

  #refused({ code, message, fields = [], retryAfterSeconds }) {
    for (const { field, problem } of fields) this.#problem(FIELDS.includes(field) ? field : 'door', problem);
    if (fields.length > 0) return;
    const wait = retryAfterSeconds === undefined ? '' : ` Try again in ${retryAfterSeconds} s.`;
    this.#problem('door', code === 'NETWORK' ? 'The server does not answer. Try again.' : `${message}${wait}`);
  }

  #problem(field, text) {
    const place = document.getElementById(`problem-${field}`);
    place.textContent = text;
    place.hidden = false;
    this.#form.elements[field]?.setAttribute('aria-invalid', 'true');
  }

  #clear() {
    for (const field of [...FIELDS, 'door']) {
      document.getElementById(`problem-${field}`).hidden = true;
      this.#form.elements[field]?.removeAttribute('aria-invalid');
    }
  }
}
