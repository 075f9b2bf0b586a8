// Unit tests that need no server.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { Laurel } from '../dist/index.js';
import { EventStreamParser } from '../dist/event-stream.js';
import { Login } from '../dist/login.js';
import { newIdempotencyKey } from '../dist/rest.js';
import { backOff, sleep } from '../dist/retry.js';

test('events are parsed however they are split', () => {
  const text = 'event: a\r\ndata: {"x":1}\r\n\r\n:\n\ndata: two\ndata: lines\n\nid\nretry: 700\n\ndata:tight\n\ndata: unfinished\n';
  for (let split = 0; split <= text.length; split += 1) {
    const parser = new EventStreamParser();
    const events = [...parser.push(text.slice(0, split)), ...parser.push(text.slice(split))];
    assert.deepEqual(events, ['{"x":1}', 'two\nlines', 'tight'], `split at ${split}`);
    assert.equal(parser.retryMs, 700);
  }
});

test('waits double up to a cap, and are random from 0', () => {
  const longest = [0, 1, 2, 3, 9, 4000].map((attempts) => backOff(attempts, () => 1, 100, 1000));
  assert.deepEqual(longest, [100, 200, 400, 800, 1000, 1000]);
  assert.equal(backOff(3, () => 0, 100, 1000), 0);
});

test('a sleep ends when its signal is aborted, and does not start after that', async () => {
  const abort = new AbortController();
  const sleeping = sleep(60_000, abort.signal);
  abort.abort('enough');
  await assert.rejects(sleeping, (reason) => reason === 'enough');
  await assert.rejects(sleep(60_000, abort.signal), (reason) => reason === 'enough');
});

test('a login has its user, and reports every change once', () => {
  const claims = { sub: '0192', id: 7, username: 'zoë', role: 'player' };
  const token = `h.${Buffer.from(JSON.stringify(claims)).toString('base64url')}.s`;
  const [login, changes] = [new Login(), []];
  login.onChange((changed) => changes.push(changed));
  login.set(token);
  login.set(token);
  assert.deepEqual(login.user, { id: 7, uuid: '0192', username: 'zoë', score: null, role: 'player' });
  login.updateUser('h.old.s', { score: 5 });
  assert.equal(login.user.score, null, 'an update of another login');
  login.updateUser(token, { score: 5 });
  assert.equal(login.user.score, 5);
  login.set('h.unreadable.s');
  assert.equal(login.user, null);
  login.set(null);
  assert.deepEqual(changes, [token, 'h.unreadable.s', null]);
});

test('an invalid token is rejected without naming it', () => {
  for (const token of ['secret\nx-evil: 1', 'secret token', 'sécret', '']) {
    const set = () => (new Laurel().token = token);
    assert.throws(set, (error) => error instanceof TypeError && !error.message.includes('cret'));
  }
});

test('idempotency keys are unique visible ASCII', () => {
  const keys = new Set(Array.from({ length: 1000 }, newIdempotencyKey));
  assert.equal(keys.size, 1000);
  for (const key of keys) assert.match(key, /^[0-9a-f]{32}$/);
});
