// When a call is tried again, and when not: against answers that are made up.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { Laurel } from '../dist/index.js';

/** A client whose requests get these answers, one after another; the last one for ever. */
function scripted(answers, options = {}) {
  const asked = [];
  const fetch = async (url, { method, headers, body }) => {
    asked.push({ url, method, headers, body });
    const answer = answers[Math.min(asked.length, answers.length) - 1];
    if (answer === null) throw new TypeError('fetch failed');
    const { status = 200, headers: told = {}, text } = answer;
    return new Response(status === 304 ? null : (text ?? JSON.stringify(answer.body)), { status, headers: told });
  };
  return { asked, laurel: new Laurel({ url: 'http://x', fetch, random: () => 0, ...options }) };
}

const refusal = (status, errorCode, headers = {}) => ({
  status, headers, body: { data: null, message: 'No', statusCode: status, metadata: { errorCode, timestamp: '' } },
});
const award = { body: { success: true, newScore: 10, rank: 1, leaderboard: [] } };

test('an award is asked for again, each time with the same key and body', async () => {
  const away = refusal(503, 'SERVICE_UNAVAILABLE', { 'retry-after': '0' });
  const { laurel, asked } = scripted([null, away, { status: 502, text: '<html>' }, refusal(429, 'RATE_LIMIT_EXCEEDED', { 'retry-after': '0' }), award]);
  assert.equal((await laurel.finalize('t')).newScore, 10);
  assert.equal(new Set(asked.map((it) => it.headers['idempotency-key'] + it.body)).size, 1);
  assert.equal(asked.length, 5);
});

test('a refusal after a lost answer does not hide that the award may have counted', async () => {
  const limited = refusal(429, 'RATE_LIMIT_EXCEEDED', { 'retry-after': '60' });
  const cases = [
    [[limited], 'RATE_LIMIT_EXCEEDED', false],
    [[null, limited], 'RATE_LIMIT_EXCEEDED', true],
    [[{ status: 504, text: '<html>' }, refusal(401, 'UNAUTHORIZED')], 'UNAUTHORIZED', true],
    [[refusal(500, 'INTERNAL_ERROR')], 'INTERNAL_ERROR', true],
    [[null], 'NETWORK', true],
  ];
  for (const [answers, code, unsure] of cases) {
    const { laurel, asked } = scripted(answers);
    const error = await laurel.finalize('t').then(assert.fail, (it) => it);
    const key = unsure ? asked[0].headers['idempotency-key'] : undefined;
    assert.deepEqual([error.code, error.unsure, error.idempotencyKey], [code, unsure, key]);
  }
  const reading = await scripted([null]).laurel.leaderboard().then(assert.fail, (it) => it);
  assert.deepEqual([reading.unsure, reading.idempotencyKey], [false, undefined], 'nothing can count there');
});

test('what one user began to play is not sent in the name of another', async () => {
  const jwt = (sub, iat) => `h.${Buffer.from(JSON.stringify({ sub, iat })).toString('base64url')}.s`;
  const catalogue = { body: { actions: [{ actionType: 'jab', checks: [] }] } };
  const started = { body: { antiSpamToken: 't', expiresIn: 60, actionId: 'jab' } };
  const during = { another: jwt('eve', 1), nobody: null, renewed: jwt('ann', 2) };
  for (const [who, token] of Object.entries(during)) {
    const { laurel, asked } = scripted([catalogue, started, award], { token: jwt('ann', 1) });
    const played = laurel.play('jab', { prove: async () => ((laurel.token = token), null) });
    if (who === 'renewed') await played;
    else await assert.rejects(played, (it) => it.code === 'LOGIN_CHANGED');
    assert.equal(asked.length, who === 'renewed' ? 3 : 2, who);
  }
});

test('an error says how to get it right, as far as the server does', async () => {
  const limit = { name: 'cap_per_day', resetsAt: '2030-01-01T00:00:00.000Z' };
  for (const more of [{ validActionTypes: ['jab'] }, { expectedPoints: [10, 40] }, { limit }, {}]) {
    const answer = refusal(400, 'INVALID_ACTION');
    Object.assign(answer.body.metadata, more);
    const { metadata } = await scripted([answer]).laurel.leaderboard().then(assert.fail, (it) => it);
    assert.deepEqual(metadata, { errorCode: 'INVALID_ACTION', timestamp: '', ...more });
  }
  for (const text of ['<html>', '{}', 'null']) {
    const error = await scripted([{ status: 400, text }]).laurel.leaderboard().then(assert.fail, (it) => it);
    assert.deepEqual(error.metadata, {}, text);
  }
});

test('five tries are all, or as many as were asked for', async () => {
  for (const [retry, count] of [[undefined, 5], [{ attempts: 2 }, 2], [{ attempts: 1 }, 1]]) {
    const { laurel, asked } = scripted([null], retry ? { retry } : {});
    await assert.rejects(laurel.leaderboard(), (it) => it.code === 'NETWORK' && it.status === 0);
    assert.equal(asked.length, count);
  }
});

test('what is refused for good is not asked again', async () => {
  const cases = [
    [refusal(409, 'TOKEN_ALREADY_USED'), 'TOKEN_ALREADY_USED'],
    [refusal(500, 'INTERNAL_ERROR'), 'INTERNAL_ERROR'],
    [refusal(429, 'RATE_LIMIT_EXCEEDED', { 'retry-after': '11' }), 'RATE_LIMIT_EXCEEDED'],
    [refusal(429, 'RATE_LIMIT_EXCEEDED'), 'RATE_LIMIT_EXCEEDED'],
    [{ status: 200, text: '<html>a proxy greets you' }, 'UNREADABLE'],
    [{ status: 418, text: 'short and stout' }, 'UNREADABLE'],
  ];
  for (const [answer, code] of cases) {
    const { laurel, asked } = scripted([answer, award]);
    await assert.rejects(laurel.finalize('t'), (it) => it.code === code);
    assert.equal(asked.length, 1, code);
  }
});

test('a lost verified token is asked for again with the same key', async () => {
  const { laurel, asked } = scripted([null, null, { status: 201, body: { actionToken: 'act_1' } }]);
  assert.equal((await laurel.actionToken({ actionType: 'a' })).actionToken, 'act_1');
  assert.equal(new Set(asked.map((it) => it.headers['idempotency-key'] + it.body)).size, 1);
  assert.equal(asked.length, 3);
});

test('what has no key is sent once', async () => {
  const calls = [
    (it) => it.login({ username: 'a', password: 'b' }),
    (it) => it.startGame(),
  ];
  for (const call of calls) {
    const { laurel, asked } = scripted([null, award]);
    await assert.rejects(call(laurel), (it) => it.code === 'NETWORK');
    assert.equal(asked.length, 1);
  }
});

test('an older board does not replace a newer one, and a tag is sent back', async () => {
  const board = (version, stale) => ({
    headers: { etag: `"${version}${stale ? '-stale' : ''}"` }, body: { leaderboard: [], version, ...(stale && { stale }) },
  });
  const { laurel, asked } = scripted([board(2e15), board(1e15), board(2e15, true), { status: 304 }]);
  const versions = [];
  for (let i = 0; i < 4; i += 1) {
    const { version, stale } = await laurel.leaderboard();
    versions.push([version, stale]);
  }
  assert.deepEqual(versions, [[2e15, false], [2e15, false], [2e15, true], [2e15, true]]);
  const tags = asked.map((it) => it.headers['if-none-match']);
  assert.deepEqual(tags, [undefined, '"2000000000000000"', '"2000000000000000"', '"2000000000000000-stale"']);
});

test('a request without an answer is given up, and one that was stopped says why', async () => {
  const fetch = (_, { signal }) => new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason)));
  const slow = new Laurel({ fetch, timeoutMs: 20, retry: { attempts: 1 } });
  await assert.rejects(slow.top10(), (it) => it.code === 'NETWORK');
  const stop = new AbortController();
  const asked = new Laurel({ fetch }).top10({ signal: stop.signal });
  stop.abort('enough');
  await assert.rejects(asked, (it) => it === 'enough');
});
