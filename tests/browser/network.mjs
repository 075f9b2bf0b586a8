// The live page when the network goes, falls silent, or loses an answer: what it says, where, and when it says it no more.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Front } from '../../clients/typescript/test/live/front.mjs';
import { look, open } from './browser.mjs';
import { action, live, play, register, total } from './player.mjs';

const { ONE } = process.env;
const PHONE = { viewport: { width: 390, height: 844 }, isMobile: true, hasTouch: true };

/** A page behind a front that the test can cut. */
async function behind(options) {
  const front = await Front.before(ONE);
  return { front, ...(await open(front.url, options)) };
}

const notice = (page, text) => page.locator('#notice').getByText(text).waitFor();
const said = (page, text) => page.waitForFunction((it) => document.getElementById('said').textContent.startsWith(it), text);
/** All of an element is in sight. */
const inSight = (page, selector) => page.$eval(selector, (it) => {
  const { top, bottom } = it.getBoundingClientRect();
  return top >= 0 && bottom <= innerHeight;
});

for (const [who, isPlayer] of [['a player', true], ['a spectator', false]]) {
  test(`${who} whose device goes offline is told so, where the board is and since when`, async () => {
    const { page, context, front } = await behind(PHONE);
    if (isPlayer) await register(page, 'ivan');
    await live(page);
    await page.evaluate(() => scrollTo(0, document.body.scrollHeight));
    front.to(null);
    front.cut();
    await context.setOffline(true);
    await live(page, 'offline');
    await notice(page, /^Offline\. Board as of \d\d:\d\d\.$/);
    await said(page, 'Offline.');
    assert.ok(await inSight(page, '#notice'));
    await look(page, `live-offline-${isPlayer ? 'player' : 'spectator'}`);
    if (isPlayer) {
      await play(page, 'Watch an ad');
      await action(page, 'Watch an ad').getByText('Can’t reach the server. No points were lost. Try again.').waitFor();
    }
    front.to(ONE);
    await context.setOffline(false);
    await live(page);
    await page.waitForSelector('#notice', { state: 'hidden' });
    await said(page, 'Live again.');
    assert.equal(await page.locator('.about.bad').count(), 0, 'what failed for want of a network is an error no more');
    if (isPlayer) {
      await play(page, 'Watch an ad');
      await total(page, 10);
    }
    front.close();
  });

  test(`${who} whose connection brings nothing any more is told so, and comes back`, async () => {
    const { page, front } = await behind();
    if (isPlayer) await register(page, 'jane');
    await live(page);
    front.to(null);
    front.freeze();
    await live(page, 'reconnecting');
    await notice(page, /^Reconnecting\. Board as of \d\d:\d\d\.$/);
    await said(page, 'Reconnecting.');
    front.to(ONE);
    await live(page);
    await page.waitForSelector('#notice', { state: 'hidden' });
    front.close();
  });
}

test('a connection that is lost is no news yet: another node may take it over', async () => {
  const { page, front } = await behind();
  await live(page);
  await page.evaluate(() => {
    const [pill, notice] = ['connection', 'notice'].map((id) => document.getElementById(id));
    globalThis.quiet = [];
    new MutationObserver(() => globalThis.quiet.push([pill.dataset.state, notice.hidden])).observe(pill, { attributeFilter: ['data-state'] });
  });
  front.cut();
  await page.waitForFunction(() => globalThis.quiet.some(([state]) => state === 'open'));
  const states = await page.evaluate(() => globalThis.quiet);
  assert.deepEqual([states[0], states.at(-1)], [['reconnecting', true], ['open', true]]);
  front.close();
});

test('a server that may not know the newest board is told of, and since when', async () => {
  const { page, assertQuiet } = await open(ONE);
  await page.addInitScript(() => {
    const { fetch } = globalThis;
    const body = new ReadableStream({ start: (it) => { globalThis.stream = it; } });
    globalThis.fetch = (url, init) => (String(url).endsWith('/stream') ? Promise.resolve(new Response(body)) : fetch(url, init));
  });
  await page.goto(ONE);
  const tell = (event, data) => page.evaluate((it) => globalThis.stream.enqueue(new TextEncoder().encode(`data: ${it}\n\n`)), JSON.stringify({ event, data }));
  await tell('connect_success', {});
  await live(page);
  await tell('status', { degraded: true, asOf: '2026-11-30T22:25:00.000Z' });
  await notice(page, /^The server is catching up\. Board as of \d\d:\d5\.$/);
  assert.equal(await page.textContent('#connection-text'), 'Catching up');
  await said(page, 'The server is catching up.');
  await tell('status', { degraded: false, asOf: '2026-11-30T22:26:00.000Z' });
  await live(page);
  await page.waitForSelector('#notice', { state: 'hidden' });
  assertQuiet();
});

test('what failed is an error no more once anything succeeds, and another player does not see it', async () => {
  const { page, assertQuiet } = await open(ONE);
  await register(page, 'kate');
  await page.route('**/api/v1/actions/init', (route) => route.abort(), { times: 5 });
  await play(page, 'Watch an ad');
  await action(page, 'Watch an ad').getByText('Can’t reach the server.').waitFor();
  await play(page, 'Solve a puzzle');
  await total(page, 15);
  assert.equal(await page.locator('.about.bad').count(), 0);

  await page.route('**/api/v1/actions/init', (route) => route.fulfill({
    status: 400, json: { data: null, message: 'Unknown action.', statusCode: 400, metadata: { errorCode: 'INVALID_ACTION' } },
  }), { times: 1 });
  await play(page, 'Watch an ad');
  await action(page, 'Watch an ad').getByText('Unknown action.').waitFor();
  await play(page, 'Solve a puzzle');
  await total(page, 30);
  assert.equal(await action(page, 'Watch an ad').getByText('Unknown action.').count(), 1, 'a refusal stays true');
  await page.click('#leave');
  assert.equal(await page.locator('.about.bad').count(), 0);

  await page.click('#door-login');
  await page.fill('[name=username]', 'kate');
  await page.fill('[name=password]', 'correct horse');
  await page.route('**/api/auth/login', (route) => route.abort(), { times: 1 });
  await page.click('#door-go');
  await page.getByText('Can’t reach the server. Try again.').waitFor();
  await page.click('#door-go');
  await total(page, 30);
  await page.click('#leave');
  assert.equal(await page.locator('#door .problem:visible').count(), 0, 'the form is as new');
  assertQuiet();
});

test('a limit of the server outlasts a rate limit', async () => {
  const { page } = await open(ONE);
  await register(page, 'lena');
  await play(page, 'Daily bonus');
  const bonus = action(page, 'Daily bonus');
  await bonus.getByText('Done for today').waitFor();
  await page.route('**/api/v1/actions/init', (route) => route.fulfill({
    status: 429, headers: { 'retry-after': '3' },
    json: { data: null, message: 'Too many.', statusCode: 429, metadata: { errorCode: 'RATE_LIMIT_EXCEEDED' } },
  }), { times: 1 });
  await play(page, 'Watch an ad');
  await action(page, 'Watch an ad').getByText('Too many at once.').waitFor();
  await bonus.getByText('Done for today').waitFor();
  await action(page, 'Watch an ad').getByText('+10').waitFor();
  assert.equal(await bonus.getByRole('button').getAttribute('aria-disabled'), 'true');
  await bonus.getByText('Done for today').waitFor();
});

test('a question whose time runs out says so', async () => {
  const { page } = await open(ONE);
  await register(page, 'mona');
  await page.route('**/api/v1/actions/init', async (route) => {
    const response = await route.fetch();
    await route.fulfill({ response, json: { ...(await response.json()), expiresIn: 1 } });
  });
  await play(page, 'Answer a question');
  await action(page, 'Answer a question').getByText('Time is up. This question is gone. Play again for a new one.').waitFor();
  await said(page, 'Time is up.');
  assert.equal(await page.locator('#quiz[open]').count(), 0);
});
