// The live page as time goes on: other tabs, slow answers, limits, operators, nodes that go, browsers that keep nothing.

import assert from 'node:assert/strict';
import { connect, createServer } from 'node:net';
import { test } from 'node:test';
import { look, open } from './browser.mjs';
import { call } from './operator.mjs';
import { button, live, play, register, total } from './player.mjs';

const { ONE, TWO, TWO_PID } = process.env;

const kept = (page) => page.evaluate(() => localStorage.getItem('laurel.login'));
const name = (page, wanted) => page.waitForFunction((it) => document.getElementById('mine-title').textContent === it, wanted);
const shown = (page) => page.textContent('#mine-score');

/** The first request of a path, whose answer comes when it is released. */
async function held(page, path) {
  let [first, arrive, release] = [true];
  const arrived = new Promise((done) => { arrive = done; });
  const released = new Promise((done) => { release = done; });
  await page.route(path, async (route) => {
    if (!first) return route.continue();
    first = false;
    const response = await route.fetch();
    arrive();
    await released;
    return route.fulfill({ response });
  });
  return { arrived, release };
}

async function operate(username, deed, body) {
  const { data } = await call(ONE, 'POST', '/api/auth/login', { username: 'root', password: 'correct horse' });
  const answer = await call(ONE, 'POST', `/api/admin/users/${username}/${deed}`, { reason: 'a test', ...body }, data.token);
  assert.ok(answer.data, answer.message);
}

test('a browser that keeps nothing plays all the same', async () => {
  const { page, assertQuiet } = await open(ONE);
  await page.addInitScript(() => {
    for (const it of ['localStorage', 'sessionStorage']) {
      Object.defineProperty(globalThis, it, { get() { throw new DOMException('no', 'SecurityError'); } });
    }
  });
  await page.goto(ONE);
  await register(page, 'nora');
  await play(page, 'Watch an ad');
  await total(page, 10);
  await page.click('[data-theme-toggle]');
  assert.equal(await page.getAttribute('html', 'data-theme'), 'dark');
  await page.goto(`${ONE}/admin`);
  await page.getByLabel('Username').waitFor();
  assertQuiet();
});

test('tabs have one login, and none forgets another’s', async () => {
  const { page: one, context } = await open(ONE);
  const two = await context.newPage();
  await two.goto(ONE);
  await register(one, 'olga');
  await name(two, 'olga');
  await live(two);

  // What waits in one tab ends with the login that the other one dropped; nobody else gets its points.
  await play(two, 'Take your time');
  await two.waitForSelector('.action progress:not([hidden])');
  await play(one, 'Answer a question');
  await one.waitForSelector('#quiz[open]');
  const sent = [];
  two.on('request', (it) => { if (it.url().endsWith('/finalize')) sent.push(it.url()); });
  await two.click('#leave');
  await one.waitForSelector('#door:not([hidden])');
  await one.waitForSelector('#quiz:not([open])', { state: 'attached' });
  await register(two, 'pia');
  await name(one, 'pia');
  assert.equal(await two.locator('.action progress:not([hidden])').count(), 0);
  await play(two, 'Take your time');
  await total(two, 10);
  assert.equal(sent.length, 1, 'the first login’s action was not sent');

  // A tab that did not hear yet, as it is with its own changes, leaves what is kept by now.
  const newer = await kept(two);
  await one.close();
  await two.evaluate(() => localStorage.setItem('laurel.login', `${localStorage.getItem('laurel.login')}x`));
  await two.click('#leave');
  assert.equal(await kept(two), `${newer}x`);
});

test('an older answer does not put the own total back', async () => {
  const { page } = await open(ONE);
  await register(page, 'quinn');
  await live(page);
  const slow = await held(page, '**/api/scoreboard/user/**');
  await page.reload();
  await slow.arrived;
  await play(page, 'Watch an ad');
  await total(page, 10);
  const answered = page.waitForResponse(/\/api\/scoreboard\/user\//);
  slow.release();
  await answered;
  await page.evaluate(() => new Promise((drawn) => requestAnimationFrame(() => requestAnimationFrame(drawn))));
  assert.equal(await shown(page), '10');
});

test('a limit leaves alone what is under way', async () => {
  const { page } = await open(ONE);
  await register(page, 'rosa');
  const slow = await held(page, '**/api/v1/actions/finalize');
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
  await total(page, 15);
});

test('questions are asked one at a time', async () => {
  const { page } = await open(ONE);
  // Two actions with a question, although the catalogue has one.
  await page.route('**/api/v1/actions', async (route) => {
    const response = await route.fetch();
    const body = await response.json();
    const quiz = body.actions.find((it) => it.checks.includes('quiz'));
    await route.fulfill({ response, json: { ...body, actions: [quiz, { ...quiz, points: 16 }] } });
  });
  await page.reload();
  await register(page, 'sara');
  // At once, as two quick fingers do.
  await page.evaluate(() => { for (const it of document.querySelectorAll('.action button')) it.click(); });
  await page.waitForSelector('#quiz[open]');
  await page.keyboard.press('Escape');
  await page.waitForFunction(() => [...document.querySelectorAll('.action button')].filter((it) => it.textContent === '…').length === 1);
  await page.waitForSelector('#quiz[open]');
  await page.keyboard.press('Escape');
  await page.waitForFunction(() => [...document.querySelectorAll('.action button')].every((it) => it.textContent !== '…'));
});

test('an operator’s deeds are told: without points there is no rank, and a ban ends the login', async () => {
  const { page, assertQuiet } = await open(ONE);
  await register(page, 'tess');
  await live(page);
  await play(page, 'Watch an ad');
  await total(page, 10);
  await operate('tess', 'adjust', { points: -10 });
  await page.waitForFunction(() => document.getElementById('mine-news').textContent === '-10 points.');
  assert.equal(await page.textContent('#mine-rank'), '–');
  await operate('tess', 'ban');
  await page.waitForSelector('#door:not([hidden])');
  await page.getByText('Your login was ended. Log in again to play.').waitFor();
  await page.waitForFunction(() => document.getElementById('said').textContent === 'You are logged out.');
  assert.equal(await kept(page), null);
  assertQuiet();
});

test('large numbers and long names leave room for each other', async () => {
  const long = 'W'.repeat(50);
  const { page } = await open(ONE);
  await register(page, long);
  await play(page, 'Watch an ad');
  await total(page, 10);
  await operate(long, 'adjust', { points: 2 ** 53 - 1 - 10 });
  await total(page, '9,007,199,254,740,991');
  for (const width of [320, 390, 950, 1920]) {
    await page.setViewportSize({ width, height: 1080 });
    const seen = await page.evaluate(() => {
      const box = (it) => document.querySelector(it).getBoundingClientRect();
      return { name: box('.own .name').width, inside: box('.own').right - box('.own .score').right,
        button: innerWidth - box('.action button').right, wide: document.documentElement.scrollWidth - innerWidth,
        number: box('#mine').right - box('#mine-rank').right };
    });
    assert.ok(seen.name > 60 && seen.inside > 0 && seen.button > 0 && seen.wide === 0 && seen.number > 0, `${width}: ${JSON.stringify(seen)}`);
    await look(page, `live-large-${width}`);
  }
});

test('a node that goes is told, and another one goes on', async () => {
  let node = new URL(TWO);
  const links = new Set();
  // As a balancer does: to whichever node there is.
  const balancer = createServer((from) => {
    const to = connect(node.port, node.hostname);
    for (const [it, other] of [[from, to], [to, from]]) {
      links.add(it);
      it.pipe(other);
      it.on('error', () => other.destroy()).on('close', () => { links.delete(it); other.destroy(); });
    }
  });
  await new Promise((listens) => balancer.listen(0, '127.0.0.1', listens));
  const { page } = await open(`http://127.0.0.1:${balancer.address().port}`);
  await register(page, 'uma');
  await live(page);
  process.kill(Number(TWO_PID), 'SIGKILL');
  await live(page, 'reconnecting');
  assert.equal(await page.textContent('#connection-text'), 'Reconnecting');
  node = new URL(ONE);
  await live(page);
  assert.equal(await page.textContent('#connection-text'), 'Live');
  await play(page, 'Watch an ad');
  await total(page, 10);
  for (const it of links) it.destroy();
  await new Promise((closed) => balancer.close(closed));
});
