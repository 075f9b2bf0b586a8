// The live page over time: other tabs, slow responses, limits, admin actions, lost nodes, blocked storage.

import assert from 'node:assert/strict';
import { connect, createServer } from 'node:net';
import { test } from 'node:test';
import { inspect, open } from './browser.mjs';
import { call } from './admin-helpers.mjs';
import { button, showsState, play, register, showsScore } from './live-helpers.mjs';

const { ONE, TWO, TWO_PID } = process.env;

const storedLogin = (page) => page.evaluate(() => localStorage.getItem('laurel.login'));
const showsName = (page, name) => page.waitForFunction((text) => document.getElementById('my-name').textContent === text, name);
const shownScore = (page) => page.textContent('#my-points');

/** Holds the response to the first request of a path until `release` is called. */
async function holdResponse(page, path) {
  let [isFirst, arrive, release] = [true];
  const arrived = new Promise((resolve) => { arrive = resolve; });
  const released = new Promise((resolve) => { release = resolve; });
  await page.route(path, async (route) => {
    if (!isFirst) return route.continue();
    isFirst = false;
    const response = await route.fetch();
    arrive();
    await released;
    return route.fulfill({ response });
  });
  return { arrived, release };
}

/** Does an admin action. */
async function administer(username, action, body) {
  const { data } = await call(ONE, 'POST', '/api/auth/login', { username: 'root', password: 'correct horse' });
  const response = await call(ONE, 'POST', `/api/admin/users/${username}/${action}`, { reason: 'a test', ...body }, data.token);
  assert.ok(response.data, response.message);
}

test('the page works with blocked storage', async () => {
  const { page, assertQuiet } = await open(ONE);
  await page.addInitScript(() => {
    for (const name of ['localStorage', 'sessionStorage']) {
      Object.defineProperty(globalThis, name, { get() { throw new DOMException('no', 'SecurityError'); } });
    }
  });
  await page.goto(ONE);
  await register(page, 'nora');
  await play(page, 'Watch an ad');
  await showsScore(page, 10);
  await page.click('[data-theme-toggle]');
  assert.equal(await page.getAttribute('html', 'data-theme'), 'dark');
  await page.goto(`${ONE}/admin`);
  await page.getByLabel('Username').waitFor();
  assertQuiet();
});

test('tabs share a login, and a logout does not remove a newer one', async () => {
  const { page: one, context } = await open(ONE);
  const two = await context.newPage();
  await two.goto(ONE);
  await register(one, 'olga');
  await showsName(two, 'olga');
  await showsState(two);

  // A logout in one tab ends the running actions of the other. Nobody else gets their points.
  await play(two, 'Take your time');
  await two.waitForSelector('.action progress:not([hidden])');
  await play(one, 'Answer a question');
  await one.waitForSelector('#quiz[open]');
  await two.click('#log-out');
  const sent = [];
  two.on('request', (request) => { if (request.url().endsWith('/finalize')) sent.push(request.url()); });
  await one.waitForSelector('#sign-in:not([hidden])');
  await one.waitForSelector('#quiz:not([open])', { state: 'attached' });
  await register(two, 'pia');
  await showsName(one, 'pia');
  assert.equal(await two.locator('.action progress:not([hidden])').count(), 0);
  await play(two, 'Take your time');
  await showsScore(two, 10);
  assert.equal(sent.length, 1, 'the first login’s action was not sent');

  // A tab gets no event for its own changes of the storage, like one that has not received the event of another tab yet.
  const newer = await storedLogin(two);
  await one.close();
  await two.evaluate(() => localStorage.setItem('laurel.login', `${localStorage.getItem('laurel.login')}x`));
  await two.click('#log-out');
  assert.equal(await storedLogin(two), `${newer}x`);
});

test('an older response does not reset the score', async () => {
  const { page } = await open(ONE);
  await register(page, 'quinn');
  await showsState(page);
  const slow = await holdResponse(page, '**/api/scoreboard/user/**');
  await page.reload();
  await slow.arrived;
  await play(page, 'Watch an ad');
  await showsScore(page, 10);
  const answered = page.waitForResponse(/\/api\/scoreboard\/user\//);
  slow.release();
  await answered;
  await page.evaluate(() => new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve))));
  assert.equal(await shownScore(page), '10');
});

test('a rate limit does not stop running actions', async () => {
  const { page } = await open(ONE);
  await register(page, 'rosa');
  const slow = await holdResponse(page, '**/api/v1/actions/finalize');
  await play(page, 'Solve a puzzle');
  await slow.arrived;
  await page.route('**/api/v1/actions/init', (route) => route.fulfill({
    status: 429,
    headers: { 'retry-after': '3' },
    json: { success: false, message: 'Too many.', metadata: { errorCode: 'RATE_LIMIT_EXCEEDED' } },
  }));
  await play(page, 'Watch an ad');
  await page.waitForFunction(() => document.querySelector('.action button').textContent.endsWith(' s'));
  assert.equal(await button(page, 'Solve a puzzle').textContent(), '…');
  slow.release();
  await showsScore(page, 15);
});

test('questions are shown one at a time', async () => {
  const { page } = await open(ONE);
  // The catalogue has one action with a question. Make it two.
  await page.route('**/api/v1/actions', async (route) => {
    const response = await route.fetch();
    const body = await response.json();
    const quiz = body.actions.find((action) => action.checks.includes('quiz'));
    await route.fulfill({ response, json: { ...body, actions: [quiz, { ...quiz, points: 16 }] } });
  });
  await page.reload();
  await register(page, 'sara');
  // At the same time, as with two fingers.
  await page.evaluate(() => { for (const button of document.querySelectorAll('.action button')) button.click(); });
  await page.waitForSelector('#quiz[open]');
  await page.keyboard.press('Escape');
  await page.waitForFunction(() => [...document.querySelectorAll('.action button')].filter((button) => button.textContent === '…').length === 1);
  await page.waitForSelector('#quiz[open]');
  await page.keyboard.press('Escape');
  await page.waitForFunction(() => [...document.querySelectorAll('.action button')].every((button) => button.textContent !== '…'));
});

test('admin actions show at once: no rank without points, and a ban logs out', async () => {
  const { page, assertQuiet } = await open(ONE);
  await register(page, 'tess');
  await showsState(page);
  await play(page, 'Watch an ad');
  await showsScore(page, 10);
  await administer('tess', 'adjust', { points: -10 });
  await page.waitForFunction(() => document.getElementById('my-news').textContent === '-10 points.');
  assert.equal(await page.textContent('#my-rank'), '–');
  await administer('tess', 'ban');
  await page.waitForSelector('#sign-in:not([hidden])');
  await page.getByText('You were logged out. Log in again to play.').waitFor();
  await page.waitForFunction(() => document.getElementById('announcement').textContent === 'You are logged out.');
  assert.equal(await storedLogin(page), null);
  assertQuiet();
});

test('large numbers and long names fit', async () => {
  const long = 'W'.repeat(50);
  const { page } = await open(ONE);
  await register(page, long);
  await play(page, 'Watch an ad');
  await showsScore(page, 10);
  await administer(long, 'adjust', { points: 2 ** 53 - 1 - 10 });
  await showsScore(page, '9,007,199,254,740,991');
  for (const width of [320, 390, 950, 1920]) {
    await page.setViewportSize({ width, height: 1080 });
    const seen = await page.evaluate(() => {
      const box = (selector) => document.querySelector(selector).getBoundingClientRect();
      return { name: box('.own .name').width, inside: box('.own').right - box('.own .score').right,
        button: innerWidth - box('.action button').right, wide: document.documentElement.scrollWidth - innerWidth,
        number: box('#my-score').right - box('#my-rank').right };
    });
    assert.ok(seen.name > 60 && seen.inside > 0 && seen.button > 0 && seen.wide === 0 && seen.number > 0, `${width}: ${JSON.stringify(seen)}`);
    await inspect(page, `live-large-${width}`);
  }
});

test('a lost node is shown, and the page continues with another one', async () => {
  let node = new URL(TWO);
  const sockets = new Set();
  // A load balancer in front of the node that is up.
  const balancer = createServer((from) => {
    const to = connect(node.port, node.hostname);
    for (const [socket, other] of [[from, to], [to, from]]) {
      sockets.add(socket);
      socket.pipe(other);
      socket.on('error', () => other.destroy()).on('close', () => { sockets.delete(socket); other.destroy(); });
    }
  });
  await new Promise((resolve) => balancer.listen(0, '127.0.0.1', resolve));
  const { page } = await open(`http://127.0.0.1:${balancer.address().port}`);
  await register(page, 'uma');
  await showsState(page);
  process.kill(Number(TWO_PID), 'SIGKILL');
  await showsState(page, 'reconnecting');
  assert.equal(await page.textContent('#connection-text'), 'Reconnecting');
  node = new URL(ONE);
  await showsState(page);
  assert.equal(await page.textContent('#connection-text'), 'Live');
  await play(page, 'Watch an ad');
  await showsScore(page, 10);
  for (const socket of sockets) socket.destroy();
  await new Promise((resolve) => balancer.close(resolve));
});
