// The actions API against a real node: exact points, whatever is lost on the way.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';

import { Laurel, LaurelError, solveHashcash } from '../../dist/index.js';
import { Front } from './front.mjs';
import { nodes, player, quiz } from './world.mjs';

const [limited, cooling] = [nodes[1].url, nodes[2].url];
let front;
before(async () => (front = await Front.before(nodes[0].url)));
after(() => front.close());

const score = async (laurel) => (await laurel.standing(laurel.user.uuid)).score;
const code = (expected, status) => (error) =>
  error instanceof LaurelError && error.code === expected && error.status === status;

test('a player registers, is told the token, and logs in again', async () => {
  const told = [];
  const ada = new Laurel({ url: nodes[0].url, onToken: (it) => told.push(it) });
  const made = await ada.register({ username: 'ada', email: 'ada@example.com', password: 'correct horse' });
  assert.deepEqual({ ...made, id: 0, uuid: '' }, { id: 0, uuid: '', username: 'ada', score: 0, role: 'player' });
  const kept = new Laurel({ url: nodes[0].url, token: ada.token });
  assert.equal(kept.user.uuid, made.uuid, 'a kept token says who it is for');
  ada.logout();
  assert.deepEqual([ada.token, ada.user], [null, null]);
  await assert.rejects(ada.init('watch_ad'), code('UNAUTHORIZED', 401));
  const wrong = ada.login({ username: 'ada', password: 'wrong horse' });
  await assert.rejects(wrong, code('INVALID_CREDENTIALS', 401));
  assert.equal((await ada.login({ username: 'ada', password: 'correct horse' })).id, made.id);
  assert.deepEqual(told.map((it) => typeof it), ['string', 'object', 'string']);
});

test('what is wrong with a body is told by field, with the id of the request', async () => {
  const short = new Laurel({ url: nodes[0].url }).register({ username: 'x', email: 'no', password: 'short' });
  const error = await short.then(assert.fail, (it) => it);
  assert.deepEqual([error.code, error.status], ['VALIDATION_ERROR', 400]);
  assert.deepEqual(error.fields.map((it) => it.field).sort(), ['email', 'password', 'username']);
  assert.match(error.requestId, /^[0-9a-f-]{36}$/);
});

test('every action that ships is played, and each is worth what the catalogue says', async () => {
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

test('a proof of the player is used, and one that is missing is not sent', async () => {
  const bob = await player();
  const { actionType } = { actionType: 'demo_hashcash' };
  const seen = [];
  await bob.play(actionType, { prove: async (challenge, action) => (seen.push(action.points), solveHashcash(challenge)) });
  assert.deepEqual([seen, await score(bob)], [[15], 15]);
  await assert.rejects(bob.play('demo_quiz'), code('PROOF_MISSING', 0));
  const wrong = bob.play('demo_quiz', { prove: () => ({ quizResult: 'Atlantis' }) });
  await assert.rejects(wrong, code('PROOF_INVALID', 422));
  await assert.rejects(bob.play('no_such_action'), code('INVALID_ACTION', 0));
  assert.equal(await score(bob), 15);
});

test('an award whose answer is lost, over and over, counts once', async () => {
  const bob = await player({ url: front.url });
  front.loseAnswers('/api/v1/actions/finalize', 3);
  const award = await bob.play('watch_ad');
  assert.deepEqual([award.newScore, await score(bob)], [10, 10]);
  const sent = front.requests.filter((it) => it.includes('finalize')).length;
  assert.equal(sent, 4);
  const { actionToken } = await bob.actionToken({ actionType: 'complete_level' });
  front.loseAnswers('/api/v1/scores', 2);
  assert.equal((await bob.redeem(actionToken)).newScore, 30);
  await assert.rejects(bob.redeem(actionToken), code('TOKEN_ALREADY_USED', 409));
  assert.equal(await score(bob), 30);
});

test('an award that nobody answers is an error without secrets, and its key gets it later', async () => {
  const bob = await player({ url: front.url, retry: { attempts: 2 } });
  const { antiSpamToken } = await bob.init('watch_ad');
  front.loseAnswers('/api/v1/actions/finalize', 2);
  const options = { idempotencyKey: 'mine' };
  const error = await bob.finalize(antiSpamToken, null, options).then(assert.fail, (it) => it);
  assert.deepEqual([error.code, error.status], ['NETWORK', 0]);
  const words = `${error.stack} ${JSON.stringify(error)} ${error.cause}`;
  assert.ok(!words.includes(bob.token) && !words.includes(antiSpamToken), words);
  assert.equal((await bob.finalize(antiSpamToken, null, options)).newScore, 10);
  assert.equal(await score(bob), 10);
});

test('what cannot be repeated safely is not', async () => {
  const bob = new Laurel({ url: front.url });
  front.loseAnswers('/api/auth/register');
  const user = { username: 'once', email: 'once@example.com', password: 'correct horse' };
  await assert.rejects(bob.register(user), code('NETWORK', 0));
  await assert.rejects(bob.register(user), code('ALREADY_EXISTS', 409));
});

test('a wait that is too long is told instead', async () => {
  const hasty = await player({ url: limited });
  await hasty.play('watch_ad');
  await hasty.play('watch_ad');
  const error = await hasty.play('watch_ad').then(assert.fail, (it) => it);
  assert.deepEqual([error.code, error.status], ['RATE_LIMIT_EXCEEDED', 429]);
  assert.ok(error.retryAfterSeconds > 10 && error.retryAfterSeconds <= 60, String(error.retryAfterSeconds));
  assert.equal(await score(hasty), 20);
});

test('a short one is waited for', async () => {
  const hasty = await player({ url: cooling, retry: { maxWaitSeconds: 0 } });
  await hasty.play('hook');
  await assert.rejects(hasty.play('hook'), (it) => it.code === 'ACTION_LIMIT_REACHED' && it.retryAfterSeconds > 0);
  const patient = new Laurel({ url: cooling, token: hasty.token });
  await patient.play('jab');
  assert.equal((await patient.play('jab')).newScore, 21);
});

test('a call can be stopped', async () => {
  const bob = await player();
  const reason = new Error('enough');
  const stop = new AbortController();
  const played = bob.play('demo_elapsed', { signal: stop.signal });
  setTimeout(() => stop.abort(reason), 200);
  await assert.rejects(played, reason);
  assert.equal(await score(bob), 0);
});

test('a board that did not change is not sent again, by both flows', async () => {
  const bob = await player({ url: nodes[0].url });
  const { newScore } = await bob.play('complete_level');
  const statuses = [];
  const fetch = async (...asked) => {
    const answer = await globalThis.fetch(...asked);
    statuses.push(answer.status);
    return answer;
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
