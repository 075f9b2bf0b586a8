// A game's own rules, against a server that is made up: which token goes with which key, and what is never sent anew.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { Laurel } from '../dist/index.js';

const code = (expected) => (error) => error.code === expected;

/** A game whose server keeps a token, and answers under their keys until it forgets them. */
async function playing(options = {}) {
  const server = { token: 't0', score: 0, completed: 0, answers: new Map(), losing: 0, sent: [] };
  const session = () => ({ sessionId: 'sess_1', actionToken: server.token, expiresAt: '', actionsCompleted: server.completed });
  const refused = (status, errorCode) => Response.json({ data: null, message: 'No', metadata: { errorCode } }, { status });
  const update = ({ headers, body }) => {
    const key = headers['idempotency-key'];
    server.sent.push(body);
    const kept = server.answers.get(key);
    if (kept) return kept.body === body ? Response.json({ data: kept.data }) : refused(409, 'IDEMPOTENCY_MISMATCH');
    const { actionToken, points } = JSON.parse(body);
    if (actionToken !== server.token) return refused(409, 'TOKEN_ALREADY_USED');
    server.score += points;
    server.completed += 1;
    server.token = `t${server.completed}`;
    const data = { newScore: server.score, pointsEarned: points, rank: 1, newActionToken: server.token, expiresAt: '' };
    server.answers.set(key, { body, data });
    return Response.json({ data });
  };
  const fetch = async (url, init) => {
    if (!url.endsWith('/update')) return Response.json({ data: session() });
    const answer = server.away ? null : update(init);
    if (answer === null || (server.losing > 0 && (server.losing -= 1) >= 0)) throw new TypeError('fetch failed');
    return answer;
  };
  const laurel = new Laurel({ url: 'http://x', token: 'h.ann.s', fetch, retry: { attempts: 1 }, random: () => 0, ...options });
  return { server, laurel, game: await laurel.startGame() };
}

test('a repeat whose answer is no longer kept does not count again', async () => {
  const { server, game } = await playing();
  server.losing = 1;
  const error = await game.update('jab', { points: 5 }).then(assert.fail, (it) => it);
  assert.ok(error.unsure);
  const { idempotencyKey } = error;
  server.answers.clear();
  for (let round = 0; round < 2; round += 1) {
    await assert.rejects(game.update('jab', { points: 5, idempotencyKey }), code('TOKEN_ALREADY_USED'));
  }
  assert.equal(server.score, 5);
  assert.equal((await game.update('jab', { points: 5 })).newScore, 10, 'the game goes on');
  assert.equal(game.actionsCompleted, 2);
});

test('nor does one that a call repeats itself after a long sleep', async () => {
  const { server, game } = await playing({ retry: { attempts: 2 } });
  server.losing = 1;
  const slept = game.update('jab', { points: 5 });
  Object.defineProperty(server, 'answers', { value: { get() {}, set() {} } });
  await assert.rejects(slept, (it) => it.code === 'TOKEN_ALREADY_USED' && it.unsure);
  assert.equal(server.score, 5);
});

test('the same key with other arguments is told, and does not send the old ones', async () => {
  const { server, game } = await playing();
  server.losing = 1;
  const idempotencyKey = 'mine';
  await assert.rejects(game.update('jab', { points: 5, idempotencyKey }), code('NETWORK'));
  await assert.rejects(game.update('jab', { points: 7, idempotencyKey }), code('IDEMPOTENCY_MISMATCH'));
  assert.equal((await game.update('jab', { points: 5, idempotencyKey })).newScore, 5);
  assert.equal((await game.update('jab', { points: 7 })).newScore, 12);
  assert.equal((await game.update('jab', { points: 5, idempotencyKey })).newScore, 5, 'an old answer');
  assert.equal((await game.update('jab', { points: 1 })).newScore, 13, 'which did not bring an old token back');
  assert.deepEqual([server.score, game.actionsCompleted], [13, 3]);
});

test('a key whose request never arrived may be sent after its token was spent by the next', async () => {
  const { server, game } = await playing();
  server.away = true;
  await assert.rejects(game.update('jab', { points: 5, idempotencyKey: 'mine' }), code('NETWORK'));
  server.away = false;
  assert.equal((await game.update('jab', { points: 7 })).newScore, 7);
  assert.equal((await game.update('jab', { points: 5, idempotencyKey: 'mine' })).newScore, 12);
});

test('a token that another page spent is no reason not to count', async () => {
  const { server, game } = await playing();
  server.token = 'others';
  assert.equal((await game.update('jab', { points: 5 })).newScore, 5);
});

test('a game of one user is not played in the name of another', async () => {
  const { server, game, laurel } = await playing();
  laurel.token = 'h.eve.s';
  await assert.rejects(game.update('jab', { points: 5 }), code('LOGIN_CHANGED'));
  await assert.rejects(game.end(), code('LOGIN_CHANGED'));
  assert.equal(server.sent.length, 0);
});
