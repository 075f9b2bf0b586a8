// Live connections to nodes that are killed, drained or unreachable: no board is older than the one before.

import assert from 'node:assert/strict';
import { afterEach, before, beforeEach, test } from 'node:test';

import { Laurel } from '../../dist/index.js';
import { LossyProxy } from './lossy_proxy.mjs';
import { eventually, nodes, player, recorder, scoreOn, state } from './setup.mjs';

const [stable, killed, drained, limited] = nodes;
const admin = { authorization: `Bearer ${process.env.LAUREL_ADMIN}`, 'content-type': 'application/json' };
let proxy;
let open = [];
let ann;

before(async () => {
  ann = await player({ name: 'ann' });
  await ann.play('watch_ad');
});
beforeEach(async () => (proxy = await LossyProxy.start(stable.url)));
afterEach(() => {
  for (const live of open) live.close();
  open = [];
  proxy.close();
});

/** Opens a live connection that is closed after the test, and records its events. */
function subscribe(laurel, options = {}) {
  const recording = recorder();
  open.push(laurel.live({ ...recording.hooks, ...options }));
  return { ...recording, live: open.at(-1) };
}

function assertVersionsGrow({ boards }) {
  const versions = boards.map((board) => board.version);
  assert.deepEqual(versions, [...new Set(versions)].sort((a, b) => a - b));
}

const isOpen = (received) => state(received) === 'open';
const showsScore = (laurel, score) => (received) => scoreOn(received.boards.at(-1), laurel) === score;

test('a spectator gets boards over SSE, a player also personal updates over a WebSocket', async () => {
  const bob = await player();
  const spectator = subscribe(new Laurel({ url: stable.url }));
  const member = subscribe(bob);
  await spectator.until('the spectator to be connected', isOpen);
  await member.until('the player to be connected', isOpen);
  assert.deepEqual(spectator.received.states, [['connecting', {}], ['open', { transport: 'events' }]]);
  assert.deepEqual(member.received.states, [['connecting', {}], ['open', { transport: 'websocket' }]]);
  await member.until('the first board', (received) => received.boards.length > 0);
  // The node subscribes to the player some milliseconds later, so the first personal updates may be missed.
  for (let round = 1; member.received.personal.length === 0; round += 1) {
    const { newScore } = await bob.play('complete_level');
    await spectator.until('the spectator to get the award', showsScore(bob, newScore));
    await member.until('the player to get the award', showsScore(bob, newScore));
    assert.ok(round < 5);
  }
  const { userId, score, pointsEarned } = member.received.personal.at(-1);
  assert.deepEqual([userId, score, pointsEarned], [bob.user.uuid, bob.user.score, 20]);
  assert.equal(spectator.received.personal.length, 0);
  const board = member.received.boards.at(-1);
  assert.ok(!board.stale && Math.abs(Date.parse(board.timestamp) - Date.now()) < 600_000);
  member.live.close();
  assert.equal(member.live.state, 'closed');
});

test('a player without a WebSocket gets personal updates over SSE', async () => {
  const bob = await player();
  const member = subscribe(bob, { transport: 'events' });
  await member.until('the connection to open', isOpen);
  await eventually('a personal update', async () => (await bob.play('watch_ad')) && member.received.personal.length > 0);
});

test('clients of a killed node reconnect to another, and get no older board', async () => {
  const bob = await player();
  proxy.setTarget(killed.url);
  const [member, spectator] = [subscribe(new Laurel({ url: proxy.url, token: bob.token })), subscribe(new Laurel({ url: proxy.url }))];
  for (const subscription of [member, spectator]) await subscription.until('the first board', (received) => received.boards.length > 0);
  let newest = (await bob.play('watch_ad')).newScore;
  for (const subscription of [member, spectator]) await subscription.until('the award', showsScore(bob, newest));
  process.kill(killed.pid, 'SIGKILL');
  for (const subscription of [member, spectator]) await subscription.until('the connection to be lost', (received) => state(received) === 'reconnecting');
  newest = (await bob.play('watch_ad')).newScore;
  for (const subscription of [member, spectator]) await subscription.until('a failed attempt', (received) => received.states.length >= 4);
  proxy.setTarget(stable.url);
  for (const subscription of [member, spectator]) {
    await subscription.until('the connection to be back', isOpen);
    await subscription.until('the missed award', showsScore(bob, newest));
    assertVersionsGrow(subscription.received);
    assert.ok(subscription.received.states.every(([, detail]) => !JSON.stringify(detail).includes(bob.token)));
  }
});

test('clients of a draining node reconnect after the delay that it sends', async () => {
  const bob = await player();
  proxy.setTarget(drained.url);
  const [member, spectator] = [subscribe(new Laurel({ url: proxy.url, token: bob.token })), subscribe(new Laurel({ url: proxy.url }))];
  for (const subscription of [member, spectator]) await subscription.until('the first board', (received) => received.boards.length > 0);
  process.kill(drained.pid, 'SIGTERM');
  proxy.setTarget(stable.url);
  for (const subscription of [member, spectator]) {
    await subscription.until('the connection to be back', (received) => received.states.length > 2 && isOpen(received));
    const [name, { retryInMs, code }] = subscription.received.states[2];
    assert.ok(name === 'reconnecting' && retryInMs >= 200 && retryInMs <= 2000, `${name} in ${retryInMs}`);
    assert.ok(code === undefined || code === 1012);
    assert.deepEqual(subscription.received.states.map(([state]) => state), ['connecting', 'open', 'reconnecting', 'open']);
    assertVersionsGrow(subscription.received);
  }
});

test('a banned player is refused, but can watch after a logout', async () => {
  const bob = await player();
  const [laurel, other] = [new Laurel({ url: proxy.url, token: bob.token }), new Laurel({ url: proxy.url, token: bob.token })];
  const [socket, stream] = [subscribe(laurel), subscribe(other, { transport: 'events' })];
  for (const subscription of [socket, stream]) await subscription.until('the first board', (received) => received.boards.length > 0);
  const ban = { method: 'POST', headers: admin, body: '{"reason":"a bot"}' };
  assert.equal((await fetch(`${stable.url}/api/admin/users/${bob.user.uuid}/ban`, ban)).status, 200);
  for (const subscription of [socket, stream]) await subscription.until('the ban to end it', (received) => state(received) === 'refused');
  assert.equal(socket.received.states.at(-1)[1].code, 4401);
  const later = subscribe(new Laurel({ url: proxy.url, token: bob.token }));
  await later.until('the refusal', (received) => state(received) === 'refused');
  assert.deepEqual(later.received.states.map(([state]) => state), ['connecting', 'refused']);
  await assert.rejects(bob.play('watch_ad'), (it) => it.code === 'FORBIDDEN' && it.status === 403);
  laurel.logout();
  await socket.until('the connection without a login', isOpen);
  assert.deepEqual(socket.received.states.at(-1)[1], { transport: 'events' });
});

test('an invalid login is refused after one attempt per transport', async () => {
  const invalid = subscribe(new Laurel({ url: proxy.url, token: 'not.a.login' }));
  await invalid.until('the refusal', (received) => state(received) === 'refused');
  assert.equal(invalid.received.states.at(-1)[1].code, 401);
  assert.deepEqual(proxy.requests, ['GET /api/v1/ws HTTP', 'GET /api/v1/leaderboard/stream HTTP']);
});

test('a client over the limit of sockets waits as long as the node says', async () => {
  const bob = await player();
  const [first, second] = [1, 2].map(() => new Laurel({ url: limited.url, token: bob.token }));
  const accepted = subscribe(first);
  await accepted.until('the connection to open', isOpen);
  const waiting = subscribe(second);
  const [, { code, retryInMs }] = await waiting.until('the second to wait', ({ states }) =>
    states.find(([name]) => name === 'reconnecting'));
  assert.ok(code === 429 && retryInMs >= 5000, `${code} ${retryInMs}`);
  accepted.live.close();
  await waiting.until('the second to be accepted', isOpen);
});

test('a new login reconnects', async () => {
  const [bob, eve] = [await player(), await player()];
  const laurel = new Laurel({ url: stable.url, token: bob.token });
  const member = subscribe(laurel);
  await member.until('the connection to open', isOpen);
  laurel.token = eve.token;
  await member.until('the connection to open again', (received) => received.states.length === 4 && isOpen(received));
  await eventually('a personal update of the other user', async () =>
    (await eve.play('watch_ad')) && member.received.personal.some((it) => it.userId === eve.user.uuid));
  assert.equal(laurel.user.uuid, eve.user.uuid);
  assertVersionsGrow(member.received);
});

test('a stalled connection is replaced', async () => {
  const bob = await player();
  const options = { url: proxy.url, token: bob.token, timeoutMs: 1000 };
  const [socket, stream] = [subscribe(new Laurel(options), { silenceMs: 400 }), subscribe(new Laurel(options), { transport: 'events', silenceMs: 2000 })];
  for (const subscription of [socket, stream]) await subscription.until('the first board', (received) => received.boards.length > 0);
  proxy.stall();
  const { newScore } = await bob.play('complete_level');
  for (const subscription of [socket, stream]) {
    await subscription.until('the award', showsScore(bob, newScore));
    assert.ok(subscription.received.states.some(([name]) => name === 'reconnecting'));
    assertVersionsGrow(subscription.received);
  }
});

