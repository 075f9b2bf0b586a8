// The actions API against real nodes: exact points, whatever responses are lost.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';

import { Laurel, LaurelError, solveHashcash } from '../../dist/index.js';
import { TcpProxy } from './proxy.mjs';
import { eventually, nodes, player, quiz } from './fixtures.mjs';

const [limited, cooling] = [nodes[1].url, nodes[2].url];
let proxy;
before(async () => (proxy = await TcpProxy.start(nodes[0].url)));
after(() => proxy.close());

const score = async (laurel) => (await laurel.standing(laurel.user.uuid)).score;
const hasCode = (code, status) => (error) =>
  error instanceof LaurelError && error.code === code && error.status === status;

test('a player registers, receives a token, and logs in again', async () => {
  const tokens = [];
  const ada = new Laurel({ url: nodes[0].url, onToken: (token) => tokens.push(token) });
  const registered = await ada.register({ username: 'ada', email: 'ada@example.com', password: 'correct horse' });
  assert.deepEqual({ ...registered, id: 0, uuid: '' }, { id: 0, uuid: '', username: 'ada', score: 0, role: 'player' });
  const restored = new Laurel({ url: nodes[0].url, token: ada.token });
  assert.equal(restored.user.uuid, registered.uuid, 'a stored token has its user');
  ada.logout();
  assert.deepEqual([ada.token, ada.user], [null, null]);
  await assert.rejects(ada.init('watch_ad'), hasCode('UNAUTHORIZED', 401));
  const wrong = ada.login({ username: 'ada', password: 'wrong horse' });
  await assert.rejects(wrong, hasCode('INVALID_CREDENTIALS', 401));
  assert.equal((await ada.login({ username: 'ada', password: 'correct horse' })).id, registered.id);
  assert.deepEqual(tokens.map((token) => typeof token), ['string', 'object', 'string']);
});

test('a validation error has the fields, and the id of the request', async () => {
  const registration = new Laurel({ url: nodes[0].url }).register({ username: 'x', email: 'no', password: 'short' });
  const error = await registration.then(assert.fail, (error) => error);
  assert.deepEqual([error.code, error.status], ['VALIDATION_ERROR', 400]);
  assert.deepEqual(error.fields.map(({ field }) => field).sort(), ['email', 'password', 'username']);
  assert.match(error.requestId, /^[0-9a-f-]{36}$/);
});

test('every default action earns the points of the catalogue', async () => {
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
  const me = await bob.me();
  assert.deepEqual([me.number, me.email, me.score], [bob.user.id, `${me.username}@example.com`, 90]);
  assert.equal((await bob.profile(me.number)).userId, bob.user.uuid);
  const history = await eventually('all awards in the ledger', async () => {
    const awards = [];
    for await (const award of bob.history(me.userId, { limit: 3 })) awards.push(award);
    return awards.length === 7 && awards;
  });
  assert.equal(new Set(history.map(({ eventId }) => eventId)).size, 7);
});

test('the proof of `prove` is sent, and nothing without a required proof', async () => {
  const bob = await player();
  const seen = [];
  await bob.play('demo_hashcash', { prove: async (challenge, action) => (seen.push(action.points), solveHashcash(challenge)) });
  assert.deepEqual([seen, await score(bob)], [[15], 15]);
  await assert.rejects(bob.play('demo_quiz'), hasCode('PROOF_MISSING', 0));
  const wrong = bob.play('demo_quiz', { prove: () => ({ quizResult: 'Atlantis' }) });
  await assert.rejects(wrong, hasCode('PROOF_INVALID', 422));
  await assert.rejects(bob.play('no_such_action'), hasCode('INVALID_ACTION', 0));
  assert.equal(await score(bob), 15);
});

test('an award counts once however many responses are lost', async () => {
  const bob = await player({ url: proxy.url });
  proxy.loseResponses('/api/v1/actions/finalize', 3);
  const award = await bob.play('watch_ad');
  assert.deepEqual([award.newScore, await score(bob)], [10, 10]);
  const sent = proxy.requests.filter((line) => line.includes('finalize')).length;
  assert.equal(sent, 4);
  const { actionToken } = await bob.actionToken({ actionType: 'complete_level' });
  proxy.loseResponses('/api/v1/scores', 2);
  assert.equal((await bob.redeem(actionToken)).newScore, 30);
  await assert.rejects(bob.redeem(actionToken), hasCode('TOKEN_ALREADY_USED', 409));
  assert.equal(await score(bob), 30);
});

test('an award without a response is an error without secrets, and its key returns the award later', async () => {
  const bob = await player({ url: proxy.url, retry: { attempts: 2 } });
  const { antiSpamToken } = await bob.init('watch_ad');
  proxy.loseResponses('/api/v1/actions/finalize', 2);
  const options = { idempotencyKey: 'my-key' };
  const error = await bob.finalize(antiSpamToken, null, options).then(assert.fail, (error) => error);
  assert.deepEqual([error.code, error.status], ['NETWORK', 0]);
  const texts = `${error.stack} ${JSON.stringify(error)} ${error.cause}`;
  assert.ok(!texts.includes(bob.token) && !texts.includes(antiSpamToken), texts);
  assert.equal((await bob.finalize(antiSpamToken, null, options)).newScore, 10);
  assert.equal(await score(bob), 10);
});

test('a registration is not retried', async () => {
  const bob = new Laurel({ url: proxy.url });
  proxy.loseResponses('/api/auth/register');
  const user = { username: 'once', email: 'once@example.com', password: 'correct horse' };
  await assert.rejects(bob.register(user), hasCode('NETWORK', 0));
  await assert.rejects(bob.register(user), hasCode('ALREADY_EXISTS', 409));
});

test('a long wait is an error', async () => {
  const hasty = await player({ url: limited });
  await hasty.play('watch_ad');
  await hasty.play('watch_ad');
  const error = await hasty.play('watch_ad').then(assert.fail, (error) => error);
  assert.deepEqual([error.code, error.status], ['RATE_LIMIT_EXCEEDED', 429]);
  assert.ok(error.retryAfterSeconds > 10 && error.retryAfterSeconds <= 60, String(error.retryAfterSeconds));
  assert.equal(await score(hasty), 20);
});

test('a short wait is waited for', async () => {
  const hasty = await player({ url: cooling, retry: { maxWaitSeconds: 0 } });
  await hasty.play('hook');
  await assert.rejects(hasty.play('hook'), ({ code, retryAfterSeconds }) => code === 'ACTION_LIMIT_REACHED' && retryAfterSeconds > 0);
  const patient = new Laurel({ url: cooling, token: hasty.token });
  await patient.play('jab');
  assert.equal((await patient.play('jab')).newScore, 21);
});

test('a call can be aborted', async () => {
  const bob = await player();
  const reason = new Error('enough');
  const abort = new AbortController();
  const play = bob.play('demo_elapsed', { signal: abort.signal });
  setTimeout(() => abort.abort(reason), 200);
  await assert.rejects(play, reason);
  assert.equal(await score(bob), 0);
});

test('an unchanged board is not sent again, by either API', async () => {
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
