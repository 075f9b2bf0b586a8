// Live connections against real nodes that are killed, stopped, cut off: what was shown only ever grows.

import assert from 'node:assert/strict';
import { afterEach, before, beforeEach, test } from 'node:test';

import { Laurel } from '../../dist/index.js';
import { Front } from './front.mjs';
import { eventually, nodes, player, recorder, scoreOn, state } from './world.mjs';

const [stays, killed, drained, tight] = nodes;
const admin = { authorization: `Bearer ${process.env.LAUREL_ADMIN}`, 'content-type': 'application/json' };
let front;
let open = [];
let ann;

before(async () => {
  ann = await player({ name: 'ann' });
  await ann.play('watch_ad');
});
beforeEach(async () => (front = await Front.before(stays.url)));
afterEach(() => {
  for (const live of open) live.close();
  open = [];
  front.close();
});

/** Listens, and checks of each that no board is older than one before. */
function listen(laurel, options = {}) {
  const watch = recorder();
  open.push(laurel.live({ ...watch.hooks, ...options }));
  return { ...watch, live: open.at(-1) };
}

function assertNeverBack({ boards }) {
  const versions = boards.map((it) => it.version);
  assert.deepEqual(versions, [...new Set(versions)].sort((a, b) => a - b));
}

const isOpen = (heard) => state(heard) === 'open';
const shows = (laurel, score) => (heard) => scoreOn(heard.boards.at(-1), laurel) === score;

test('a spectator sees the board by events, a player also the own news by a WebSocket', async () => {
  const bob = await player();
  const seat = listen(new Laurel({ url: stays.url }));
  const mine = listen(bob);
  await seat.until('the seat to open', isOpen);
  await mine.until('the player to be connected', isOpen);
  assert.deepEqual(seat.heard.states, [['connecting', {}], ['open', { transport: 'events' }]]);
  assert.deepEqual(mine.heard.states, [['connecting', {}], ['open', { transport: 'websocket' }]]);
  await mine.until('the first board', (heard) => heard.boards.length > 0);
  // The node takes some milliseconds to follow the player; the news of these awards cannot all be missed.
  for (let round = 1; mine.heard.personal.length === 0; round += 1) {
    const { newScore } = await bob.play('complete_level');
    await seat.until('the seat to show it', shows(bob, newScore));
    await mine.until('the player to see it', shows(bob, newScore));
    assert.ok(round < 5);
  }
  const { userId, score, pointsEarned } = mine.heard.personal.at(-1);
  assert.deepEqual([userId, score, pointsEarned], [bob.user.uuid, bob.user.score, 20]);
  assert.equal(seat.heard.personal.length, 0);
  const board = mine.heard.boards.at(-1);
  assert.ok(!board.stale && Math.abs(Date.parse(board.timestamp) - Date.now()) < 600_000);
  mine.live.close();
  assert.equal(mine.live.state, 'closed');
});

test('a player without a WebSocket listens by events, with the own news', async () => {
  const bob = await player();
  const mine = listen(bob, { transport: 'events' });
  await mine.until('it to open', isOpen);
  await eventually('the news', async () => (await bob.play('watch_ad')) && mine.heard.personal.length > 0);
});

test('whoever was on a node that is killed is back at another, and never sees an older board', async () => {
  const bob = await player();
  front.to(killed.url);
  const [mine, seat] = [listen(new Laurel({ url: front.url, token: bob.token })), listen(new Laurel({ url: front.url }))];
  for (const it of [mine, seat]) await it.until('the first board', (heard) => heard.boards.length > 0);
  let newest = (await bob.play('watch_ad')).newScore;
  for (const it of [mine, seat]) await it.until('the award', shows(bob, newest));
  process.kill(killed.pid, 'SIGKILL');
  for (const it of [mine, seat]) await it.until('it to be lost', (heard) => state(heard) === 'reconnecting');
  newest = (await bob.play('watch_ad')).newScore;
  for (const it of [mine, seat]) await it.until('a try that fails', (heard) => heard.states.length >= 4);
  front.to(stays.url);
  for (const it of [mine, seat]) {
    await it.until('it to be back', isOpen);
    await it.until('what it missed', shows(bob, newest));
    assertNeverBack(it.heard);
    assert.ok(it.heard.states.every(([, detail]) => !JSON.stringify(detail).includes(bob.token)));
  }
});

test('whoever is on a node that stops comes back when the node said', async () => {
  const bob = await player();
  front.to(drained.url);
  const [mine, seat] = [listen(new Laurel({ url: front.url, token: bob.token })), listen(new Laurel({ url: front.url }))];
  for (const it of [mine, seat]) await it.until('the first board', (heard) => heard.boards.length > 0);
  process.kill(drained.pid, 'SIGTERM');
  front.to(stays.url);
  for (const it of [mine, seat]) {
    await it.until('it to be back', (heard) => heard.states.length > 2 && isOpen(heard));
    const [name, { retryInMs, code }] = it.heard.states[2];
    assert.ok(name === 'reconnecting' && retryInMs >= 200 && retryInMs <= 2000, `${name} in ${retryInMs}`);
    assert.ok(code === undefined || code === 1012);
    assert.deepEqual(it.heard.states.map(([state]) => state), ['connecting', 'open', 'reconnecting', 'open']);
    assertNeverBack(it.heard);
  }
});

test('who is banned is refused and does not come back, but may watch', async () => {
  const bob = await player();
  const [mine, events] = [new Laurel({ url: front.url, token: bob.token }), new Laurel({ url: front.url, token: bob.token })];
  const [socket, stream] = [listen(mine), listen(events, { transport: 'events' })];
  for (const it of [socket, stream]) await it.until('the first board', (heard) => heard.boards.length > 0);
  const ban = { method: 'POST', headers: admin, body: '{"reason":"a bot"}' };
  assert.equal((await fetch(`${stays.url}/api/admin/users/${bob.user.uuid}/ban`, ban)).status, 200);
  for (const it of [socket, stream]) await it.until('the end', (heard) => state(heard) === 'refused');
  assert.equal(socket.heard.states.at(-1)[1].code, 4401);
  const again = listen(new Laurel({ url: front.url, token: bob.token }));
  await again.until('the refusal', (heard) => state(heard) === 'refused');
  assert.deepEqual(again.heard.states.map(([state]) => state), ['connecting', 'refused']);
  await assert.rejects(bob.play('watch_ad'), (it) => it.code === 'FORBIDDEN' && it.status === 403);
  mine.logout();
  await socket.until('it to watch', isOpen);
  assert.deepEqual(socket.heard.states.at(-1)[1], { transport: 'events' });
});

test('a bad login is refused at once, and is asked about once by each way', async () => {
  const bad = listen(new Laurel({ url: front.url, token: 'not.a.login' }));
  await bad.until('the refusal', (heard) => state(heard) === 'refused');
  assert.equal(bad.heard.states.at(-1)[1].code, 401);
  assert.deepEqual(front.requests, ['GET /api/v1/ws HTTP', 'GET /api/v1/leaderboard/stream HTTP']);
});

test('who has no seat waits as long as the node says', async () => {
  const bob = await player();
  const [first, second] = [1, 2].map(() => new Laurel({ url: tight.url, token: bob.token }));
  const seated = listen(first);
  await seated.until('it to open', isOpen);
  const waiting = listen(second);
  const [, { code, retryInMs }] = await waiting.until('it to wait', ({ states }) =>
    states.find(([name]) => name === 'reconnecting'));
  assert.ok(code === 429 && retryInMs >= 5000, `${code} ${retryInMs}`);
  seated.live.close();
  await waiting.until('its seat', isOpen);
});

test('another login listens anew', async () => {
  const [bob, eve] = [await player(), await player()];
  const laurel = new Laurel({ url: stays.url, token: bob.token });
  const mine = listen(laurel);
  await mine.until('it to open', isOpen);
  laurel.token = eve.token;
  await mine.until('it to open again', (heard) => heard.states.length === 4 && isOpen(heard));
  await eventually('news of the other', async () =>
    (await eve.play('watch_ad')) && mine.heard.personal.some((it) => it.userId === eve.user.uuid));
  assert.equal(laurel.user.uuid, eve.user.uuid);
  assertNeverBack(mine.heard);
});

test('a connection that brings nothing any more is found out', async () => {
  const bob = await player();
  const options = { url: front.url, token: bob.token, timeoutMs: 1000 };
  const [mine, seat] = [listen(new Laurel(options), { silenceMs: 400 }), listen(new Laurel(options), { transport: 'events', silenceMs: 2000 })];
  for (const it of [mine, seat]) await it.until('the first board', (heard) => heard.boards.length > 0);
  front.freeze();
  const { newScore } = await bob.play('complete_level');
  for (const it of [mine, seat]) {
    await it.until('the award', shows(bob, newScore));
    assert.ok(it.heard.states.some(([name]) => name === 'reconnecting'));
    assertNeverBack(it.heard);
  }
});

