// Live connections against a fake server: which boards they deliver, and when they reconnect.

import assert from 'node:assert/strict';
import { mock, test } from 'node:test';

import { Laurel } from '../dist/index.js';

/** A WebSocket. The test acts as its server. */
class FakeSocket {
  static created = [];
  #listeners = new Map();
  constructor(url, protocols) {
    Object.assign(this, { url, protocols, closed: false, sent: [] });
    FakeSocket.created.push(this);
  }
  addEventListener(type, listener) {
    this.#listeners.set(type, listener);
  }
  send(text) {
    this.sent.push(text);
  }
  close() {
    this.closed = true;
  }
  emit(type, event = {}) {
    this.#listeners.get(type)?.(event);
  }
  receive(event) {
    this.emit('message', { data: JSON.stringify(event) });
  }
  accept() {
    this.emit('open');
    this.receive({ event: 'connect_success', data: { message: 'hello', userId: 'u', username: 'ada' } });
  }
}

const TOKEN = 'h.e30.s';
const board = (version) => ({ event: 'leaderboard_updated', data: [], version, timestamp: '2026-01-01T00:00:00Z' });
const flush = () => new Promise((resolve) => setImmediate(resolve));
/** Advances the clock, and lets all callbacks run. */
const advance = async (ms) => {
  mock.timers.tick(ms);
  for (let i = 0; i < 8; i += 1) await flush();
};

/** A player's live connection with fake sockets, fake HTTP responses and a fake clock. */
function subscribe(context, { respond = () => Promise.reject(new TypeError()), onToken = () => {}, ...options } = {}) {
  mock.timers.enable({ apis: ['setTimeout'] });
  FakeSocket.created = [];
  const [events, requests] = [[], []];
  const fetch = (url, init) => (requests.push({ url, init }), respond(url, init));
  const laurel = new Laurel({ url: 'http://x', token: TOKEN, onToken, fetch, WebSocket: FakeSocket, random: () => 0.5 });
  const live = laurel.live({
    onBoard: ({ version }) => events.push(version),
    onState: (state, { retryInMs, code }) => events.push([state, retryInMs, code].filter((it) => it !== undefined).join(' ')),
    ...options,
  });
  context.after(() => {
    live.close();
    mock.timers.reset();
  });
  return { events, requests, laurel, live, sockets: FakeSocket.created };
}

test('the login is sent as a sub-protocol, and the first board arrives', (context) => {
  const { events, sockets, laurel } = subscribe(context);
  assert.equal(sockets[0].url, 'ws://x/api/v1/ws');
  assert.deepEqual(sockets[0].protocols, ['laurel.v1', `bearer.${TOKEN}`]);
  sockets[0].accept();
  sockets[0].receive(board(5));
  assert.deepEqual(events, ['connecting', 'open', 5]);
  assert.deepEqual([laurel.user.uuid, laurel.user.username], ['u', 'ada']);
});

test('no board is delivered after a newer one, not even by the next connection', (context) => {
  const { events, sockets } = subscribe(context);
  sockets[0].accept();
  for (const version of [5, 4, 5, 7]) sockets[0].receive(board(version));
  sockets[0].emit('close', { code: 1012, reason: 'retry in 300 ms' });
  mock.timers.tick(299);
  assert.equal(sockets.length, 1);
  mock.timers.tick(1);
  sockets[1].accept();
  for (const version of [6, 7, 8]) sockets[1].receive(board(version));
  assert.deepEqual(events, ['connecting', 'open', 5, 7, 'reconnecting 300 1012', 'open', 8]);
});

test('an invalid or unknown message is ignored', (context) => {
  const { events, sockets } = subscribe(context);
  sockets[0].accept();
  for (const data of ['{', 'null', '7', new ArrayBuffer(3)]) sockets[0].emit('message', { data });
  sockets[0].receive({ event: 'something_new', data: {} });
  sockets[0].receive(board(1));
  assert.deepEqual(events, ['connecting', 'open', 1]);
});

test('delays double with each failure, and start again after a stable connection', async (context) => {
  const { events, sockets } = subscribe(context);
  for (const wait of [1000, 2000, 4000, 8000]) {
    sockets.at(-1).emit('error');
    await flush();
    assert.equal(events.at(-1), `reconnecting ${wait}`);
    mock.timers.tick(wait);
  }
  sockets.at(-1).accept();
  const now = performance.now();
  const clock = context.mock.method(performance, 'now', () => now + 6000);
  sockets.at(-1).emit('close', { code: 1006, reason: '' });
  clock.mock.restore();
  assert.equal(events.at(-1), 'reconnecting 1000 1006');
});

test('a refused client reconnects only with another login', async (context) => {
  const { events, sockets, laurel } = subscribe(context);
  sockets[0].accept();
  sockets[0].emit('close', { code: 4401, reason: 'this account is banned' });
  mock.timers.tick(600_000);
  assert.deepEqual([events, sockets.length], [['connecting', 'open', 'refused 4401'], 1]);
  laurel.token = 'h.another.s';
  assert.deepEqual([events.at(-1), sockets.length], ['connecting', 2]);
});

test('without a WebSocket the client falls back to SSE, which also reports the error', async (context) => {
  const responses = [
    new Response('', { status: 503, headers: { 'retry-after': '3' } }),
    new Response(`event: a\ndata: ${JSON.stringify({ event: 'connect_success', data: {} })}\n\nretry: 60000\n\n`),
  ];
  const { events, sockets, requests } = subscribe(context, { respond: async () => responses.shift() });
  sockets[0].emit('error');
  for (let i = 0; i < 5; i += 1) await flush();
  assert.deepEqual(events, ['connecting', 'reconnecting 4000 503']);
  assert.equal(requests[0].init.headers.authorization, `Bearer ${TOKEN}`);
  mock.timers.tick(4000);
  sockets[1].emit('close', { code: 1006, reason: '' });
  for (let i = 0; i < 5; i += 1) await flush();
  assert.deepEqual(events.slice(2), ['open', 'refused'], 'a retry of 60000 means that the login is refused');
});

/** A browser's window. Returns a function that switches its network on and off. */
function fakeNetwork(context) {
  const target = new EventTarget();
  const globals = { navigator: { onLine: true } };
  for (const name of ['addEventListener', 'removeEventListener']) globals[name] = target[name].bind(target);
  for (const [name, value] of Object.entries(globals)) {
    const original = Object.getOwnPropertyDescriptor(globalThis, name);
    Object.defineProperty(globalThis, name, { value, configurable: true, writable: true });
    context.after(() => (original ? Object.defineProperty(globalThis, name, original) : delete globalThis[name]));
  }
  return (onLine) => {
    globals.navigator.onLine = onLine;
    target.dispatchEvent(new Event(onLine ? 'online' : 'offline'));
  };
}

test('a page that is online again reconnects at once', async (context) => {
  const setOnline = fakeNetwork(context);
  const { events, sockets } = subscribe(context);
  sockets[0].emit('error');
  await flush();
  assert.deepEqual([events.at(-1), sockets.length], ['reconnecting 1000', 1]);
  setOnline(true);
  assert.equal(sockets.length, 2);
  mock.timers.tick(1000);
  assert.equal(sockets.length, 2, 'the canceled delay must not reconnect again');
});

/** The state of a connection after the network is lost, by its state before. */
const NETWORK_LOSSES = [
  { what: 'while it is open', before: ({ sockets }) => sockets[0].accept(), state: 'offline' },
  { what: 'while it opens', before: () => {}, state: 'offline' },
  { what: 'while it waits to reconnect', before: async ({ sockets }) => (sockets[0].emit('error'), flush()), state: 'offline' },
  { what: 'after the login was refused', before: ({ sockets }) => sockets[0].emit('close', { code: 4401, reason: '' }), state: 'refused' },
  { what: 'after it was closed', before: ({ live }) => live.close(), state: 'closed' },
];

for (const { what, before, state } of NETWORK_LOSSES) {
  test(`the network is lost ${what}`, async (context) => {
    const setOnline = fakeNetwork(context);
    const subscription = subscribe(context);
    await before(subscription);
    setOnline(false);
    assert.equal(subscription.live.state, state);
    const attempts = subscription.sockets.length;
    setOnline(true);
    const reconnects = state === 'offline';
    assert.equal(subscription.sockets.length, attempts + (reconnects ? 1 : 0));
    if (reconnects) subscription.sockets.at(-1).accept();
    assert.equal(subscription.live.state, reconnects ? 'open' : state);
  });
}

test('a lost connection reports since when the board may be old', (context) => {
  const states = [];
  const { sockets } = subscribe(context, { onState: (state, { asOf }) => states.push([state, typeof asOf]) });
  sockets[0].emit('close', { code: 1012, reason: 'retry in 300 ms' });
  mock.timers.tick(300);
  sockets[1].accept();
  const before = Date.now();
  sockets[1].emit('close', { code: 1012, reason: 'retry in 300 ms' });
  assert.deepEqual(states, [['connecting', 'undefined'], ['reconnecting', 'undefined'], ['open', 'undefined'], ['reconnecting', 'string']]);
  assert.ok(Date.now() - before < 60_000);
});

test('an error in a callback is reported as uncaught, and ends nothing', async (context) => {
  const uncaught = [];
  const record = (error) => uncaught.push(error.message);
  const listeners = process.listeners('uncaughtException');
  process.removeAllListeners('uncaughtException').on('uncaughtException', record);
  const onBoard = ({ version }) => {
    throw new Error(`cannot draw ${version}`);
  };
  const { events, sockets } = subscribe(context, { onBoard });
  sockets[0].accept();
  sockets[0].receive(board(1));
  sockets[0].receive(board(2));
  await flush();
  process.removeAllListeners('uncaughtException');
  for (const listener of listeners) process.on('uncaughtException', listener);
  assert.deepEqual([uncaught, events], [['cannot draw 1', 'cannot draw 2'], ['connecting', 'open']]);
});

test('a silent WebSocket is pinged, and closed unless something arrives', async (context) => {
  const { events, sockets } = subscribe(context, { silenceMs: 1000 });
  const [socket] = sockets;
  socket.accept();
  for (const message of [{ event: 'pong' }, board(5), { event: 'something_new' }]) {
    await advance(1200);
    assert.equal(socket.sent.pop(), '{"event":"ping"}');
    await advance(4999);
    assert.equal(socket.closed, false);
    socket.receive(message);
  }
  await advance(1100);
  assert.deepEqual(socket.sent, [], 'a message postpones the next ping');
  await advance(100);
  await advance(5000);
  assert.deepEqual([events.at(-1), socket.closed], ['reconnecting 1000', true]);
});

/** A live connection over SSE, and a function for all other requests. */
function subscribeToStream(context, http) {
  let stream;
  const body = new ReadableStream({ start: (it) => (stream = it) });
  const respond = async (url, init) => (url.endsWith('/stream') ? new Response(body) : http(init));
  const subscription = subscribe(context, { respond, silenceMs: 1000, transport: 'events' });
  subscription.receive = (event) => stream.enqueue(Buffer.from(`data: ${JSON.stringify(event)}\n\n`));
  return subscription;
}

test('a silent stream stays open while a GET finds no newer board', async (context) => {
  let version = 5;
  const { events, receive } = subscribeToStream(context, () => Response.json({ leaderboard: [], version }, { headers: { etag: `"${version}"` } }));
  await flush();
  receive({ event: 'connect_success', data: {} });
  receive(board(5));
  await advance(0);
  await advance(1200);
  await advance(3000);
  assert.equal(events.at(-1), 5);
  version = 6;
  await advance(1200);
  receive(board(6));
  await advance(0);
  await advance(3000);
  assert.equal(events.at(-1), 6, 'the newer board arrived in time');
  version = 7;
  await advance(1200);
  await advance(3000);
  assert.equal(events.at(-1), 'reconnecting 1000');
});

/** Responses to the check of a silent stream, and whether the stream stays open. */
const CHECKS = [
  { http: () => Promise.reject(new TypeError('no network')), stays: false },
  { http: ({ signal }) => new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason))), stays: false },
  { http: () => Response.json({ message: 'busy', metadata: { errorCode: 'SERVICE_UNAVAILABLE' } }, { status: 503 }), stays: true },
  { http: () => new Response('a balancer', { status: 502 }), stays: true },
];

for (const [index, { http, stays }] of CHECKS.entries()) {
  test(`response ${index} to the check of a silent stream ${stays ? 'keeps it open' : 'ends it'}`, async (context) => {
    const { live, receive } = subscribeToStream(context, http);
    await flush();
    receive({ event: 'connect_success', data: {} });
    await advance(0);
    await advance(1200);
    await advance(5000);
    assert.equal(live.state, stays ? 'open' : 'reconnecting');
  });
}

test('a closed connection delivers nothing', (context) => {
  const { events, sockets, live, laurel } = subscribe(context);
  sockets[0].accept();
  live.close();
  live.close();
  sockets[0].receive(board(9));
  sockets[0].emit('close', { code: 1006, reason: '' });
  laurel.logout();
  mock.timers.tick(600_000);
  assert.deepEqual([events, sockets[0].closed, live.state], [['connecting', 'open', 'closed'], true, 'closed']);
});

test('the client tries SSE at every third failure of the WebSocket', async (context) => {
  const respond = async () => new Response('', { status: 401 });
  const { events, sockets, requests } = subscribe(context, { respond });
  sockets[0].accept();
  sockets[0].emit('close', { code: 1006, reason: '' });
  mock.timers.tick(1000);
  sockets[1].emit('error');
  await flush();
  assert.deepEqual([events.at(-1), requests.length], ['reconnecting 2000', 0]);
  mock.timers.tick(2000);
  sockets[2].emit('error');
  for (let i = 0; i < 5; i += 1) await flush();
  assert.deepEqual([events.at(-1), requests.length, sockets.length], ['refused 401', 1, 3]);
});

test('a client on SSE tries the WebSocket again later', async (context) => {
  const greeting = `data: ${JSON.stringify({ event: 'connect_success', data: {} })}\n\n`;
  let stream;
  const respond = async () => new Response(new ReadableStream({ start: (it) => (stream = it).enqueue(Buffer.from(greeting)) }));
  const { events, sockets } = subscribe(context, { respond, silenceMs: 3_600_000 });
  for (const last of ['open', 'reconnecting 0,open']) {
    sockets.at(-1).emit('error');
    for (let i = 0; i < 5; i += 1) await flush();
    assert.equal(events.splice(1).join(), last);
    for (let minutes = 0; minutes < 7; minutes += 1) {
      await advance(60_000);
      stream.enqueue(Buffer.from(':\n\n'));
      await flush();
    }
    await advance(30_000);
  }
  sockets[2].accept();
  assert.deepEqual([events.slice(1), sockets.length], [['reconnecting 0', 'open'], 3]);
  mock.timers.tick(3_000_000);
  assert.equal(sockets.length, 3);
});

test('a connection closed in onToken stays closed', (context) => {
  const onToken = () => live.close();
  const { events, requests, sockets, laurel, live } = subscribe(context, { onToken });
  sockets[0].accept();
  laurel.logout();
  assert.deepEqual([events, live.state, requests.length], [['connecting', 'open', 'closed'], 'closed', 0]);
  assert.ok(sockets.every((it) => it.closed));
});

test('a callback may close the connection or change the login, and no socket stays open', (context) => {
  const actions = [(it) => it.live.close(), (it) => (it.laurel.token = 'h.third.s')];
  for (const [index, act] of actions.entries()) {
    let once = false;
    const onState = (state) => once && state === 'connecting' && ((once = false), act(subscription));
    const subscription = subscribe(context, { onState });
    subscription.sockets[0].accept();
    once = true;
    subscription.laurel.token = 'h.another.s';
    assert.deepEqual(subscription.sockets.map(({ closed }) => closed), [[true], [true, false]][index]);
    if (index === 1) assert.equal(subscription.sockets[1].protocols[1], 'bearer.h.third.s');
    subscription.live.close();
    mock.timers.reset();
  }
});

test('a connection closed in onStatus stays closed', (context) => {
  const onStatus = () => live.close();
  const { events, sockets, live } = subscribe(context, { onStatus });
  sockets[0].accept();
  sockets[0].receive({ event: 'status', data: { degraded: true, asOf: '' } });
  assert.deepEqual(events, ['connecting', 'open', 'closed']);
});
