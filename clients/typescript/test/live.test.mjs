// Live connections against a fake server: what is delivered, and when they reconnect.

import assert from 'node:assert/strict';
import { mock, test } from 'node:test';

import { Laurel } from '../dist/index.js';

/** A WebSocket whose server is the test. */
class FakeWebSocket {
  static created = [];
  #listeners = new Map();
  constructor(url, protocols) {
    Object.assign(this, { url, protocols, closed: false, sent: [] });
    FakeWebSocket.created.push(this);
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
const eventLoopTurn = () => new Promise((resolve) => setImmediate(resolve));
/** Advances the clock, and runs everything that follows. */
const advance = async (ms) => {
  mock.timers.tick(ms);
  for (let i = 0; i < 8; i += 1) await eventLoopTurn();
};

/** A live connection with fake sockets, HTTP responses and clock. `log` has the boards and states that it delivered. */
function openLive(context, { respond = () => Promise.reject(new TypeError()), onToken = () => {}, ...options } = {}) {
  mock.timers.enable({ apis: ['setTimeout'] });
  FakeWebSocket.created = [];
  const [log, requests] = [[], []];
  const fetch = (url, init) => (requests.push({ url, init }), respond(url, init));
  const laurel = new Laurel({ url: 'http://x', token: TOKEN, onToken, fetch, WebSocket: FakeWebSocket, random: () => 0.5 });
  const live = laurel.live({
    onBoard: ({ version }) => log.push(version),
    onState: (state, { retryInMs, code }) => log.push([state, retryInMs, code].filter((part) => part !== undefined).join(' ')),
    ...options,
  });
  context.after(() => {
    live.close();
    mock.timers.reset();
  });
  return { log, requests, laurel, live, sockets: FakeWebSocket.created };
}

test('the login is a subprotocol, and the first board follows', (context) => {
  const { log, sockets, laurel } = openLive(context);
  assert.equal(sockets[0].url, 'ws://x/api/v1/ws');
  assert.deepEqual(sockets[0].protocols, ['laurel.v1', `bearer.${TOKEN}`]);
  sockets[0].accept();
  sockets[0].receive(board(5));
  assert.deepEqual(log, ['connecting', 'open', 5]);
  assert.deepEqual([laurel.user.uuid, laurel.user.username], ['u', 'ada']);
});

test('no older board follows a newer one, not even on the next connection', (context) => {
  const { log, sockets } = openLive(context);
  sockets[0].accept();
  for (const version of [5, 4, 5, 7]) sockets[0].receive(board(version));
  sockets[0].emit('close', { code: 1012, reason: 'retry in 300 ms' });
  mock.timers.tick(299);
  assert.equal(sockets.length, 1);
  mock.timers.tick(1);
  sockets[1].accept();
  for (const version of [6, 7, 8]) sockets[1].receive(board(version));
  assert.deepEqual(log, ['connecting', 'open', 5, 7, 'reconnecting 300 1012', 'open', 8]);
});

test('subscriptions outlive connections, and each gets newer states only', (context) => {
  const { live, sockets } = openLive(context);
  const updates = [];
  const handlers = {
    onUpdate: (update) => updates.push([update.board, update.version, update.stale]),
    onOwnEntry: ({ board, rank }) => updates.push([board, rank]),
    onRefused: (board, code) => updates.push([board, code]),
  };
  const update = (board, version, stale) => ({ event: 'board_updated', data: { board, version, entries: [], ...stale } });
  const sent = (socket) => sockets[socket].sent.map((text) => JSON.parse(text));
  const end = live.subscribe(['weekly', 'nope'], handlers);
  assert.deepEqual(sent(0), [], 'the connection is not open yet');
  sockets[0].accept();
  assert.deepEqual(sent(0), [{ event: 'subscribe', data: { boards: ['weekly', 'nope'] } }]);
  const refused = [{ board: 'nope', code: 'BOARD_NOT_FOUND' }];
  sockets[0].receive({ event: 'subscribed', data: { accepted: ['weekly'], refused } });
  for (const version of [5, 4, 5, 7]) sockets[0].receive(update('weekly', version));
  sockets[0].receive(update('daily', 9));
  sockets[0].receive(update('weekly', 7, { stale: true }));
  sockets[0].receive({ event: 'board_personal', data: { board: 'weekly', rank: 3 } });
  const expected = [['nope', 'BOARD_NOT_FOUND'], ['weekly', 5, false], ['weekly', 7, false], ['weekly', 7, true], ['weekly', 3]];
  assert.deepEqual(updates.splice(0), expected);
  const endOther = live.subscribe(['weekly', 'daily'], handlers);
  assert.deepEqual(updates.splice(0), [['weekly', 7, true]], 'the newest state is known');
  assert.deepEqual(sent(0).at(-1), { event: 'subscribe', data: { boards: ['daily'] } });
  end();
  end();
  assert.deepEqual(sent(0).at(-1), { event: 'unsubscribe', data: { boards: ['nope'] } });
  sockets[0].emit('close', { code: 1012, reason: 'retry in 300 ms' });
  mock.timers.tick(300);
  sockets[1].accept();
  assert.deepEqual(sent(1), [{ event: 'subscribe', data: { boards: ['weekly', 'daily'] } }]);
  for (const version of [6, 7, 8]) sockets[1].receive(update('weekly', version));
  assert.deepEqual(updates.splice(0), [['weekly', 7, false], ['weekly', 8, false]]);
  endOther();
  sockets[1].receive(update('weekly', 9));
  assert.deepEqual(updates, []);
});

test('an event stream has the boards in its URL, and goes without them if they are refused', async (context) => {
  const respond = (url) => {
    if (url.includes('nope')) return Promise.resolve(new Response('', { status: 404 }));
    return Promise.resolve(new Response(new ReadableStream()));
  };
  const { live, requests } = openLive(context, { respond, transport: 'events' });
  const paths = () => requests.map(({ url }) => url.slice('http://x/api/v1/leaderboard/stream'.length));
  const refused = [];
  live.subscribe(['weekly', 'weekly@DE'], {});
  live.subscribe(['daily'], {});
  await advance(0);
  assert.deepEqual(paths(), ['', '?board=weekly&board=weekly%40DE&board=daily']);
  live.subscribe(['nope'], { onRefused: (board, code) => refused.push([board, code]) });
  await advance(0);
  assert.deepEqual(refused, [['nope', 'BOARD_NOT_FOUND']]);
  await advance(2_000);
  assert.equal(paths().at(-1), '');
});

test('messages that are not events are ignored', (context) => {
  const { log, sockets } = openLive(context);
  sockets[0].accept();
  for (const data of ['{', 'null', '7', new ArrayBuffer(3)]) sockets[0].emit('message', { data });
  sockets[0].receive({ event: 'something_new', data: {} });
  sockets[0].receive(board(1));
  assert.deepEqual(log, ['connecting', 'open', 1]);
});

test('waits grow with failures, and are short again after a stable connection', async (context) => {
  const { log, sockets } = openLive(context);
  for (const wait of [1000, 2000, 4000, 8000]) {
    sockets.at(-1).emit('error');
    await eventLoopTurn();
    assert.equal(log.at(-1), `reconnecting ${wait}`);
    mock.timers.tick(wait);
  }
  sockets.at(-1).accept();
  const now = performance.now();
  const clock = context.mock.method(performance, 'now', () => now + 6000);
  sockets.at(-1).emit('close', { code: 1006, reason: '' });
  clock.mock.restore();
  assert.equal(log.at(-1), 'reconnecting 1000 1006');
});

test('after a refusal it reconnects only with another login', async (context) => {
  const { log, sockets, laurel } = openLive(context);
  sockets[0].accept();
  sockets[0].emit('close', { code: 4401, reason: 'this account is banned' });
  mock.timers.tick(600_000);
  assert.deepEqual([log, sockets.length], [['connecting', 'open', 'refused 4401'], 1]);
  laurel.token = 'h.another.s';
  assert.deepEqual([log.at(-1), sockets.length], ['connecting', 2]);
});

test('without WebSockets it uses events, whose response also explains a failure', async (context) => {
  const responses = [
    new Response('', { status: 503, headers: { 'retry-after': '3' } }),
    new Response(`event: a\ndata: ${JSON.stringify({ event: 'connect_success', data: {} })}\n\nretry: 60000\n\n`),
  ];
  const { log, sockets, requests } = openLive(context, { respond: async () => responses.shift() });
  sockets[0].emit('error');
  for (let i = 0; i < 5; i += 1) await eventLoopTurn();
  assert.deepEqual(log, ['connecting', 'reconnecting 4000 503']);
  assert.equal(requests[0].init.headers.authorization, `Bearer ${TOKEN}`);
  mock.timers.tick(4000);
  sockets[1].emit('close', { code: 1006, reason: '' });
  for (let i = 0; i < 5; i += 1) await eventLoopTurn();
  assert.deepEqual(log.slice(2), ['open', 'refused'], 'a wait of a minute means banned or logged out');
});

/** A browser's window. Returns a function that switches its network on or off. */
function device(context) {
  const page = new EventTarget();
  const fakes = { navigator: { onLine: true } };
  for (const name of ['addEventListener', 'removeEventListener']) fakes[name] = page[name].bind(page);
  for (const [name, value] of Object.entries(fakes)) {
    const original = Object.getOwnPropertyDescriptor(globalThis, name);
    Object.defineProperty(globalThis, name, { value, configurable: true, writable: true });
    context.after(() => (original ? Object.defineProperty(globalThis, name, original) : delete globalThis[name]));
  }
  return (onLine) => {
    fakes.navigator.onLine = onLine;
    page.dispatchEvent(new Event(onLine ? 'online' : 'offline'));
  };
}

test('when the page is online again it reconnects at once', async (context) => {
  const setOnline = device(context);
  const { log, sockets } = openLive(context);
  sockets[0].emit('error');
  await eventLoopTurn();
  assert.deepEqual([log.at(-1), sockets.length], ['reconnecting 1000', 1]);
  setOnline(true);
  assert.equal(sockets.length, 2);
  mock.timers.tick(1000);
  assert.equal(sockets.length, 2, 'not once more when the wait is over');
});

/** States in which the network is lost, and the state afterwards. */
const NETWORK_LOSSES = [
  { when: 'while it is open', before: ({ sockets }) => sockets[0].accept(), state: 'offline' },
  { when: 'while it opens', before: () => {}, state: 'offline' },
  { when: 'while it waits', before: async ({ sockets }) => (sockets[0].emit('error'), eventLoopTurn()), state: 'offline' },
  { when: 'after the login was refused', before: ({ sockets }) => sockets[0].emit('close', { code: 4401, reason: '' }), state: 'refused' },
  { when: 'after it was closed', before: ({ live }) => live.close(), state: 'closed' },
];

for (const { when, before, state } of NETWORK_LOSSES) {
  test(`the network is lost ${when}`, async (context) => {
    const setOnline = device(context);
    const it = openLive(context);
    await before(it);
    setOnline(false);
    assert.equal(it.live.state, state);
    const attempts = it.sockets.length;
    setOnline(true);
    const reconnects = state === 'offline';
    assert.equal(it.sockets.length, attempts + (reconnects ? 1 : 0));
    if (reconnects) it.sockets.at(-1).accept();
    assert.equal(it.live.state, reconnects ? 'open' : state);
  });
}

test('a lost connection reports the age of the board', (context) => {
  const states = [];
  const { sockets } = openLive(context, { onState: (state, { asOf }) => states.push([state, typeof asOf]) });
  sockets[0].emit('close', { code: 1012, reason: 'retry in 300 ms' });
  mock.timers.tick(300);
  sockets[1].accept();
  const before = Date.now();
  sockets[1].emit('close', { code: 1012, reason: 'retry in 300 ms' });
  assert.deepEqual(states, [['connecting', 'undefined'], ['reconnecting', 'undefined'], ['open', 'undefined'], ['reconnecting', 'string']]);
  assert.ok(Date.now() - before < 60_000);
});

test('an error in a callback is reported as uncaught, and breaks nothing', async (context) => {
  const uncaught = [];
  const record = (error) => uncaught.push(error.message);
  const originals = process.listeners('uncaughtException');
  process.removeAllListeners('uncaughtException').on('uncaughtException', record);
  const onBoard = ({ version }) => {
    throw new Error(`cannot draw ${version}`);
  };
  const { log, sockets } = openLive(context, { onBoard });
  sockets[0].accept();
  sockets[0].receive(board(1));
  sockets[0].receive(board(2));
  await eventLoopTurn();
  process.removeAllListeners('uncaughtException');
  for (const original of originals) process.on('uncaughtException', original);
  assert.deepEqual([uncaught, log], [['cannot draw 1', 'cannot draw 2'], ['connecting', 'open']]);
});

test('a silent WebSocket is pinged, and replaced if nothing arrives', async (context) => {
  const { log, sockets } = openLive(context, { silenceMs: 1000 });
  const [socket] = sockets;
  socket.accept();
  for (const response of [{ event: 'pong' }, board(5), { event: 'something_new' }]) {
    await advance(1200);
    assert.equal(socket.sent.pop(), '{"event":"ping"}');
    await advance(4999);
    assert.equal(socket.closed, false);
    socket.receive(response);
  }
  await advance(1100);
  assert.deepEqual(socket.sent, [], 'a message postpones the next check');
  await advance(100);
  await advance(5000);
  assert.deepEqual([log.at(-1), socket.closed], ['reconnecting 1000', true]);
});

/** A live connection over an event stream, with HTTP responses. */
function openStream(context, http) {
  let stream;
  const body = new ReadableStream({ start: (controller) => (stream = controller) });
  const respond = async (url, init) => (url.endsWith('/stream') ? new Response(body) : http(init));
  const it = openLive(context, { respond, silenceMs: 1000, transport: 'events' });
  it.receive = (event) => stream.enqueue(Buffer.from(`data: ${JSON.stringify(event)}\n\n`));
  return it;
}

test('a silent stream is kept as long as HTTP has no newer board', async (context) => {
  let version = 5;
  const { log, receive } = openStream(context, () => Response.json({ leaderboard: [], version }, { headers: { etag: `"${version}"` } }));
  await eventLoopTurn();
  receive({ event: 'connect_success', data: {} });
  receive(board(5));
  await advance(0);
  await advance(1200);
  await advance(3000);
  assert.equal(log.at(-1), 5);
  version = 6;
  await advance(1200);
  receive(board(6));
  await advance(0);
  await advance(3000);
  assert.equal(log.at(-1), 6, 'it arrived in time');
  version = 7;
  await advance(1200);
  await advance(3000);
  assert.equal(log.at(-1), 'reconnecting 1000');
});

/** HTTP responses to a check, and whether a silent stream is kept. */
const CHECKS = [
  { http: () => Promise.reject(new TypeError('no network')), isKept: false },
  { http: ({ signal }) => new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason))), isKept: false },
  { http: () => Response.json({ message: 'busy', metadata: { errorCode: 'SERVICE_UNAVAILABLE' } }, { status: 503 }), isKept: true },
  { http: () => new Response('a balancer', { status: 502 }), isKept: true },
];

for (const [index, { http, isKept }] of CHECKS.entries()) {
  test(`a silent stream is ${isKept ? 'kept' : 'replaced'}: HTTP response ${index}`, async (context) => {
    const { live, receive } = openStream(context, http);
    await eventLoopTurn();
    receive({ event: 'connect_success', data: {} });
    await advance(0);
    await advance(1200);
    await advance(5000);
    assert.equal(live.state, isKept ? 'open' : 'reconnecting');
  });
}

test('a closed connection delivers nothing', (context) => {
  const { log, sockets, live, laurel } = openLive(context);
  sockets[0].accept();
  live.close();
  live.close();
  sockets[0].receive(board(9));
  sockets[0].emit('close', { code: 1006, reason: '' });
  laurel.logout();
  mock.timers.tick(600_000);
  assert.deepEqual([log, sockets[0].closed, live.state], [['connecting', 'open', 'closed'], true, 'closed']);
});

test('after a node died, only every third failure also asks the event stream', async (context) => {
  const respond = async () => new Response('', { status: 401 });
  const { log, sockets, requests } = openLive(context, { respond });
  sockets[0].accept();
  sockets[0].emit('close', { code: 1006, reason: '' });
  mock.timers.tick(1000);
  sockets[1].emit('error');
  await eventLoopTurn();
  assert.deepEqual([log.at(-1), requests.length], ['reconnecting 2000', 0]);
  mock.timers.tick(2000);
  sockets[2].emit('error');
  for (let i = 0; i < 5; i += 1) await eventLoopTurn();
  assert.deepEqual([log.at(-1), requests.length, sockets.length], ['refused 401', 1, 3]);
});

test('a WebSocket is tried again after some minutes of events', async (context) => {
  const firstEvent = `data: ${JSON.stringify({ event: 'connect_success', data: {} })}\n\n`;
  let stream;
  const respond = async () => new Response(new ReadableStream({ start: (controller) => (stream = controller).enqueue(Buffer.from(firstEvent)) }));
  const { log, sockets } = openLive(context, { respond, silenceMs: 3_600_000 });
  for (const last of ['open', 'reconnecting 0,open']) {
    sockets.at(-1).emit('error');
    for (let i = 0; i < 5; i += 1) await eventLoopTurn();
    assert.equal(log.splice(1).join(), last);
    for (let minutes = 0; minutes < 7; minutes += 1) {
      await advance(60_000);
      stream.enqueue(Buffer.from(':\n\n'));
      await eventLoopTurn();
    }
    await advance(30_000);
  }
  sockets[2].accept();
  assert.deepEqual([log.slice(1), sockets.length], [['reconnecting 0', 'open'], 3]);
  mock.timers.tick(3_000_000);
  assert.equal(sockets.length, 3);
});

test('a page can close it when it logs out', (context) => {
  const onToken = () => live.close();
  const { log, requests, sockets, laurel, live } = openLive(context, { onToken });
  sockets[0].accept();
  laurel.logout();
  assert.deepEqual([log, live.state, requests.length], [['connecting', 'open', 'closed'], 'closed', 0]);
  assert.ok(sockets.every((it) => it.closed));
});

test('a callback can close it or log in again, and no connection is left over', (context) => {
  const reactions = [(it) => it.live.close(), (it) => (it.laurel.token = 'h.third.s')];
  for (const [index, react] of reactions.entries()) {
    let once = false;
    const onState = (state) => once && state === 'connecting' && ((once = false), react(it));
    const it = openLive(context, { onState });
    it.sockets[0].accept();
    once = true;
    it.laurel.token = 'h.another.s';
    assert.deepEqual(it.sockets.map(({ closed }) => closed), [[true], [true, false]][index]);
    if (index === 1) assert.equal(it.sockets[1].protocols[1], 'bearer.h.third.s');
    it.live.close();
    mock.timers.reset();
  }
});

test('a page can close it at a status', (context) => {
  const onStatus = () => live.close();
  const { log, sockets, live } = openLive(context, { onStatus });
  sockets[0].accept();
  sockets[0].receive({ event: 'status', data: { degraded: true, asOf: '' } });
  assert.deepEqual(log, ['connecting', 'open', 'closed']);
});
