// Game sessions against a fake server: which token goes with which key, and which updates are never sent twice.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { Laurel } from '../dist/index.js';

const code = (expected) => (error) => error.code === expected;

/** A game on a fake server, which has the current token and the stored response of each key. */
async function startGame(options = {}) {
  const server = { token: 't0', score: 0, completed: 0, responses: new Map(), dropNext: 0, bodies: [] };
  const session = () => ({ sessionId: 'sess_1', actionToken: server.token, expiresAt: '', actionsCompleted: server.completed });
  const refuse = (status, errorCode) => Response.json({ data: null, message: 'No', metadata: { errorCode } }, { status });
  const update = ({ headers, body }) => {
    const key = headers['idempotency-key'];
    server.bodies.push(body);
    const stored = server.responses.get(key);
    if (stored) return stored.body === body ? Response.json({ data: stored.data }) : refuse(409, 'IDEMPOTENCY_MISMATCH');
    const { actionToken, points } = JSON.parse(body);
    if (actionToken !== server.token) return refuse(409, 'TOKEN_ALREADY_USED');
    server.score += points;
    server.completed += 1;
    server.token = `t${server.completed}`;
    const data = { newScore: server.score, pointsEarned: points, rank: 1, newActionToken: server.token, expiresAt: '' };
    server.responses.set(key, { body, data });
    return Response.json({ data });
  };
  const fetch = async (url, init) => {
    if (!url.endsWith('/update')) return Response.json({ data: session() });
    const response = server.unreachable ? null : update(init);
    if (response === null || (server.dropNext > 0 && (server.dropNext -= 1) >= 0)) throw new TypeError('fetch failed');
    return response;
  };
  const laurel = new Laurel({ url: 'http://x', token: 'h.ann.s', fetch, retry: { attempts: 1 }, random: () => 0, ...options });
  return { server, laurel, game: await laurel.startGame() };
}

test('an update is not repeated once its stored response has expired', async () => {
  const { server, game } = await startGame();
  server.dropNext = 1;
  const error = await game.update('jab', { points: 5 }).then(assert.fail, (it) => it);
  assert.ok(error.unsure);
  const { idempotencyKey } = error;
  server.responses.clear();
  for (let round = 0; round < 2; round += 1) {
    await assert.rejects(game.update('jab', { points: 5, idempotencyKey }), code('TOKEN_ALREADY_USED'));
  }
  assert.equal(server.score, 5);
  assert.equal((await game.update('jab', { points: 5 })).newScore, 10, 'the game continues');
  assert.equal(game.actionsCompleted, 2);
});

test('an automatic retry does not award twice either', async () => {
  const { server, game } = await startGame({ retry: { attempts: 2 } });
  server.dropNext = 1;
  const pending = game.update('jab', { points: 5 });
  Object.defineProperty(server, 'responses', { value: { get() {}, set() {} } });
  await assert.rejects(pending, (it) => it.code === 'TOKEN_ALREADY_USED' && it.unsure);
  assert.equal(server.score, 5);
});

test('the same key with other arguments is an error', async () => {
  const { server, game } = await startGame();
  server.dropNext = 1;
  const idempotencyKey = 'k';
  await assert.rejects(game.update('jab', { points: 5, idempotencyKey }), code('NETWORK'));
  await assert.rejects(game.update('jab', { points: 7, idempotencyKey }), code('IDEMPOTENCY_MISMATCH'));
  assert.equal((await game.update('jab', { points: 5, idempotencyKey })).newScore, 5);
  assert.equal((await game.update('jab', { points: 7 })).newScore, 12);
  assert.equal((await game.update('jab', { points: 5, idempotencyKey })).newScore, 5, 'the stored response');
  assert.equal((await game.update('jab', { points: 1 })).newScore, 13, 'a replay must not bring an old token back');
  assert.deepEqual([server.score, game.actionsCompleted], [13, 3]);
});

test('a request that never arrived can be repeated with a later token', async () => {
  const { server, game } = await startGame();
  server.unreachable = true;
  await assert.rejects(game.update('jab', { points: 5, idempotencyKey: 'k' }), code('NETWORK'));
  server.unreachable = false;
  assert.equal((await game.update('jab', { points: 7 })).newScore, 7);
  assert.equal((await game.update('jab', { points: 5, idempotencyKey: 'k' })).newScore, 12);
});

test('an update awards although another page spent its token', async () => {
  const { server, game } = await startGame();
  server.token = 'of-another-page';
  assert.equal((await game.update('jab', { points: 5 })).newScore, 5);
});

test('a game is not continued with the login of another user', async () => {
  const { server, game, laurel } = await startGame();
  laurel.token = 'h.eve.s';
  await assert.rejects(game.update('jab', { points: 5 }), code('LOGIN_CHANGED'));
  await assert.rejects(game.end(), code('LOGIN_CHANGED'));
  assert.equal(server.bodies.length, 0);
});
