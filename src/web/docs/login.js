// Who tries things out here. The token is kept in memory, and goes with the page.

export class Login extends EventTarget {
  /** The login JWT, if there is one. */
  token = undefined;
  #form = document.getElementById('login');
  #player = document.getElementById('player');
  #problem = document.getElementById('login-problem');

  constructor() {
    super();
    this.#form.addEventListener('submit', (event) => {
      event.preventDefault();
      void this.#enter(event.submitter?.value ?? 'login');
    });
    document.getElementById('logout').addEventListener('click', () => this.#become());
    document.getElementById('copy').addEventListener('click', () => void this.#copy());
  }

  async #enter(door) {
    const { username, password } = Object.fromEntries(new FormData(this.#form));
    const body = { username, password };
    if (door === 'register') body.email = `${username}@example.com`;
    this.#problem.textContent = '';
    const wanted = { method: 'POST', headers: { 'Content-Type': 'application/json' }, body: JSON.stringify(body) };
    try {
      const response = await fetch(`/api/auth/${door}`, wanted);
      const { data, message, metadata } = await response.json();
      if (response.ok) return this.#become(data);
      const fields = metadata.fields?.map(({ field, problem }) => `${field}: ${problem}`).join('; ');
      this.#problem.textContent = fields ?? message;
    } catch {
      this.#problem.textContent = 'The node does not answer.';
    }
  }

  #become(data) {
    this.token = data?.token;
    document.getElementById('player-name').textContent = data?.user.username ?? '';
    this.#form.hidden = data !== undefined;
    this.#player.hidden = data === undefined;
    this.#form.reset();
    this.dispatchEvent(new Event('change'));
    (data ? document.getElementById('logout') : this.#form.elements.username).focus();
  }

  async #copy() {
    const button = document.getElementById('copy');
    try {
      await navigator.clipboard.writeText(this.token);
      button.textContent = 'Copied';
    } catch {
      button.textContent = 'Your browser does not allow it';
    }
    setTimeout(() => { button.textContent = 'Copy the token'; }, 2000);
  }
}
