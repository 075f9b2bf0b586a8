// A live connection's own rules, against a server that is made up: what is shown, when it comes back, when it does not.

import assert from 'node:assert/strict';
import { mock, test } from 'node:test';

import { Laurel } from '../dist/index.js';

/** A WebSocket whose server is the test. */
class Socket {
  static made = [];
  #listeners = new Map();
  constructor(url, protocols) {
    Object.assign(this, { url, protocols, closed: false, sent: [] });
    Socket.made.push(this);
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
  say(event) {
    this.emit('message', { data: JSON.stringify(event) });
  }
  greet() {
    this.emit('open');
    this.say({ event: 'connect_success', data: { message: 'hello', userId: 'u', username: 'ada' } });
  }
}

const TOKEN = 'h.e30.s';
const board = (version) => ({ event: 'leaderboard_updated', data: [], version, timestamp: '2026-01-01T00:00:00Z' });
const settled = () => new Promise((resolve) => setImmediate(resolve));
/** Turns the clock, and lets everything happen that follows. */
const turn = async (ms) => {
  mock.timers.tick(ms);
  for (let i = 0; i < 8; i += 1) await settled();
};

/** A player who listens with made-up sockets, HTTP answers and a clock that the test turns. */
function listening(context, { answer = () => Promise.reject(new TypeError()), onToken = () => {}, ...options } = {}) {
  mock.timers.enable({ apis: ['setTimeout'] });
  Socket.made = [];
  const [told, asked] = [[], []];
  const fetch = (url, init) => (asked.push({ url, init }), answer(url, init));
  const laurel = new Laurel({ url: 'http://x', token: TOKEN, onToken, fetch, WebSocket: Socket, random: () => 0.5 });
  const live = laurel.live({
    onBoard: ({ version }) => told.push(version),
    onState: (state, { retryInMs, code }) => told.push([state, retryInMs, code].filter((it) => it !== undefined).join(' ')),
    ...options,
  });
  context.after(() => {
    live.close();
    mock.timers.reset();
  });
  return { told, asked, laurel, live, sockets: Socket.made };
}

test('the login goes as a sub-protocol, and the first board follows', (context) => {
  const { told, sockets, laurel } = listening(context);
  assert.equal(sockets[0].url, 'ws://x/api/v1/ws');
  assert.deepEqual(sockets[0].protocols, ['laurel.v1', `bearer.${TOKEN}`]);
  sockets[0].greet();
  sockets[0].say(board(5));
  assert.deepEqual(told, ['connecting', 'open', 5]);
  assert.deepEqual([laurel.user.uuid, laurel.user.username], ['u', 'ada']);
});

test('no board is shown after a newer one, also not by the next connection', (context) => {
  const { told, sockets } = listening(context);
  sockets[0].greet();
  for (const version of [5, 4, 5, 7]) sockets[0].say(board(version));
  sockets[0].emit('close', { code: 1012, reason: 'retry in 300 ms' });
  mock.timers.tick(299);
  assert.equal(sockets.length, 1);
  mock.timers.tick(1);
  sockets[1].greet();
  for (const version of [6, 7, 8]) sockets[1].say(board(version));
  assert.deepEqual(told, ['connecting', 'open', 5, 7, 'reconnecting 300 1012', 'open', 8]);
});

test('what is no event is passed over', (context) => {
  const { told, sockets } = listening(context);
  sockets[0].greet();
  for (const data of ['{', 'null', '7', new ArrayBuffer(3)]) sockets[0].emit('message', { data });
  sockets[0].say({ event: 'something_new', data: {} });
  sockets[0].say(board(1));
  assert.deepEqual(told, ['connecting', 'open', 1]);
});

test('waits grow while it fails, and are short again after a connection that held', async (context) => {
  const { told, sockets } = listening(context);
  for (const wait of [1000, 2000, 4000, 8000]) {
    sockets.at(-1).emit('error');
    await settled();
    assert.equal(told.at(-1), `reconnecting ${wait}`);
    mock.timers.tick(wait);
  }
  sockets.at(-1).greet();
  const now = performance.now();
  const clock = context.mock.method(performance, 'now', () => now + 6000);
  sockets.at(-1).emit('close', { code: 1006, reason: '' });
  clock.mock.restore();
  assert.equal(told.at(-1), 'reconnecting 1000 1006');
});

test('who is refused does not come back before the login is another', async (context) => {
  const { told, sockets, laurel } = listening(context);
  sockets[0].greet();
  sockets[0].emit('close', { code: 4401, reason: 'this account is banned' });
  mock.timers.tick(600_000);
  assert.deepEqual([told, sockets.length], [['connecting', 'open', 'refused 4401'], 1]);
  laurel.token = 'h.another.s';
  assert.deepEqual([told.at(-1), sockets.length], ['connecting', 2]);
});

test('where no WebSocket comes through, events do; and their answer says why nothing does', async (context) => {
  const answers = [
    new Response('', { status: 503, headers: { 'retry-after': '3' } }),
    new Response(`event: a\ndata: ${JSON.stringify({ event: 'connect_success', data: {} })}\n\nretry: 60000\n\n`),
  ];
  const { told, sockets, asked } = listening(context, { answer: async () => answers.shift() });
  sockets[0].emit('error');
  for (let i = 0; i < 5; i += 1) await settled();
  assert.deepEqual(told, ['connecting', 'reconnecting 4000 503']);
  assert.equal(asked[0].init.headers.authorization, `Bearer ${TOKEN}`);
  mock.timers.tick(4000);
  sockets[1].emit('close', { code: 1006, reason: '' });
  for (let i = 0; i < 5; i += 1) await settled();
  assert.deepEqual(told.slice(2), ['open', 'refused'], 'a minute is said to who is banned or logged out');
});

/** A browser's window and its network, which the test switches. */
function device(context) {
  const page = new EventTarget();
  const stand = { navigator: { onLine: true } };
  for (const name of ['addEventListener', 'removeEventListener']) stand[name] = page[name].bind(page);
  for (const [name, value] of Object.entries(stand)) {
    const given = Object.getOwnPropertyDescriptor(globalThis, name);
    Object.defineProperty(globalThis, name, { value, configurable: true, writable: true });
    context.after(() => (given ? Object.defineProperty(globalThis, name, given) : delete globalThis[name]));
  }
  return (onLine) => {
    stand.navigator.onLine = onLine;
    page.dispatchEvent(new Event(onLine ? 'online' : 'offline'));
  };
}

test('the page is online again: it comes back at once', async (context) => {
  const online = device(context);
  const { told, sockets } = listening(context);
  sockets[0].emit('error');
  await settled();
  assert.deepEqual([told.at(-1), sockets.length], ['reconnecting 1000', 1]);
  online(true);
  assert.equal(sockets.length, 2);
  mock.timers.tick(1000);
  assert.equal(sockets.length, 2, 'and not once more when its wait is over');
});

/** What a device does whose network goes, and how each connection takes it. */
const NETWORK_GOES = [
  { what: 'while it is open', before: ({ sockets }) => sockets[0].greet(), state: 'offline' },
  { what: 'while it opens', before: () => {}, state: 'offline' },
  { what: 'while it waits', before: async ({ sockets }) => (sockets[0].emit('error'), settled()), state: 'offline' },
  { what: 'after the login was refused', before: ({ sockets }) => sockets[0].emit('close', { code: 4401, reason: '' }), state: 'refused' },
  { what: 'after it was closed', before: ({ live }) => live.close(), state: 'closed' },
];

for (const { what, before, state } of NETWORK_GOES) {
  test(`the network goes ${what}`, async (context) => {
    const online = device(context);
    const it = listening(context);
    await before(it);
    online(false);
    assert.equal(it.live.state, state);
    const tries = it.sockets.length;
    online(true);
    const comesBack = state === 'offline';
    assert.equal(it.sockets.length, tries + (comesBack ? 1 : 0));
    if (comesBack) it.sockets.at(-1).greet();
    assert.equal(it.live.state, comesBack ? 'open' : state);
  });
}

test('a lost connection tells since when the board may be old', (context) => {
  const states = [];
  const { sockets } = listening(context, { onState: (state, { asOf }) => states.push([state, typeof asOf]) });
  sockets[0].emit('close', { code: 1012, reason: 'retry in 300 ms' });
  mock.timers.tick(300);
  sockets[1].greet();
  const before = Date.now();
  sockets[1].emit('close', { code: 1012, reason: 'retry in 300 ms' });
  assert.deepEqual(states, [['connecting', 'undefined'], ['reconnecting', 'undefined'], ['open', 'undefined'], ['reconnecting', 'string']]);
  assert.ok(Date.now() - before < 60_000);
});

test('what a listener throws is told as uncaught, and breaks nothing', async (context) => {
  const uncaught = [];
  const keep = (error) => uncaught.push(error.message);
  const others = process.listeners('uncaughtException');
  process.removeAllListeners('uncaughtException').on('uncaughtException', keep);
  const onBoard = ({ version }) => {
    throw new Error(`cannot draw ${version}`);
  };
  const { told, sockets } = listening(context, { onBoard });
  sockets[0].greet();
  sockets[0].say(board(1));
  sockets[0].say(board(2));
  await settled();
  process.removeAllListeners('uncaughtException');
  for (const other of others) process.on('uncaughtException', other);
  assert.deepEqual([uncaught, told], [['cannot draw 1', 'cannot draw 2'], ['connecting', 'open']]);
});

test('a silent WebSocket is pinged: any answer keeps it, none ends it', async (context) => {
  const { told, sockets } = listening(context, { silenceMs: 1000 });
  const [socket] = sockets;
  socket.greet();
  for (const answer of [{ event: 'pong' }, board(5), { event: 'something_new' }]) {
    await turn(1200);
    assert.equal(socket.sent.pop(), '{"event":"ping"}');
    await turn(4999);
    assert.equal(socket.closed, false);
    socket.say(answer);
  }
  await turn(1100);
  assert.deepEqual(socket.sent, [], 'what is heard puts the next check off');
  await turn(100);
  await turn(5000);
  assert.deepEqual([told.at(-1), socket.closed], ['reconnecting 1000', true]);
});

/** A stream of events, and HTTP beside it. */
function watching(context, http) {
  let stream;
  const body = new ReadableStream({ start: (it) => (stream = it) });
  const answer = async (url, init) => (url.endsWith('/stream') ? new Response(body) : http(init));
  const it = listening(context, { answer, silenceMs: 1000, transport: 'events' });
  it.say = (event) => stream.enqueue(Buffer.from(`data: ${JSON.stringify(event)}\n\n`));
  return it;
}

test('a silent stream is kept as long as HTTP has nothing newer', async (context) => {
  let version = 5;
  const { told, say } = watching(context, () => Response.json({ leaderboard: [], version }, { headers: { etag: `"${version}"` } }));
  await settled();
  say({ event: 'connect_success', data: {} });
  say(board(5));
  await turn(0);
  await turn(1200);
  await turn(3000);
  assert.equal(told.at(-1), 5);
  version = 6;
  await turn(1200);
  say(board(6));
  await turn(0);
  await turn(3000);
  assert.equal(told.at(-1), 6, 'it came in time');
  version = 7;
  await turn(1200);
  await turn(3000);
  assert.equal(told.at(-1), 'reconnecting 1000');
});

/** Answers of HTTP to a check, and whether a stream that stays silent is kept. */
const CHECKS = [
  { http: () => Promise.reject(new TypeError('no network')), kept: false },
  { http: ({ signal }) => new Promise((_, lost) => signal.addEventListener('abort', () => lost(signal.reason))), kept: false },
  { http: () => Response.json({ message: 'busy', metadata: { errorCode: 'SERVICE_UNAVAILABLE' } }, { status: 503 }), kept: true },
  { http: () => new Response('a balancer', { status: 502 }), kept: true },
];

for (const [index, { http, kept }] of CHECKS.entries()) {
  test(`a silent stream and an answer of HTTP (${index}): ${kept ? 'kept' : 'lost'}`, async (context) => {
    const { live, say } = watching(context, http);
    await settled();
    say({ event: 'connect_success', data: {} });
    await turn(0);
    await turn(1200);
    await turn(5000);
    assert.equal(live.state, kept ? 'open' : 'reconnecting');
  });
}

test('a connection that was closed hears nothing any more', (context) => {
  const { told, sockets, live, laurel } = listening(context);
  sockets[0].greet();
  live.close();
  live.close();
  sockets[0].say(board(9));
  sockets[0].emit('close', { code: 1006, reason: '' });
  laurel.logout();
  mock.timers.tick(600_000);
  assert.deepEqual([told, sockets[0].closed, live.state], [['connecting', 'open', 'closed'], true, 'closed']);
});

test('a node that dies is asked once by each, and by events at every third failure alone', async (context) => {
  const answer = async () => new Response('', { status: 401 });
  const { told, sockets, asked } = listening(context, { answer });
  sockets[0].greet();
  sockets[0].emit('close', { code: 1006, reason: '' });
  mock.timers.tick(1000);
  sockets[1].emit('error');
  await settled();
  assert.deepEqual([told.at(-1), asked.length], ['reconnecting 2000', 0]);
  mock.timers.tick(2000);
  sockets[2].emit('error');
  for (let i = 0; i < 5; i += 1) await settled();
  assert.deepEqual([told.at(-1), asked.length, sockets.length], ['refused 401', 1, 3]);
});

test('events that stand in for a WebSocket do not do so for life', async (context) => {
  const greeting = `data: ${JSON.stringify({ event: 'connect_success', data: {} })}\n\n`;
  let stream;
  const answer = async () => new Response(new ReadableStream({ start: (it) => (stream = it).enqueue(Buffer.from(greeting)) }));
  const { told, sockets } = listening(context, { answer, silenceMs: 3_600_000 });
  for (const last of ['open', 'reconnecting 0,open']) {
    sockets.at(-1).emit('error');
    for (let i = 0; i < 5; i += 1) await settled();
    assert.equal(told.splice(1).join(), last);
    for (let minutes = 0; minutes < 7; minutes += 1) {
      await turn(60_000);
      stream.enqueue(Buffer.from(':\n\n'));
      await settled();
    }
    await turn(30_000);
  }
  sockets[2].greet();
  assert.deepEqual([told.slice(1), sockets.length], [['reconnecting 0', 'open'], 3]);
  mock.timers.tick(3_000_000);
  assert.equal(sockets.length, 3);
});

test('a page that closes it when it hears of a logout has closed it for good', (context) => {
  const onToken = () => live.close();
  const { told, asked, sockets, laurel, live } = listening(context, { onToken });
  sockets[0].greet();
  laurel.logout();
  assert.deepEqual([told, live.state, asked.length], [['connecting', 'open', 'closed'], 'closed', 0]);
  assert.ok(sockets.every((it) => it.closed));
});

test('what is told may close it, or log in anew, and no connection is left over', (context) => {
  const deeds = [(it) => it.live.close(), (it) => (it.laurel.token = 'h.third.s')];
  for (const [index, deed] of deeds.entries()) {
    let once = false;
    const onState = (state) => once && state === 'connecting' && ((once = false), deed(it));
    const it = listening(context, { onState });
    it.sockets[0].greet();
    once = true;
    it.laurel.token = 'h.another.s';
    assert.deepEqual(it.sockets.map(({ closed }) => closed), [[true], [true, false]][index]);
    if (index === 1) assert.equal(it.sockets[1].protocols[1], 'bearer.h.third.s');
    it.live.close();
    mock.timers.reset();
  }
});

test('a status that makes a page close it does not open it again', (context) => {
  const onStatus = () => live.close();
  const { told, sockets, live } = listening(context, { onStatus });
  sockets[0].greet();
  sockets[0].say({ event: 'status', data: { degraded: true, asOf: '' } });
  assert.deepEqual(told, ['connecting', 'open', 'closed']);
});
