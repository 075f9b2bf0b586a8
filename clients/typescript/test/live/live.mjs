// Live connections to real nodes that are killed, stopped or cut off. Board versions only grow.

import assert from 'node:assert/strict';
import { afterEach, before, beforeEach, test } from 'node:test';

import { Laurel } from '../../dist/index.js';
import { TcpProxy } from './proxy.mjs';
import { eventually, nodes, player, recorder, scoreOn, state } from './fixtures.mjs';

const [stable, killed, drained, limited] = nodes;
const admin = { authorization: `Bearer ${process.env.LAUREL_ADMIN}`, 'content-type': 'application/json' };
let proxy;
let connections = [];
let ann;

before(async () => {
  ann = await player({ name: 'ann' });
  await ann.play('watch_ad');
});
beforeEach(async () => (proxy = await TcpProxy.start(stable.url)));
afterEach(() => {
  for (const live of connections) live.close();
  connections = [];
  proxy.close();
});

/** Opens a live connection and records what it delivers. */
function connect(laurel, options = {}) {
  const recorded = recorder();
  connections.push(laurel.live({ ...recorded.hooks, ...options }));
  return { ...recorded, live: connections.at(-1) };
}

function assertVersionsGrow({ boards }) {
  const versions = boards.map((board) => board.version);
  assert.deepEqual(versions, [...new Set(versions)].sort((a, b) => a - b));
}

const isOpen = (received) => state(received) === 'open';
const shows = (laurel, score) => ({ boards }) => scoreOn(boards.at(-1), laurel) === score;

test('a spectator receives boards by events, a player also own awards by WebSocket', async () => {
  const bob = await player();
  const spectator = connect(new Laurel({ url: stable.url }));
  const own = connect(bob);
  await spectator.until('the spectator to connect', isOpen);
  await own.until('the player to connect', isOpen);
  assert.deepEqual(spectator.received.states, [['connecting', {}], ['open', { transport: 'events' }]]);
  assert.deepEqual(own.received.states, [['connecting', {}], ['open', { transport: 'websocket' }]]);
  await own.until('the first board', (received) => received.boards.length > 0);
  // A node subscribes to the player's updates some milliseconds after the connection is open, so the first award may be missed.
  for (let round = 1; own.received.personal.length === 0; round += 1) {
    const { newScore } = await bob.play('complete_level');
    await spectator.until('the spectator to see it', shows(bob, newScore));
    await own.until('the player to see it', shows(bob, newScore));
    assert.ok(round < 5);
  }
  const { userId, score, pointsEarned } = own.received.personal.at(-1);
  assert.deepEqual([userId, score, pointsEarned], [bob.user.uuid, bob.user.score, 20]);
  assert.equal(spectator.received.personal.length, 0);
  const board = own.received.boards.at(-1);
  assert.ok(!board.stale && Math.abs(Date.parse(board.timestamp) - Date.now()) < 600_000);
  own.live.close();
  assert.equal(own.live.state, 'closed');
});

test('a player without a WebSocket receives own awards by events', async () => {
  const bob = await player();
  const own = connect(bob, { transport: 'events' });
  await own.until('it to open', isOpen);
  await eventually('an own award', async () => (await bob.play('watch_ad')) && own.received.personal.length > 0);
});

test('clients of a killed node reconnect to another, and never see an older board', async () => {
  const bob = await player();
  proxy.setTarget(killed.url);
  const [own, spectator] = [connect(new Laurel({ url: proxy.url, token: bob.token })), connect(new Laurel({ url: proxy.url }))];
  for (const { live, hooks } of [own, spectator]) live.subscribe(['weekly', 'global'], hooks);
  for (const connection of [own, spectator]) await connection.until('the first boards', ({ boards, updates }) => boards.length > 0 && updates.length > 1);
  let newest = (await bob.play('watch_ad')).newScore;
  for (const connection of [own, spectator]) await connection.until('the award', shows(bob, newest));
  for (const board of ['weekly', 'global']) await own.until('the own entry', ({ ownEntries }) => ownEntries.some((entry) => entry.board === board && entry.score === newest));
  process.kill(killed.pid, 'SIGKILL');
  for (const connection of [own, spectator]) await connection.until('it to be lost', (received) => state(received) === 'reconnecting');
  newest = (await bob.play('watch_ad')).newScore;
  for (const connection of [own, spectator]) await connection.until('a failed attempt', (received) => received.states.length >= 4);
  proxy.setTarget(stable.url);
  for (const connection of [own, spectator]) {
    await connection.until('it to reconnect', isOpen);
    await connection.until('the board that it missed', shows(bob, newest));
    assertVersionsGrow(connection.received);
    for (const name of ['weekly', 'global']) {
      const updates = ({ updates }) => updates.filter(({ board }) => board === name);
      const entry = (received) => updates(received).at(-1).entries.find(({ userId }) => userId === bob.user.uuid);
      await connection.until(`the award on ${name}`, (received) => entry(received)?.score === newest);
      const versions = updates(connection.received).map(({ version }) => version);
      assert.deepEqual(versions, versions.toSorted((a, b) => a - b));
    }
    assert.ok(connection.received.states.every(([, detail]) => !JSON.stringify(detail).includes(bob.token)));
  }
});

test('clients of a stopping node reconnect when the node says', async () => {
  const bob = await player();
  proxy.setTarget(drained.url);
  const [own, spectator] = [connect(new Laurel({ url: proxy.url, token: bob.token })), connect(new Laurel({ url: proxy.url }))];
  for (const connection of [own, spectator]) await connection.until('the first board', (received) => received.boards.length > 0);
  process.kill(drained.pid, 'SIGTERM');
  proxy.setTarget(stable.url);
  for (const connection of [own, spectator]) {
    await connection.until('it to reconnect', (received) => received.states.length > 2 && isOpen(received));
    const [name, { retryInMs, code }] = connection.received.states[2];
    assert.ok(name === 'reconnecting' && retryInMs >= 200 && retryInMs <= 2000, `${name} in ${retryInMs}`);
    assert.ok(code === undefined || code === 1012);
    assert.deepEqual(connection.received.states.map(([state]) => state), ['connecting', 'open', 'reconnecting', 'open']);
    assertVersionsGrow(connection.received);
  }
});

test('a banned player is refused and does not reconnect, but may watch', async () => {
  const bob = await player();
  const [bySocket, byEvents] = [new Laurel({ url: proxy.url, token: bob.token }), new Laurel({ url: proxy.url, token: bob.token })];
  const [socket, stream] = [connect(bySocket), connect(byEvents, { transport: 'events' })];
  for (const connection of [socket, stream]) await connection.until('the first board', (received) => received.boards.length > 0);
  const ban = { method: 'POST', headers: admin, body: '{"reason":"a bot"}' };
  assert.equal((await fetch(`${stable.url}/api/admin/users/${bob.user.uuid}/ban`, ban)).status, 200);
  for (const connection of [socket, stream]) await connection.until('the end', (received) => state(received) === 'refused');
  assert.equal(socket.received.states.at(-1)[1].code, 4401);
  const again = connect(new Laurel({ url: proxy.url, token: bob.token }));
  await again.until('the refusal', (received) => state(received) === 'refused');
  assert.deepEqual(again.received.states.map(([state]) => state), ['connecting', 'refused']);
  await assert.rejects(bob.play('watch_ad'), ({ code, status }) => code === 'FORBIDDEN' && status === 403);
  bySocket.logout();
  await socket.until('it to watch', isOpen);
  assert.deepEqual(socket.received.states.at(-1)[1], { transport: 'events' });
});

test('an invalid login is refused after one request by each transport', async () => {
  const bad = connect(new Laurel({ url: proxy.url, token: 'not.a.login' }));
  await bad.until('the refusal', (received) => state(received) === 'refused');
  assert.equal(bad.received.states.at(-1)[1].code, 401);
  assert.deepEqual(proxy.requests, ['GET /api/v1/ws HTTP', 'GET /api/v1/leaderboard/stream HTTP']);
});

test('a client beyond the connection limit waits as long as the node says', async () => {
  const bob = await player();
  const [first, second] = [1, 2].map(() => new Laurel({ url: limited.url, token: bob.token }));
  const connected = connect(first);
  await connected.until('it to open', isOpen);
  const waiting = connect(second);
  const [, { code, retryInMs }] = await waiting.until('it to wait', ({ states }) =>
    states.find(([name]) => name === 'reconnecting'));
  assert.ok(code === 429 && retryInMs >= 5000, `${code} ${retryInMs}`);
  connected.live.close();
  await waiting.until('its turn', isOpen);
});

test('another login reconnects', async () => {
  const [bob, eve] = [await player(), await player()];
  const laurel = new Laurel({ url: stable.url, token: bob.token });
  const own = connect(laurel);
  await own.until('it to open', isOpen);
  laurel.token = eve.token;
  await own.until('it to open again', (received) => received.states.length === 4 && isOpen(received));
  await eventually('an award of the other player', async () =>
    (await eve.play('watch_ad')) && own.received.personal.some(({ userId }) => userId === eve.user.uuid));
  assert.equal(laurel.user.uuid, eve.user.uuid);
  assertVersionsGrow(own.received);
});

test('a dead connection is replaced', async () => {
  const bob = await player();
  const options = { url: proxy.url, token: bob.token, timeoutMs: 1000 };
  const [own, spectator] = [connect(new Laurel(options), { silenceMs: 400 }), connect(new Laurel(options), { transport: 'events', silenceMs: 2000 })];
  for (const connection of [own, spectator]) await connection.until('the first board', (received) => received.boards.length > 0);
  proxy.freeze();
  const { newScore } = await bob.play('complete_level');
  for (const connection of [own, spectator]) {
    await connection.until('the award', shows(bob, newScore));
    assert.ok(connection.received.states.some(([name]) => name === 'reconnecting'));
    assertVersionsGrow(connection.received);
  }
});

