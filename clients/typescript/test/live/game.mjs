// Games against real nodes: tokens rotate, responses are lost, and each award counts once.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';

import { Laurel } from '../../dist/index.js';
import { TcpProxy } from './proxy.mjs';
import { eventually, nodes, player } from './fixtures.mjs';

const UPDATE = '/api/score/update';
let proxy;
before(async () => (proxy = await TcpProxy.start(nodes[0].url)));
after(() => proxy.close());

const score = async (laurel) => (await laurel.standing(laurel.user.uuid)).score;
const hasCode = (code) => (error) => error.code === code;

test('updates of one game run one after another, each with the next token', async () => {
  const bob = await player({ url: proxy.url });
  const game = await bob.startGame();
  assert.match(game.id, /^sess_/);
  const awards = await Promise.all([
    game.update('watch_ad', { points: 10 }),
    game.update('solve_puzzle'),
    game.update('complete_level', { points: 20, proof: { moves: [1, 2, 3] } }),
  ]);
  assert.deepEqual(awards.map(({ pointsEarned, newScore }) => [pointsEarned, newScore]), [[10, 10], [15, 25], [20, 45]]);
  assert.ok(awards.every((award) => !('newActionToken' in award)), 'tokens are not exposed');
  assert.deepEqual([bob.user.score, game.actionsCompleted], [45, 3]);
  const end = await game.end();
  assert.deepEqual([end.finalScore, end.actionsCompleted], [45, 3]);
  await assert.rejects(game.update('watch_ad', { points: 10 }), ({ status }) => status === 401 || status === 404);
});

test('a lost response is returned again, with the next token', async () => {
  const bob = await player({ url: proxy.url });
  const game = await bob.startGame();
  for (let round = 1; round <= 3; round += 1) {
    proxy.loseResponses(UPDATE, 2);
    assert.equal((await game.update('watch_ad')).newScore, round * 10);
  }
  assert.equal(await score(bob), 30);
});

test('an update without a response counts once, by its key', async () => {
  const bob = await player({ url: proxy.url, retry: { attempts: 2 } });
  const game = await bob.startGame();
  proxy.loseResponses(UPDATE, 2);
  const options = { idempotencyKey: 'level-1' };
  await assert.rejects(game.update('complete_level', options), hasCode('NETWORK'));
  assert.equal(await score(bob), 20, 'it has counted');
  assert.equal((await game.update('complete_level', options)).newScore, 20);
  assert.equal((await game.update('complete_level')).newScore, 40);
});

test('a repeat does not count again after the server has forgotten the response', async () => {
  const forgetful = await TcpProxy.start(nodes[2].url);
  after(() => forgetful.close());
  const bob = await player({ url: forgetful.url, retry: { attempts: 1 } });
  const game = await bob.startGame();
  forgetful.loseResponses(UPDATE);
  const { unsure, idempotencyKey } = await game.update('complete_level').then(assert.fail, (error) => error);
  assert.ok(unsure);
  const repeat = () => game.update('complete_level', { idempotencyKey });
  await eventually('the server to forget the response', () => repeat().then(({ newScore }) => newScore !== 20, hasCode('TOKEN_ALREADY_USED')));
  assert.equal(await score(bob), 20);
  assert.equal((await game.update('watch_ad')).newScore, 30);
});

test('after an update without a response the game continues with the current token', async () => {
  const bob = await player({ url: proxy.url, retry: { attempts: 1 } });
  const game = await bob.startGame();
  proxy.loseResponses(UPDATE);
  await assert.rejects(game.update('complete_level'), hasCode('NETWORK'));
  assert.equal((await game.update('watch_ad')).newScore, 30);
  assert.deepEqual([await score(bob), game.actionsCompleted], [30, 2]);
});

test('a request that never arrived does not count', async () => {
  const bob = await player({ url: proxy.url, retry: { attempts: 1 } });
  const game = await bob.startGame();
  proxy.setTarget(null);
  proxy.cut();
  await assert.rejects(game.update('complete_level', { points: 20 }), hasCode('NETWORK'));
  proxy.setTarget(nodes[0].url);
  assert.equal((await game.update('watch_ad')).newScore, 10);
});

test('a reloaded page continues the game, also after another page has played', async () => {
  const bob = await player();
  assert.equal(await bob.resumeGame(), null);
  const game = await bob.startGame();
  await game.update('watch_ad');
  const other = await new Laurel({ url: nodes[1].url, token: bob.token }).resumeGame();
  assert.deepEqual([other.id, other.actionsCompleted], [game.id, 1]);
  await other.update('watch_ad');
  assert.equal((await game.update('watch_ad')).newScore, 30, 'the other page has spent the token, so it requests the current one');
  await bob.startGame();
  await assert.rejects(game.update('watch_ad'), hasCode('SESSION_MISMATCH'));
  assert.equal(await score(bob), 30);
});

test('a refused update does not change the game', async () => {
  const bob = await player();
  const game = await bob.startGame();
  await assert.rejects(game.update('watch_ad', { points: 11 }), hasCode('INVALID_POINTS'));
  await assert.rejects(game.update('demo_quiz', { points: 15 }), hasCode('INVALID_ACTION'));
  assert.equal((await game.update('watch_ad')).newScore, 10);
});
