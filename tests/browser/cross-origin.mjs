// A game's page from another origin than Laurel: register, play and watch with the client, `EventSource` and the official Socket.IO client.
// OPEN allows every origin, and GAME with credentials. CLOSED allows GAME only. This script serves the page at GAME.

import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { open } from './browser.mjs';

const { OPEN, CLOSED, GAME } = process.env;
const { port } = new URL(GAME);
// The same page from an origin that no node lists.
const OTHER = `http://127.0.0.1:${port}`;
const FOLDERS = { laurel: '../../clients/typescript/dist/', socketio: '../official/node_modules/socket.io-client/dist/' };
const PAGE = `<!doctype html><link rel="icon" href="data:,"><script type="module">
  import { Laurel } from '/laurel/index.js';
  import { io } from '/socketio/socket.io.esm.min.js';
  Object.assign(globalThis, { Laurel, io });
</script>`;

const server = createServer(async (request, response) => {
  const [, folder, file] = request.url.split('/');
  const isScript = Object.hasOwn(FOLDERS, folder);
  response.setHeader('content-type', isScript ? 'text/javascript' : 'text/html');
  response.end(isScript ? await readFile(fileURLToPath(new URL(FOLDERS[folder] + file, import.meta.url))) : PAGE);
});
before(() => new Promise((resolve) => server.listen(Number(port), resolve)));
after(() => {
  server.closeAllConnections();
  server.close();
});

/** Opens the game's page, which sends requests to a node at another origin. */
async function openGame(origin, node) {
  const { page, problems } = await open(origin);
  await page.waitForFunction(() => globalThis.io);
  const assertQuiet = () => assert.deepEqual(problems.filter((problem) => !problem.startsWith(`requested ${node}`)), []);
  return { page, assertQuiet };
}

/** Registers a player, plays, and waits until the player is on the board. Returns the score, and what the page could read of responses. */
const playAndWatch = async ([url, name, credentials]) => {
  const laurel = new Laurel({ url, fetch: (input, init) => fetch(input, { ...init, credentials }) });
  await laurel.register({ username: name, email: `${name}@example.com`, password: 'correct horse' });
  const appears = (transport) => new Promise((resolve) => {
    const live = laurel.live({
      transport,
      onBoard: ({ rows }) => {
        if (!rows.some(({ username }) => username === name)) return;
        live.close();
        resolve();
      },
    });
  });
  const appearances = [appears(undefined), appears('events')];
  await laurel.play('daily_bonus');
  const game = await laurel.startGame();
  await game.update('watch_ad');
  await game.end();
  await Promise.all(appearances);
  const { version } = await laurel.leaderboard();
  const again = await laurel.leaderboard();
  const error = await laurel.play('daily_bonus').catch((reason) => reason);
  const response = await fetch(`${url}/api/v1/scores/leaderboard`, { credentials });
  return {
    score: laurel.user.score,
    hasTag: response.headers.get('etag') !== null && again.version === version,
    code: error.code,
    hasWait: error.retryAfterSeconds > 0,
    hasId: typeof error.requestId === 'string',
    token: laurel.token,
  };
};

/** Connects by `EventSource` and by each transport of the official client. Returns whether a board arrived, or 'failed'. */
const watchByEach = async ([url, token, withCredentials]) => {
  const events = new EventSource(`${url}/api/v1/leaderboard/stream`, { withCredentials });
  const results = { events: await new Promise((resolve) => {
    events.addEventListener('leaderboard_updated', ({ data }) => resolve(JSON.parse(data).data.length > 0));
    events.onerror = () => resolve('failed');
  }) };
  events.close();
  for (const transports of [['polling'], ['websocket'], ['polling', 'websocket']]) {
    const socket = io(url, { withCredentials, transports, auth: { token }, reconnection: false, forceNew: true });
    results[transports.join()] = await new Promise((resolve) => {
      socket.on('scoreboard:update', ({ top10 }) => resolve(top10.length > 0));
      socket.on('connect_error', () => resolve('failed'));
    });
    socket.disconnect();
  }
  return results;
};

const ALL_WORK = { events: true, polling: true, websocket: true, 'polling,websocket': true };

for (const [name, origin, node, credentials] of [
  ['listed_with', GAME, OPEN, 'include'],
  ['listed_without', GAME, OPEN, 'omit'],
  ['other_without', OTHER, OPEN, 'omit'],
  ['only_listed_with', GAME, CLOSED, 'include'],
]) {
  test(`a game on another origin registers, plays and watches: ${name}`, async () => {
    const { page, assertQuiet } = await openGame(origin, node);
    const { token, ...results } = await page.evaluate(playAndWatch, [node, name, credentials]);
    assert.deepEqual(results, { score: 15, hasTag: true, code: 'ACTION_LIMIT_REACHED', hasWait: true, hasId: true });
    assert.deepEqual(await page.evaluate(watchByEach, [node, token, credentials === 'include']), ALL_WORK);
    assertQuiet();
  });
}

test('an unlisted origin gets nothing with credentials', async () => {
  const { page } = await openGame(OTHER, OPEN);
  const read = (url) => fetch(`${url}/api/v1/actions`, { credentials: 'include' }).then(() => 'read', () => 'failed');
  assert.equal(await page.evaluate(read, OPEN), 'failed');
  const { events, polling } = await page.evaluate(watchByEach, [OPEN, 'x', true]);
  assert.deepEqual([events, polling], ['failed', 'failed']);
});

test('an unlisted origin gets nothing if not all origins are allowed', async () => {
  const { page } = await openGame(OTHER, CLOSED);
  const read = (url) => fetch(`${url}/api/v1/actions`).then(() => 'read', () => 'failed');
  assert.equal(await page.evaluate(read, CLOSED), 'failed');
  const results = await page.evaluate(watchByEach, [CLOSED, 'x', false]);
  assert.deepEqual([...new Set(Object.values(results))], ['failed']);
  const connect = (url) => new Promise((resolve) => {
    const socket = new WebSocket(`${url.replace('http', 'ws')}/api/v1/ws`, ['laurel.v1', 'bearer.x']);
    socket.onopen = () => resolve('open');
    socket.onerror = () => resolve('failed');
  });
  assert.equal(await page.evaluate(connect, CLOSED), 'failed');
});

test('the admin API is open to listed origins only', async () => {
  const read = (url) => fetch(`${url}/api/admin/users`).then(({ status }) => status, () => 'failed');
  assert.equal(await (await openGame(OTHER, OPEN)).page.evaluate(read, OPEN), 'failed');
  assert.equal(await (await openGame(GAME, OPEN)).page.evaluate(read, OPEN), 401);
});
