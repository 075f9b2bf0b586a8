// A live connection while Redis is down. tests/client.rs reads the printed lines, and kills and restarts Redis.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { Laurel } from '../../dist/index.js';
import { nodes, player, recorder, scoreOn, state } from './setup.mjs';

test('a board is reported as degraded until Redis is back', async () => {
  const bob = await player({ retry: { attempts: 30 } });
  const { newScore } = await bob.play('watch_ad');
  const laurel = new Laurel({ url: nodes[0].url });
  const { received, hooks, until } = recorder();
  const live = laurel.live(hooks);
  await until('the board', (it) => scoreOn(it.boards.at(-1), bob) === newScore);
  console.log('kill redis');
  await until('the degraded state', (it) => state(it) === 'degraded');
  assert.equal(received.statuses.at(-1).degraded, true);
  const stale = await laurel.leaderboard();
  assert.deepEqual([stale.stale, scoreOn(stale, bob)], [true, newScore]);
  const initialized = bob.init('watch_ad');
  console.log('restart redis');
  // Sent while Redis was down: the client retries a 503.
  const { antiSpamToken } = await initialized;
  await until('the open state', (it) => state(it) === 'open');
  assert.equal((await bob.finalize(antiSpamToken)).newScore, newScore + 10);
  await until('the next board', (it) => scoreOn(it.boards.at(-1), bob) === newScore + 10);
  assert.deepEqual(received.states.map(([name]) => name), ['connecting', 'open', 'degraded', 'open']);
  live.close();
});
