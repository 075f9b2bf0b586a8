// Redis goes away under a live connection, and comes back. Whoever started this does what the lines ask.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { Laurel } from '../../dist/index.js';
import { nodes, player, recorder, scoreOn, state } from './world.mjs';

test('a board that may be old is said to be, and is true again afterwards', async () => {
  const bob = await player({ retry: { attempts: 30 } });
  const { newScore } = await bob.play('watch_ad');
  const laurel = new Laurel({ url: nodes[0].url });
  const { heard, hooks, until } = recorder();
  const live = laurel.live(hooks);
  await until('the board', (it) => scoreOn(it.boards.at(-1), bob) === newScore);
  console.log('take redis away');
  await until('it to be degraded', (it) => state(it) === 'degraded');
  assert.equal(heard.statuses.at(-1).degraded, true);
  const kept = await laurel.leaderboard();
  assert.deepEqual([kept.stale, scoreOn(kept, bob)], [true, newScore]);
  const started = bob.init('watch_ad');
  console.log('bring redis back');
  // Asked while Redis was away, and answered when it is back: a 503 is tried again.
  const { antiSpamToken } = await started;
  await until('it to be well', (it) => state(it) === 'open');
  assert.equal((await bob.finalize(antiSpamToken)).newScore, newScore + 10);
  await until('the next board', (it) => scoreOn(it.boards.at(-1), bob) === newScore + 10);
  assert.deepEqual(heard.states.map(([name]) => name), ['connecting', 'open', 'degraded', 'open']);
  live.close();
});
