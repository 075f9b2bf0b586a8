// The parts that need no server.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { Laurel } from '../dist/index.js';
import { EventText } from '../dist/event-text.js';
import { newKey } from '../dist/keys.js';
import { Login } from '../dist/login.js';
import { backOff, pause } from '../dist/retry.js';

test('events are parsed wherever the text is split', () => {
  const text = 'event: a\r\ndata: {"x":1}\r\n\r\n:\n\ndata: two\ndata: lines\n\nid\nretry: 700\n\ndata:tight\n\ndata: unfinished\n';
  for (let cut = 0; cut <= text.length; cut += 1) {
    const reader = new EventText();
    const read = [...reader.push(text.slice(0, cut)), ...reader.push(text.slice(cut))];
    assert.deepEqual(read, ['{"x":1}', 'two\nlines', 'tight'], `cut at ${cut}`);
    assert.equal(reader.retryMs, 700);
  }
});

test('delays double up to a maximum, with full jitter', () => {
  const longest = [0, 1, 2, 3, 9, 4000].map((failures) => backOff(failures, () => 1, 100, 1000));
  assert.deepEqual(longest, [100, 200, 400, 800, 1000, 1000]);
  assert.equal(backOff(3, () => 0, 100, 1000), 0);
});

test('an aborted signal ends a pause, and prevents a new one', async () => {
  const controller = new AbortController();
  const pending = pause(60_000, controller.signal);
  controller.abort('enough');
  await assert.rejects(pending, (it) => it === 'enough');
  await assert.rejects(pause(60_000, controller.signal), (it) => it === 'enough');
});

test('a login has the user of its token, and reports every change once', () => {
  const claims = { sub: '0192', id: 7, username: 'zoë', role: 'player' };
  const token = `h.${Buffer.from(JSON.stringify(claims)).toString('base64url')}.s`;
  const [login, changes] = [new Login(), []];
  login.onChange((it) => changes.push(it));
  login.set(token);
  login.set(token);
  assert.deepEqual(login.user, { id: 7, uuid: '0192', username: 'zoë', score: null, role: 'player' });
  login.learn('h.old.s', { score: 5 });
  assert.equal(login.user.score, null, 'the score of another login is ignored');
  login.learn(token, { score: 5 });
  assert.equal(login.user.score, 5);
  login.set('h.unreadable.s');
  assert.equal(login.user, null);
  login.set(null);
  assert.deepEqual(changes, [token, 'h.unreadable.s', null]);
});

test('an invalid token is refused without naming it', () => {
  for (const token of ['secret\nx-evil: 1', 'secret token', 'sécret', '']) {
    const assign = () => (new Laurel().token = token);
    assert.throws(assign, (it) => it instanceof TypeError && !it.message.includes('cret'));
  }
});

test('keys are unique, and of visible ASCII', () => {
  const keys = new Set(Array.from({ length: 1000 }, newKey));
  assert.equal(keys.size, 1000);
  for (const key of keys) assert.match(key, /^[0-9a-f]{32}$/);
});
