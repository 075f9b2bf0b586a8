// The login used to try things out. The token is only in memory, so a reload forgets it.

export class Login extends EventTarget {
  /** The JWT. Undefined without a login. */
  token = undefined;
  #form = document.getElementById('login');
  #player = document.getElementById('player');
  #problem = document.getElementById('login-problem');

  constructor() {
    super();
    this.#form.addEventListener('submit', (event) => {
      event.preventDefault();
      void this.#send(event.submitter?.value ?? 'login');
    });
    document.getElementById('logout').addEventListener('click', () => this.#setLogin());
    document.getElementById('copy').addEventListener('click', () => void this.#copyToken());
  }

  /** `action` is `login` or `register`. */
  async #send(action) {
    const { username, password } = Object.fromEntries(new FormData(this.#form));
    const body = { username, password };
    if (action === 'register') body.email = `${username}@example.com`;
    this.#problem.textContent = '';
    const request = { method: 'POST', headers: { 'Content-Type': 'application/json' }, body: JSON.stringify(body) };
    try {
      const response = await fetch(`/api/auth/${action}`, request);
      const { data, message, metadata } = await response.json();
      if (response.ok) return this.#setLogin(data);
      const fields = metadata.fields?.map(({ field, problem }) => `${field}: ${problem}`).join('; ');
      this.#problem.textContent = fields ?? message;
    } catch {
      this.#problem.textContent = 'Can’t reach the server. Try again.';
    }
  }

  #setLogin(data) {
    this.token = data?.token;
    document.getElementById('player-name').textContent = data?.user.username ?? '';
    this.#form.hidden = data !== undefined;
    this.#player.hidden = data === undefined;
    this.#form.reset();
    this.dispatchEvent(new Event('change'));
    (data ? document.getElementById('logout') : this.#form.elements.username).focus();
  }

  async #copyToken() {
    const button = document.getElementById('copy');
    try {
      await navigator.clipboard.writeText(this.token);
      button.textContent = 'Copied';
    } catch {
      button.textContent = 'Blocked by the browser';
    }
    setTimeout(() => { button.textContent = 'Copy token'; }, 2000);
  }
}
