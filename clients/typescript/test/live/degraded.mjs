// Redis stops while a live connection is open, and starts again. The test that runs this script does it when a line asks for it.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { Laurel } from '../../dist/index.js';
import { nodes, player, recorder, scoreOn, state } from './fixtures.mjs';

test('a board that may be out of date is reported, and is current again later', async () => {
  const bob = await player({ retry: { attempts: 30 } });
  const { newScore } = await bob.play('watch_ad');
  const laurel = new Laurel({ url: nodes[0].url });
  const { received, hooks, until } = recorder();
  const live = laurel.live(hooks);
  await until('the board', ({ boards }) => scoreOn(boards.at(-1), bob) === newScore);
  console.log('stop redis');
  await until('the state degraded', (received) => state(received) === 'degraded');
  assert.equal(received.statuses.at(-1).degraded, true);
  const board = await laurel.leaderboard();
  assert.deepEqual([board.stale, scoreOn(board, bob)], [true, newScore]);
  const started = bob.init('watch_ad');
  console.log('start redis');
  // Sent while Redis is stopped: the client retries a 503 until Redis is back.
  const { antiSpamToken } = await started;
  await until('the state open', (received) => state(received) === 'open');
  assert.equal((await bob.finalize(antiSpamToken)).newScore, newScore + 10);
  await until('the next board', ({ boards }) => scoreOn(boards.at(-1), bob) === newScore + 10);
  assert.deepEqual(received.states.map(([name]) => name), ['connecting', 'open', 'degraded', 'open']);
  live.close();
});
