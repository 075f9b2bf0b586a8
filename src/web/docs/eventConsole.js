// Connects like a client, and shows events as they arrive.

import { openEventStream } from '/assets/laurel/event-stream.js';

/** Older events are removed. */
const MAX_EVENTS = 50;

export class EventConsole {
  #link = undefined;
  #form = document.getElementById('try');
  #button = document.getElementById('connect');
  #state = document.getElementById('try-state');
  #events = document.getElementById('events');
  #play = document.getElementById('play');

  constructor(login, channels) {
    this.login = login;
    this.channels = channels;
    this.#form.addEventListener('submit', (event) => {
      event.preventDefault();
      if (this.#link) this.#disconnect('Not connected');
      else this.#connect(this.#form.elements.transport.value);
    });
    this.#play.addEventListener('click', () => void this.#playAction());
    login.addEventListener('change', () => this.#applyLogin());
    this.#applyLogin();
  }

  /** WebSockets and awards need a login. A change of the login disconnects. */
  #applyLogin() {
    const { token } = this.login;
    if (this.#link) this.#disconnect('Not connected');
    const { transport } = this.#form.elements;
    const option = transport.querySelector('[value="webSocket"]');
    option.disabled = !token;
    option.textContent = token ? 'WebSocket' : 'WebSocket (needs a login)';
    if (!token) transport.value = 'stream';
    this.#play.hidden = !token;
  }

  #connect(transport) {
    this.#link = transport === 'webSocket' ? this.#openWebSocket() : this.#openStream();
    this.#state.textContent = 'Connecting';
    this.#button.textContent = 'Disconnect';
    this.#form.elements.transport.disabled = true;
  }

  #openWebSocket() {
    const url = new URL(this.channels.webSocket.address, location.origin);
    url.protocol = url.protocol === 'https:' ? 'wss:' : 'ws:';
    const socket = new WebSocket(url, ['laurel.v1', `bearer.${this.login.token}`]);
    socket.onopen = () => { this.#state.textContent = 'Connected'; };
    socket.onmessage = ({ data }) => this.#show(JSON.parse(data));
    socket.onclose = ({ code, reason }) => this.#link === socket && this.#disconnect(`Closed: ${code} ${reason}`);
    return socket;
  }

  /** Uses the client's own reader: an `EventSource` needs the login in the URL, which ends up in logs. */
  #openStream() {
    return openEventStream(fetch, '', this.login.token ?? null, [], {
      onActivity: () => { this.#state.textContent = 'Connected'; },
      onEvent: (event) => this.#show(event),
      onClose: ({ reason, code = '' }) => this.#disconnect(`Closed: ${code} ${reason}`),
    });
  }

  #disconnect(state) {
    const link = this.#link;
    this.#link = undefined;
    link.close();
    this.#state.textContent = state;
    this.#button.textContent = 'Connect';
    this.#form.elements.transport.disabled = false;
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
    this.#events.prepend(item);
    while (this.#events.childElementCount > MAX_EVENTS) this.#events.lastElementChild.remove();
  }

  /** Plays the first action that needs no proof. */
  async #playAction() {
    this.#play.disabled = true;
    try {
      const { actions } = await (await fetch('/api/v1/actions')).json();
      const { actionType } = actions.find((action) => action.proof === 'none' && action.flows.includes('actions'));
      const { antiSpamToken } = await this.#post('/api/v1/actions/init', { actionType });
      await this.#post('/api/v1/actions/finalize', { antiSpamToken });
    } catch (error) {
      this.#state.textContent = error.message;
    } finally {
      this.#play.disabled = false;
    }
  }

  async #post(path, body) {
    const headers = { 'Content-Type': 'application/json', Authorization: `Bearer ${this.login.token}` };
    const response = await fetch(path, { method: 'POST', headers, body: JSON.stringify(body) });
    const result = await response.json();
    if (!response.ok) throw new Error(result.message);
    return result;
  }
}
