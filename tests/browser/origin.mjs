// A game whose page comes from another origin than Laurel: register, play and watch, with the client, `EventSource` and the official
// Socket.IO client. OPEN allows any origin, and GAME with credentials; CLOSED allows GAME alone. GAME is where this script serves the page.

import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { open } from './browser.mjs';

const { OPEN, CLOSED, GAME } = process.env;
const { port } = new URL(GAME);
// The same page from an origin that nobody listed.
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
before(() => new Promise((listening) => server.listen(Number(port), listening)));
after(() => {
  server.closeAllConnections();
  server.close();
});

/** The game's page from one origin, which asks a node at another. */
async function game(origin, node) {
  const { page, wrong } = await open(origin);
  await page.waitForFunction(() => globalThis.io);
  const assertQuiet = () => assert.deepEqual(wrong.filter((it) => !it.startsWith(`asked ${node}`)), []);
  return { page, assertQuiet };
}

/** Registers a player, plays, and listens until the own award is on the board; the score, and what an error let the page read. */
const playAndWatch = async ([url, name, credentials]) => {
  const laurel = new Laurel({ url, fetch: (input, init) => fetch(input, { ...init, credentials }) });
  await laurel.register({ username: name, email: `${name}@example.com`, password: 'correct horse' });
  const shown = (transport) => new Promise((resolve) => {
    const live = laurel.live({
      transport,
      onBoard: ({ rows }) => {
        if (!rows.some((it) => it.username === name)) return;
        live.close();
        resolve();
      },
    });
  });
  const watches = [shown(undefined), shown('events')];
  await laurel.play('daily_bonus');
  const game = await laurel.startGame();
  await game.update('watch_ad');
  await game.end();
  await Promise.all(watches);
  const { version } = await laurel.leaderboard();
  const again = await laurel.leaderboard();
  const error = await laurel.play('daily_bonus').catch((it) => it);
  const plain = await fetch(`${url}/api/v1/scores/leaderboard`, { credentials });
  return {
    score: laurel.user.score,
    tagged: plain.headers.get('etag') !== null && again.version === version,
    code: error.code,
    waits: error.retryAfterSeconds > 0,
    hasId: typeof error.requestId === 'string',
    token: laurel.token,
  };
};

/** Listens by `EventSource` and by the official client in each of its ways; what each heard first of a board, or that it failed. */
const listen = async ([url, token, withCredentials]) => {
  const events = new EventSource(`${url}/api/v1/leaderboard/stream`, { withCredentials });
  const heard = { events: await new Promise((resolve) => {
    events.addEventListener('leaderboard_updated', ({ data }) => resolve(JSON.parse(data).data.length > 0));
    events.onerror = () => resolve('failed');
  }) };
  events.close();
  for (const transports of [['polling'], ['websocket'], ['polling', 'websocket']]) {
    const socket = io(url, { withCredentials, transports, auth: { token }, reconnection: false, forceNew: true });
    heard[transports.join()] = await new Promise((resolve) => {
      socket.on('scoreboard:update', ({ top10 }) => resolve(top10.length > 0));
      socket.on('connect_error', () => resolve('failed'));
    });
    socket.disconnect();
  }
  return heard;
};

const HEARD = { events: true, polling: true, websocket: true, 'polling,websocket': true };

for (const [name, origin, node, credentials] of [
  ['listed_with', GAME, OPEN, 'include'],
  ['listed_without', GAME, OPEN, 'omit'],
  ['other_without', OTHER, OPEN, 'omit'],
  ['only_listed_with', GAME, CLOSED, 'include'],
]) {
  test(`a game of another origin registers, plays and watches: ${name}`, async () => {
    const { page, assertQuiet } = await game(origin, node);
    const { token, ...told } = await page.evaluate(playAndWatch, [node, name, credentials]);
    assert.deepEqual(told, { score: 15, tagged: true, code: 'ACTION_LIMIT_REACHED', waits: true, hasId: true });
    assert.deepEqual(await page.evaluate(listen, [node, token, credentials === 'include']), HEARD);
    assertQuiet();
  });
}

test('an origin that nobody listed gets nothing with credentials', async () => {
  const { page } = await game(OTHER, OPEN);
  const read = (url) => fetch(`${url}/api/v1/actions`, { credentials: 'include' }).then(() => 'read', () => 'failed');
  assert.equal(await page.evaluate(read, OPEN), 'failed');
  const { events, polling } = await page.evaluate(listen, [OPEN, 'x', true]);
  assert.deepEqual([events, polling], ['failed', 'failed']);
});

test('where not all origins are allowed, another one gets nothing', async () => {
  const { page } = await game(OTHER, CLOSED);
  const read = (url) => fetch(`${url}/api/v1/actions`).then(() => 'read', () => 'failed');
  assert.equal(await page.evaluate(read, CLOSED), 'failed');
  const heard = await page.evaluate(listen, [CLOSED, 'x', false]);
  assert.deepEqual([...new Set(Object.values(heard))], ['failed']);
  const opened = (url) => new Promise((resolve) => {
    const socket = new WebSocket(`${url.replace('http', 'ws')}/api/v1/ws`, ['laurel.v1', 'bearer.x']);
    socket.onopen = () => resolve('open');
    socket.onerror = () => resolve('failed');
  });
  assert.equal(await page.evaluate(opened, CLOSED), 'failed');
});

test('operators’ paths are closed to any origin, and open to a listed one', async () => {
  const read = (url) => fetch(`${url}/api/admin/users`).then(({ status }) => status, () => 'failed');
  assert.equal(await (await game(OTHER, OPEN)).page.evaluate(read, OPEN), 'failed');
  assert.equal(await (await game(GAME, OPEN)).page.evaluate(read, OPEN), 401);
});
