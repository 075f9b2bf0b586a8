// Listens as a client would, and shows what arrives as it arrives.

import { openStream } from '/assets/laurel/stream.js';

/** Older ones go. */
const MOST_SHOWN = 50;

export class Listening {
  #link = undefined;
  #form = document.getElementById('try');
  #button = document.getElementById('connect');
  #state = document.getElementById('try-state');
  #heard = document.getElementById('heard');
  #act = document.getElementById('act');

  constructor(login, channels) {
    this.login = login;
    this.channels = channels;
    this.#form.addEventListener('submit', (event) => {
      event.preventDefault();
      if (this.#link) this.#end('Not connected');
      else this.#connect(this.#form.elements.way.value);
    });
    this.#act.addEventListener('click', () => void this.#doAnAction());
    login.addEventListener('change', () => this.#admit());
    this.#admit();
  }

  /** Only players have a WebSocket, and points. Whoever else comes or goes begins anew. */
  #admit() {
    const { token } = this.login;
    if (this.#link) this.#end('Not connected');
    const socket = this.#form.elements.way.querySelector('[value="webSocket"]');
    socket.disabled = !token;
    socket.textContent = token ? 'WebSocket' : 'WebSocket (needs a login)';
    if (!token) this.#form.elements.way.value = 'stream';
    this.#act.hidden = !token;
  }

  #connect(way) {
    this.#link = way === 'webSocket' ? this.#socket() : this.#stream();
    this.#state.textContent = 'Connecting';
    this.#button.textContent = 'Disconnect';
    this.#form.elements.way.disabled = true;
  }

  #socket() {
    const url = new URL(this.channels.webSocket.address, location.origin);
    url.protocol = url.protocol === 'https:' ? 'wss:' : 'ws:';
    const socket = new WebSocket(url, ['laurel.v1', `bearer.${this.login.token}`]);
    socket.onopen = () => { this.#state.textContent = 'Connected'; };
    socket.onmessage = ({ data }) => this.#show(JSON.parse(data));
    socket.onclose = ({ code, reason }) => this.#link === socket && this.#end(`Closed: ${code} ${reason}`);
    return socket;
  }

  /** By the client's own reader: an `EventSource` would have the login in its address, which logs and proxies keep. */
  #stream() {
    return openStream(fetch, '', this.login.token ?? null, {
      alive: () => { this.#state.textContent = 'Connected'; },
      event: (event) => this.#show(event),
      end: ({ reason, code = '' }) => this.#end(`Closed: ${code} ${reason}`),
    });
  }

  #end(why) {
    const link = this.#link;
    this.#link = undefined;
    link.close();
    this.#state.textContent = why;
    this.#button.textContent = 'Connect';
    this.#form.elements.way.disabled = false;
  }

  #show(event) {
    const name = document.createElement('code');
    name.textContent = event.event;
    const time = document.createElement('time');
    time.textContent = new Date().toLocaleTimeString();
    const text = document.createElement('pre');
    text.tabIndex = 0;
    text.textContent = JSON.stringify(event, null, 2);
    const item = document.createElement('li');
    item.append(name, time, text);
    this.#heard.prepend(item);
    while (this.#heard.childElementCount > MOST_SHOWN) this.#heard.lastElementChild.remove();
  }

  async #doAnAction() {
    this.#act.disabled = true;
    try {
      const { actions } = await (await fetch('/api/v1/actions')).json();
      const { actionType } = actions.find((it) => it.proof === 'none' && it.flows.includes('actions'));
      const { antiSpamToken } = await this.#post('/api/v1/actions/init', { actionType });
      await this.#post('/api/v1/actions/finalize', { antiSpamToken });
    } catch (error) {
      this.#state.textContent = error.message;
    } finally {
      this.#act.disabled = false;
    }
  }

  async #post(path, body) {
    const headers = { 'Content-Type': 'application/json', Authorization: `Bearer ${this.login.token}` };
    const response = await fetch(path, { method: 'POST', headers, body: JSON.stringify(body) });
    const answer = await response.json();
    if (!response.ok) throw new Error(answer.message);
    return answer;
  }
}
