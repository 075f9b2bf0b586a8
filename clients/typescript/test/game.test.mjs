// Game sessions against a fake server: which token goes with which key, and what is never sent again.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { Laurel } from '../dist/index.js';

const hasCode = (code) => (error) => error.code === code;

/** Starts a game. The server has one token, and keeps its responses by key. */
async function startGame(options = {}) {
  const server = { token: 't0', score: 0, completed: 0, responses: new Map(), responsesToLose: 0, received: [] };
  const session = () => ({ sessionId: 'sess_1', actionToken: server.token, expiresAt: '', actionsCompleted: server.completed });
  const refusal = (status, errorCode) => Response.json({ data: null, message: 'No', metadata: { errorCode } }, { status });
  const update = ({ headers, body }) => {
    const key = headers['idempotency-key'];
    server.received.push(body);
    const first = server.responses.get(key);
    if (first) return first.body === body ? Response.json({ data: first.data }) : refusal(409, 'IDEMPOTENCY_MISMATCH');
    const { actionToken, points } = JSON.parse(body);
    if (actionToken !== server.token) return refusal(409, 'TOKEN_ALREADY_USED');
    server.score += points;
    server.completed += 1;
    server.token = `t${server.completed}`;
    const data = { newScore: server.score, pointsEarned: points, rank: 1, newActionToken: server.token, expiresAt: '' };
    server.responses.set(key, { body, data });
    return Response.json({ data });
  };
  const fetch = async (url, init) => {
    if (!url.endsWith('/update')) return Response.json({ data: session() });
    const response = server.isDown ? null : update(init);
    if (response === null || (server.responsesToLose > 0 && (server.responsesToLose -= 1) >= 0)) throw new TypeError('fetch failed');
    return response;
  };
  const laurel = new Laurel({ url: 'http://x', token: 'h.ann.s', fetch, retry: { attempts: 1 }, random: () => 0, ...options });
  return { server, laurel, game: await laurel.startGame() };
}

test('a repeat does not count again after the server has forgotten the response', async () => {
  const { server, game } = await startGame();
  server.responsesToLose = 1;
  const error = await game.update('jab', { points: 5 }).then(assert.fail, (error) => error);
  assert.ok(error.unsure);
  const { idempotencyKey } = error;
  server.responses.clear();
  for (let round = 0; round < 2; round += 1) {
    await assert.rejects(game.update('jab', { points: 5, idempotencyKey }), hasCode('TOKEN_ALREADY_USED'));
  }
  assert.equal(server.score, 5);
  assert.equal((await game.update('jab', { points: 5 })).newScore, 10, 'the game goes on');
  assert.equal(game.actionsCompleted, 2);
});

test('an automatic retry does not count again after the server has forgotten the response', async () => {
  const { server, game } = await startGame({ retry: { attempts: 2 } });
  server.responsesToLose = 1;
  const update = game.update('jab', { points: 5 });
  Object.defineProperty(server, 'responses', { value: { get() {}, set() {} } });
  await assert.rejects(update, ({ code, unsure }) => code === 'TOKEN_ALREADY_USED' && unsure);
  assert.equal(server.score, 5);
});

test('the same key with other arguments is a mismatch', async () => {
  const { server, game } = await startGame();
  server.responsesToLose = 1;
  const idempotencyKey = 'my-key';
  await assert.rejects(game.update('jab', { points: 5, idempotencyKey }), hasCode('NETWORK'));
  await assert.rejects(game.update('jab', { points: 7, idempotencyKey }), hasCode('IDEMPOTENCY_MISMATCH'));
  assert.equal((await game.update('jab', { points: 5, idempotencyKey })).newScore, 5);
  assert.equal((await game.update('jab', { points: 7 })).newScore, 12);
  assert.equal((await game.update('jab', { points: 5, idempotencyKey })).newScore, 5, 'the first response');
  assert.equal((await game.update('jab', { points: 1 })).newScore, 13, 'the old token did not come back');
  assert.deepEqual([server.score, game.actionsCompleted], [13, 3]);
});

test('a request that never arrived can be repeated after the next one has spent its token', async () => {
  const { server, game } = await startGame();
  server.isDown = true;
  await assert.rejects(game.update('jab', { points: 5, idempotencyKey: 'my-key' }), hasCode('NETWORK'));
  server.isDown = false;
  assert.equal((await game.update('jab', { points: 7 })).newScore, 7);
  assert.equal((await game.update('jab', { points: 5, idempotencyKey: 'my-key' })).newScore, 12);
});

test('an update counts although another page has spent the token', async () => {
  const { server, game } = await startGame();
  server.token = 'another';
  assert.equal((await game.update('jab', { points: 5 })).newScore, 5);
});

test('a game is not continued after another user has logged in', async () => {
  const { server, game, laurel } = await startGame();
  laurel.token = 'h.eve.s';
  await assert.rejects(game.update('jab', { points: 5 }), hasCode('LOGIN_CHANGED'));
  await assert.rejects(game.end(), hasCode('LOGIN_CHANGED'));
  assert.equal(server.received.length, 0);
});
