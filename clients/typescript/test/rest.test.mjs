// Retries, errors and caching, against fake responses.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { Laurel } from '../dist/index.js';

/** A client whose requests get these responses, one after another. The last one repeats. Null is a lost response. */
function scripted(responses, options = {}) {
  const requests = [];
  const fetch = async (url, { method, headers, body }) => {
    requests.push({ url, method, headers, body });
    const response = responses[Math.min(requests.length, responses.length) - 1];
    if (response === null) throw new TypeError('fetch failed');
    const { status = 200, headers: responseHeaders = {}, text } = response;
    return new Response(status === 304 ? null : (text ?? JSON.stringify(response.body)), { status, headers: responseHeaders });
  };
  return { requests, laurel: new Laurel({ url: 'http://x', fetch, random: () => 0, ...options }) };
}

const refusal = (status, errorCode, headers = {}) => ({
  status, headers, body: { data: null, message: 'No', statusCode: status, metadata: { errorCode, timestamp: '' } },
});
const award = { body: { success: true, newScore: 10, rank: 1, leaderboard: [] } };

test('an award is retried with the same key and body', async () => {
  const unavailable = refusal(503, 'SERVICE_UNAVAILABLE', { 'retry-after': '0' });
  const { laurel, requests } = scripted([null, unavailable, { status: 502, text: '<html>' }, refusal(429, 'RATE_LIMIT_EXCEEDED', { 'retry-after': '0' }), award]);
  assert.equal((await laurel.finalize('t')).newScore, 10);
  assert.equal(new Set(requests.map(({ headers, body }) => headers['idempotency-key'] + body)).size, 1);
  assert.equal(requests.length, 5);
});

test('a refusal after a lost response is unsure', async () => {
  const limited = refusal(429, 'RATE_LIMIT_EXCEEDED', { 'retry-after': '60' });
  const cases = [
    [[limited], 'RATE_LIMIT_EXCEEDED', false],
    [[null, limited], 'RATE_LIMIT_EXCEEDED', true],
    [[{ status: 504, text: '<html>' }, refusal(401, 'UNAUTHORIZED')], 'UNAUTHORIZED', true],
    [[refusal(500, 'INTERNAL_ERROR')], 'INTERNAL_ERROR', true],
    [[null], 'NETWORK', true],
  ];
  for (const [responses, code, unsure] of cases) {
    const { laurel, requests } = scripted(responses);
    const error = await laurel.finalize('t').then(assert.fail, (error) => error);
    const key = unsure ? requests[0].headers['idempotency-key'] : undefined;
    assert.deepEqual([error.code, error.unsure, error.idempotencyKey], [code, unsure, key]);
  }
  const error = await scripted([null]).laurel.leaderboard().then(assert.fail, (error) => error);
  assert.deepEqual([error.unsure, error.idempotencyKey], [false, undefined], 'a read cannot count');
});

test('an action is not finished after another user has logged in', async () => {
  const jwt = (sub, iat) => `h.${Buffer.from(JSON.stringify({ sub, iat })).toString('base64url')}.s`;
  const catalogue = { body: { actions: [{ actionType: 'jab', checks: [] }] } };
  const started = { body: { antiSpamToken: 't', expiresIn: 60, actionId: 'jab' } };
  const during = { another: jwt('eve', 1), nobody: null, renewed: jwt('ann', 2) };
  for (const [who, token] of Object.entries(during)) {
    const { laurel, requests } = scripted([catalogue, started, award], { token: jwt('ann', 1) });
    const play = laurel.play('jab', { prove: async () => ((laurel.token = token), null) });
    if (who === 'renewed') await play;
    else await assert.rejects(play, (it) => it.code === 'LOGIN_CHANGED');
    assert.equal(requests.length, who === 'renewed' ? 3 : 2, who);
  }
});

test('an error has the metadata of the response', async () => {
  const limit = { name: 'cap_per_day', resetsAt: '2030-01-01T00:00:00.000Z' };
  for (const more of [{ validActionTypes: ['jab'] }, { expectedPoints: [10, 40] }, { limit }, {}]) {
    const response = refusal(400, 'INVALID_ACTION');
    Object.assign(response.body.metadata, more);
    const { metadata } = await scripted([response]).laurel.leaderboard().then(assert.fail, (error) => error);
    assert.deepEqual(metadata, { errorCode: 'INVALID_ACTION', timestamp: '', ...more });
  }
  for (const text of ['<html>', '{}', 'null']) {
    const error = await scripted([{ status: 400, text }]).laurel.leaderboard().then(assert.fail, (error) => error);
    assert.deepEqual(error.metadata, {}, text);
  }
});

test('a request is sent up to five times, or as often as set', async () => {
  for (const [retry, count] of [[undefined, 5], [{ attempts: 2 }, 2], [{ attempts: 1 }, 1]]) {
    const { laurel, requests } = scripted([null], retry ? { retry } : {});
    await assert.rejects(laurel.leaderboard(), ({ code, status }) => code === 'NETWORK' && status === 0);
    assert.equal(requests.length, count);
  }
});

test('a final error is not retried', async () => {
  const cases = [
    [refusal(409, 'TOKEN_ALREADY_USED'), 'TOKEN_ALREADY_USED'],
    [refusal(500, 'INTERNAL_ERROR'), 'INTERNAL_ERROR'],
    [refusal(429, 'RATE_LIMIT_EXCEEDED', { 'retry-after': '11' }), 'RATE_LIMIT_EXCEEDED'],
    [refusal(429, 'RATE_LIMIT_EXCEEDED'), 'RATE_LIMIT_EXCEEDED'],
    [{ status: 200, text: '<html>a proxy greets you' }, 'UNREADABLE'],
    [{ status: 418, text: 'short and stout' }, 'UNREADABLE'],
  ];
  for (const [response, code] of cases) {
    const { laurel, requests } = scripted([response, award]);
    await assert.rejects(laurel.finalize('t'), (it) => it.code === code);
    assert.equal(requests.length, 1, code);
  }
});

test('a verified token is retried with the same key', async () => {
  const { laurel, requests } = scripted([null, null, { status: 201, body: { actionToken: 'act_1' } }]);
  assert.equal((await laurel.actionToken({ actionType: 'a' })).actionToken, 'act_1');
  assert.equal(new Set(requests.map(({ headers, body }) => headers['idempotency-key'] + body)).size, 1);
  assert.equal(requests.length, 3);
});

test('a request without a key is sent once', async () => {
  const calls = [
    (laurel) => laurel.login({ username: 'a', password: 'b' }),
    (laurel) => laurel.startGame(),
  ];
  for (const call of calls) {
    const { laurel, requests } = scripted([null, award]);
    await assert.rejects(call(laurel), (it) => it.code === 'NETWORK');
    assert.equal(requests.length, 1);
  }
});

test('an older board does not replace a newer one, and the entity tag is sent', async () => {
  const board = (version, stale) => ({
    headers: { etag: `"${version}${stale ? '-stale' : ''}"` }, body: { leaderboard: [], version, ...(stale && { stale }) },
  });
  const { laurel, requests } = scripted([board(2e15), board(1e15), board(2e15, true), { status: 304 }]);
  const versions = [];
  for (let i = 0; i < 4; i += 1) {
    const { version, stale } = await laurel.leaderboard();
    versions.push([version, stale]);
  }
  assert.deepEqual(versions, [[2e15, false], [2e15, false], [2e15, true], [2e15, true]]);
  const tags = requests.map(({ headers }) => headers['if-none-match']);
  assert.deepEqual(tags, [undefined, '"2000000000000000"', '"2000000000000000"', '"2000000000000000-stale"']);
});

test('boards are listed, and found by an address', async () => {
  const weekly = { id: 'weekly@DE', title: 'This week', period: { id: '2026-W48', state: 'open' } };
  const { laurel, requests } = scripted([{ body: { boards: [weekly] } }, { body: weekly }, refusal(404, 'BOARD_NOT_FOUND')]);
  assert.deepEqual(await laurel.boards(), [weekly]);
  assert.deepEqual(await laurel.board('weekly@DE'), weekly);
  await assert.rejects(laurel.board('../x'), { code: 'BOARD_NOT_FOUND' });
  const urls = requests.map(({ url }) => url);
  assert.deepEqual(urls, ['http://x/api/v1/boards', 'http://x/api/v1/boards/weekly%40DE', 'http://x/api/v1/boards/..%2Fx']);
});

test('entries are requested page by page, and looked up', async () => {
  const [first, last] = [{ entries: [{ position: 1 }, { position: 2 }], next: 'A_-' }, { entries: [{ position: 3 }], previous: 'B' }];
  const { laurel, requests } = scripted([{ body: first }, { body: last }, { body: last }, { body: { notFound: ['u'] } }, { body: { periods: [] } }]);
  const positions = [];
  for await (const entry of laurel.entries('weekly@DE', { limit: 2, period: '2026-W48' })) positions.push(entry.position);
  assert.deepEqual(positions, [1, 2, 3]);
  assert.deepEqual(await laurel.entriesPage('daily', { around: 'me', top: 3 }), last);
  assert.deepEqual(await laurel.lookup('daily', ['u']), { notFound: ['u'] });
  assert.deepEqual(await laurel.periodsPage('daily', { limit: 9 }), { periods: [] });
  const page = 'weekly%40DE/entries?limit=2&period=2026-W48';
  assert.deepEqual(requests.map(({ url }) => url.slice('http://x/api/v1/boards/'.length)), [
    page, `${page}&cursor=A_-`, 'daily/entries?around=me&top=3', 'daily/entries/lookup', 'daily/periods?limit=9',
  ]);
  assert.deepEqual(JSON.parse(requests[3].body), { userIds: ['u'] });
});

test('profiles are requested by number or UUID, and histories page by page', async () => {
  const [first, second] = [{ entries: [{ points: 1 }, { points: 2 }], next: 'A_-' }, { entries: [{ points: 3 }] }];
  const { laurel, requests } = scripted([{ body: { userId: 'x' } }, { body: { number: 7 } }, { body: first }, { body: second }, { body: first }, { body: { places: [] } }, { body: first }]);
  assert.deepEqual([await laurel.profile('a/b'), await laurel.me()], [{ userId: 'x' }, { number: 7 }]);
  const points = [];
  for await (const entry of laurel.history(7, { limit: 2 })) points.push(entry.points);
  assert.deepEqual(points, [1, 2, 3]);
  assert.deepEqual(await laurel.historyPage(7, { cursor: 'A_-' }), first);
  assert.deepEqual(await laurel.places(7), []);
  assert.deepEqual(requests.map(({ url }) => url.slice('http://x/api/v1/'.length)), [
    'users/a%2Fb', 'me', 'users/7/history?limit=2', 'users/7/history?limit=2&cursor=A_-', 'users/7/history?limit=25&cursor=A_-', 'users/7/places',
  ]);
  for await (const entry of laurel.history(7)) if (entry.points === 1) break;
  assert.equal(requests.length, 7, 'a page is requested when it is needed');
});

test('a request fails after the timeout, and with the reason of its signal', async () => {
  const fetch = (_, { signal }) => new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason)));
  const slow = new Laurel({ fetch, timeoutMs: 20, retry: { attempts: 1 } });
  await assert.rejects(slow.top10(), (it) => it.code === 'NETWORK');
  const abort = new AbortController();
  const request = new Laurel({ fetch }).top10({ signal: abort.signal });
  abort.abort('enough');
  await assert.rejects(request, (reason) => reason === 'enough');
});
