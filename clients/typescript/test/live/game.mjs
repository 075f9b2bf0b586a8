// Games against a real node: tokens rotate, answers are lost, and each award counts once.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';

import { Laurel } from '../../dist/index.js';
import { Front } from './front.mjs';
import { eventually, nodes, player } from './world.mjs';

const UPDATE = '/api/score/update';
let front;
before(async () => (front = await Front.before(nodes[0].url)));
after(() => front.close());

const score = async (laurel) => (await laurel.standing(laurel.user.uuid)).score;
const code = (expected) => (error) => error.code === expected;

test('updates of one game go one after another, each with the token of the one before', async () => {
  const bob = await player({ url: front.url });
  const game = await bob.startGame();
  assert.match(game.id, /^sess_/);
  const awards = await Promise.all([
    game.update('watch_ad', { points: 10 }),
    game.update('solve_puzzle'),
    game.update('complete_level', { points: 20, proof: { moves: [1, 2, 3] } }),
  ]);
  assert.deepEqual(awards.map((it) => [it.pointsEarned, it.newScore]), [[10, 10], [15, 25], [20, 45]]);
  assert.ok(awards.every((it) => !('newActionToken' in it)), 'tokens stay inside');
  assert.deepEqual([bob.user.score, game.actionsCompleted], [45, 3]);
  const end = await game.end();
  assert.deepEqual([end.finalScore, end.actionsCompleted], [45, 3]);
  await assert.rejects(game.update('watch_ad', { points: 10 }), (it) => it.status === 401 || it.status === 404);
});

test('a lost answer is given again, and the next token is taken from it', async () => {
  const bob = await player({ url: front.url });
  const game = await bob.startGame();
  for (let round = 1; round <= 3; round += 1) {
    front.loseAnswers(UPDATE, 2);
    assert.equal((await game.update('watch_ad')).newScore, round * 10);
  }
  assert.equal(await score(bob), 30);
});

test('an update that nobody answered counts once, by its key', async () => {
  const bob = await player({ url: front.url, retry: { attempts: 2 } });
  const game = await bob.startGame();
  front.loseAnswers(UPDATE, 2);
  const options = { idempotencyKey: 'level-1' };
  await assert.rejects(game.update('complete_level', options), code('NETWORK'));
  assert.equal(await score(bob), 20, 'it did count');
  assert.equal((await game.update('complete_level', options)).newScore, 20);
  assert.equal((await game.update('complete_level')).newScore, 40);
});

test('nor does it count again when its answer is no longer kept', async () => {
  const forgetful = await Front.before(nodes[2].url);
  after(() => forgetful.close());
  const bob = await player({ url: forgetful.url, retry: { attempts: 1 } });
  const game = await bob.startGame();
  forgetful.loseAnswers(UPDATE);
  const { unsure, idempotencyKey } = await game.update('complete_level').then(assert.fail, (it) => it);
  assert.ok(unsure);
  const repeat = () => game.update('complete_level', { idempotencyKey });
  await eventually('the answer to be forgotten', () => repeat().then(({ newScore }) => newScore !== 20, code('TOKEN_ALREADY_USED')));
  assert.equal(await score(bob), 20);
  assert.equal((await game.update('watch_ad')).newScore, 30);
});

test('after an update that nobody answered the game goes on with the current token', async () => {
  const bob = await player({ url: front.url, retry: { attempts: 1 } });
  const game = await bob.startGame();
  front.loseAnswers(UPDATE);
  await assert.rejects(game.update('complete_level'), code('NETWORK'));
  assert.equal((await game.update('watch_ad')).newScore, 30);
  assert.deepEqual([await score(bob), game.actionsCompleted], [30, 2]);
});

test('a request that never arrived does not count', async () => {
  const bob = await player({ url: front.url, retry: { attempts: 1 } });
  const game = await bob.startGame();
  front.to(null);
  front.cut();
  await assert.rejects(game.update('complete_level', { points: 20 }), code('NETWORK'));
  front.to(nodes[0].url);
  assert.equal((await game.update('watch_ad')).newScore, 10);
});

test('a reloaded page goes on, also beside another that played', async () => {
  const bob = await player();
  assert.equal(await bob.resumeGame(), null);
  const game = await bob.startGame();
  await game.update('watch_ad');
  const other = await new Laurel({ url: nodes[1].url, token: bob.token }).resumeGame();
  assert.deepEqual([other.id, other.actionsCompleted], [game.id, 1]);
  await other.update('watch_ad');
  assert.equal((await game.update('watch_ad')).newScore, 30, 'its token was spent by the other, so it takes the current one');
  await bob.startGame();
  await assert.rejects(game.update('watch_ad'), code('SESSION_MISMATCH'));
  assert.equal(await score(bob), 30);
});

test('what is refused leaves the game as it was', async () => {
  const bob = await player();
  const game = await bob.startGame();
  await assert.rejects(game.update('watch_ad', { points: 11 }), code('INVALID_POINTS'));
  await assert.rejects(game.update('demo_quiz', { points: 15 }), code('INVALID_ACTION'));
  assert.equal((await game.update('watch_ad')).newScore, 10);
});
