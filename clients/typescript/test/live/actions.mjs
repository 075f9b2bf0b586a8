// The actions API against nodes: the points are exact, whatever gets lost.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';

import { Laurel, LaurelError, solveHashcash } from '../../dist/index.js';
import { LossyProxy } from './lossy_proxy.mjs';
import { nodes, player, quiz } from './setup.mjs';

const [limited, cooling] = [nodes[1].url, nodes[2].url];
let proxy;
before(async () => (proxy = await LossyProxy.start(nodes[0].url)));
after(() => proxy.close());

const score = async (laurel) => (await laurel.standing(laurel.user.uuid)).score;
const code = (expected, status) => (error) =>
  error instanceof LaurelError && error.code === expected && error.status === status;

test('register, log out and log in: the application gets each token', async () => {
  const tokens = [];
  const ada = new Laurel({ url: nodes[0].url, onToken: (it) => tokens.push(it) });
  const registered = await ada.register({ username: 'ada', email: 'ada@example.com', password: 'correct horse' });
  assert.deepEqual({ ...registered, id: 0, uuid: '' }, { id: 0, uuid: '', username: 'ada', score: 0, role: 'player' });
  const restored = new Laurel({ url: nodes[0].url, token: ada.token });
  assert.equal(restored.user.uuid, registered.uuid, 'the token has the user');
  ada.logout();
  assert.deepEqual([ada.token, ada.user], [null, null]);
  await assert.rejects(ada.init('watch_ad'), code('UNAUTHORIZED', 401));
  const wrong = ada.login({ username: 'ada', password: 'wrong horse' });
  await assert.rejects(wrong, code('INVALID_CREDENTIALS', 401));
  assert.equal((await ada.login({ username: 'ada', password: 'correct horse' })).id, registered.id);
  assert.deepEqual(tokens.map((it) => typeof it), ['string', 'object', 'string']);
});

test('a validation error lists the fields and the request id', async () => {
  const attempt = new Laurel({ url: nodes[0].url }).register({ username: 'x', email: 'no', password: 'short' });
  const error = await attempt.then(assert.fail, (it) => it);
  assert.deepEqual([error.code, error.status], ['VALIDATION_ERROR', 400]);
  assert.deepEqual(error.fields.map((it) => it.field).sort(), ['email', 'password', 'username']);
  assert.match(error.requestId, /^[0-9a-f-]{36}$/);
});

test('every built-in action awards the points of the catalogue', async () => {
  const bob = await player();
  let total = 0;
  for (const { actionType, points } of await bob.actions()) {
    const award = await bob.play(actionType, actionType === 'demo_quiz' ? { prove: quiz } : {});
    total += points;
    assert.equal(award.newScore, total, actionType);
    assert.equal(award.receipt.split('.').length, 3);
  }
  assert.equal(bob.user.score, total);
  assert.equal(await score(bob), 90);
});

test('an application can provide the proof', async () => {
  const bob = await player();
  const points = [];
  await bob.play('demo_hashcash', { prove: async (challenge, action) => (points.push(action.points), solveHashcash(challenge)) });
  assert.deepEqual([points, await score(bob)], [[15], 15]);
  await assert.rejects(bob.play('demo_quiz'), code('PROOF_MISSING', 0));
  const wrong = bob.play('demo_quiz', { prove: () => ({ quizResult: 'Atlantis' }) });
  await assert.rejects(wrong, code('PROOF_INVALID', 422));
  await assert.rejects(bob.play('no_such_action'), code('INVALID_ACTION', 0));
  assert.equal(await score(bob), 15);
});

test('an award counts once although its response is lost several times', async () => {
  const bob = await player({ url: proxy.url });
  proxy.dropResponses('/api/v1/actions/finalize', 3);
  const award = await bob.play('watch_ad');
  assert.deepEqual([award.newScore, await score(bob)], [10, 10]);
  const sent = proxy.requests.filter((it) => it.includes('finalize')).length;
  assert.equal(sent, 4);
  const { actionToken } = await bob.actionToken({ actionType: 'complete_level' });
  proxy.dropResponses('/api/v1/scores', 2);
  assert.equal((await bob.redeem(actionToken)).newScore, 30);
  await assert.rejects(bob.redeem(actionToken), code('TOKEN_ALREADY_USED', 409));
  assert.equal(await score(bob), 30);
});

test('an award without a response is an error without secrets, and its key gets the response later', async () => {
  const bob = await player({ url: proxy.url, retry: { attempts: 2 } });
  const { antiSpamToken } = await bob.init('watch_ad');
  proxy.dropResponses('/api/v1/actions/finalize', 2);
  const options = { idempotencyKey: 'k' };
  const error = await bob.finalize(antiSpamToken, null, options).then(assert.fail, (it) => it);
  assert.deepEqual([error.code, error.status], ['NETWORK', 0]);
  const text = `${error.stack} ${JSON.stringify(error)} ${error.cause}`;
  assert.ok(!text.includes(bob.token) && !text.includes(antiSpamToken), text);
  assert.equal((await bob.finalize(antiSpamToken, null, options)).newScore, 10);
  assert.equal(await score(bob), 10);
});

test('a request that cannot be repeated safely is sent once', async () => {
  const bob = new Laurel({ url: proxy.url });
  proxy.dropResponses('/api/auth/register');
  const user = { username: 'once', email: 'once@example.com', password: 'correct horse' };
  await assert.rejects(bob.register(user), code('NETWORK', 0));
  await assert.rejects(bob.register(user), code('ALREADY_EXISTS', 409));
});

test('a wait of more than ten seconds is an error', async () => {
  const bob = await player({ url: limited });
  await bob.play('watch_ad');
  await bob.play('watch_ad');
  const error = await bob.play('watch_ad').then(assert.fail, (it) => it);
  assert.deepEqual([error.code, error.status], ['RATE_LIMIT_EXCEEDED', 429]);
  assert.ok(error.retryAfterSeconds > 10 && error.retryAfterSeconds <= 60, String(error.retryAfterSeconds));
  assert.equal(await score(bob), 20);
});

test('the client waits for up to ten seconds', async () => {
  const impatient = await player({ url: cooling, retry: { maxWaitSeconds: 0 } });
  await impatient.play('hook');
  await assert.rejects(impatient.play('hook'), (it) => it.code === 'ACTION_LIMIT_REACHED' && it.retryAfterSeconds > 0);
  const patient = new Laurel({ url: cooling, token: impatient.token });
  await patient.play('jab');
  assert.equal((await patient.play('jab')).newScore, 21);
});

test('a call can be aborted', async () => {
  const bob = await player();
  const reason = new Error('enough');
  const controller = new AbortController();
  const pending = bob.play('demo_elapsed', { signal: controller.signal });
  setTimeout(() => controller.abort(reason), 200);
  await assert.rejects(pending, reason);
  assert.equal(await score(bob), 0);
});

test('an unchanged board is not sent again', async () => {
  const bob = await player({ url: nodes[0].url });
  const { newScore } = await bob.play('complete_level');
  const statuses = [];
  const fetch = async (...request) => {
    const response = await globalThis.fetch(...request);
    statuses.push(response.status);
    return response;
  };
  const reader = new Laurel({ url: nodes[0].url, fetch });
  const first = await reader.leaderboard();
  assert.ok(first.rows.length > 0 && first.rows.length <= 10 && first.version > 0 && !first.stale);
  assert.ok(Math.abs(Date.parse(first.timestamp) - Date.now()) < 600_000);
  assert.equal(await reader.leaderboard(), first);
  const top = await reader.top10();
  assert.deepEqual([top.version, top.rows.length], [first.version, first.rows.length]);
  assert.equal(await reader.top10(), top);
  assert.deepEqual(statuses, [200, 304, 200, 304]);
  assert.equal((await bob.standing(bob.user.id)).score, newScore);
});
