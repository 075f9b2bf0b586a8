// Game sessions against nodes: tokens rotate, responses get lost, and every update awards once.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';

import { Laurel } from '../../dist/index.js';
import { LossyProxy } from './lossy_proxy.mjs';
import { eventually, nodes, player } from './setup.mjs';

const UPDATE = '/api/score/update';
let proxy;
before(async () => (proxy = await LossyProxy.start(nodes[0].url)));
after(() => proxy.close());

const score = async (laurel) => (await laurel.standing(laurel.user.uuid)).score;
const code = (expected) => (error) => error.code === expected;

test('concurrent updates of a game are sent one by one, each with the newest token', async () => {
  const bob = await player({ url: proxy.url });
  const game = await bob.startGame();
  assert.match(game.id, /^sess_/);
  const awards = await Promise.all([
    game.update('watch_ad', { points: 10 }),
    game.update('solve_puzzle'),
    game.update('complete_level', { points: 20, proof: { moves: [1, 2, 3] } }),
  ]);
  assert.deepEqual(awards.map((it) => [it.pointsEarned, it.newScore]), [[10, 10], [15, 25], [20, 45]]);
  assert.ok(awards.every((it) => !('newActionToken' in it)), 'an award must not expose the next token');
  assert.deepEqual([bob.user.score, game.actionsCompleted], [45, 3]);
  const end = await game.end();
  assert.deepEqual([end.finalScore, end.actionsCompleted], [45, 3]);
  await assert.rejects(game.update('watch_ad', { points: 10 }), (it) => it.status === 401 || it.status === 404);
});

test('a replayed response brings the next token', async () => {
  const bob = await player({ url: proxy.url });
  const game = await bob.startGame();
  for (let round = 1; round <= 3; round += 1) {
    proxy.dropResponses(UPDATE, 2);
    assert.equal((await game.update('watch_ad')).newScore, round * 10);
  }
  assert.equal(await score(bob), 30);
});

test('an update without a response awards once per key', async () => {
  const bob = await player({ url: proxy.url, retry: { attempts: 2 } });
  const game = await bob.startGame();
  proxy.dropResponses(UPDATE, 2);
  const options = { idempotencyKey: 'level-1' };
  await assert.rejects(game.update('complete_level', options), code('NETWORK'));
  assert.equal(await score(bob), 20, 'the lost update awarded');
  assert.equal((await game.update('complete_level', options)).newScore, 20);
  assert.equal((await game.update('complete_level')).newScore, 40);
});

test('an update is not repeated once its stored response has expired', async () => {
  const otherProxy = await LossyProxy.start(nodes[2].url);
  after(() => otherProxy.close());
  const bob = await player({ url: otherProxy.url, retry: { attempts: 1 } });
  const game = await bob.startGame();
  otherProxy.dropResponses(UPDATE);
  const { unsure, idempotencyKey } = await game.update('complete_level').then(assert.fail, (it) => it);
  assert.ok(unsure);
  const repeat = () => game.update('complete_level', { idempotencyKey });
  await eventually('the stored response to expire', () => repeat().then(({ newScore }) => newScore !== 20, code('TOKEN_ALREADY_USED')));
  assert.equal(await score(bob), 20);
  assert.equal((await game.update('watch_ad')).newScore, 30);
});

test('after a lost response the game continues with the current token', async () => {
  const bob = await player({ url: proxy.url, retry: { attempts: 1 } });
  const game = await bob.startGame();
  proxy.dropResponses(UPDATE);
  await assert.rejects(game.update('complete_level'), code('NETWORK'));
  assert.equal((await game.update('watch_ad')).newScore, 30);
  assert.deepEqual([await score(bob), game.actionsCompleted], [30, 2]);
});

test('a request that never reached the node does not award', async () => {
  const bob = await player({ url: proxy.url, retry: { attempts: 1 } });
  const game = await bob.startGame();
  proxy.setTarget(null);
  proxy.disconnectAll();
  await assert.rejects(game.update('complete_level', { points: 20 }), code('NETWORK'));
  proxy.setTarget(nodes[0].url);
  assert.equal((await game.update('watch_ad')).newScore, 10);
});

test('two pages can continue the same game', async () => {
  const bob = await player();
  assert.equal(await bob.resumeGame(), null);
  const game = await bob.startGame();
  await game.update('watch_ad');
  const other = await new Laurel({ url: nodes[1].url, token: bob.token }).resumeGame();
  assert.deepEqual([other.id, other.actionsCompleted], [game.id, 1]);
  await other.update('watch_ad');
  assert.equal((await game.update('watch_ad')).newScore, 30, 'the other page spent its token, so it must fetch the current one');
  await bob.startGame();
  await assert.rejects(game.update('watch_ad'), code('SESSION_MISMATCH'));
  assert.equal(await score(bob), 30);
});

test('a refused update does not change the game', async () => {
  const bob = await player();
  const game = await bob.startGame();
  await assert.rejects(game.update('watch_ad', { points: 11 }), code('INVALID_POINTS'));
  await assert.rejects(game.update('demo_quiz', { points: 15 }), code('INVALID_ACTION'));
  assert.equal((await game.update('watch_ad')).newScore, 10);
});
