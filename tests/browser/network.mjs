// The live page when the network is lost, goes silent or loses a response: what it shows, and until when.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { TcpProxy } from '../../clients/typescript/test/live/proxy.mjs';
import { inspect, open } from './browser.mjs';
import { action, showsState, play, register, showsScore } from './live-helpers.mjs';

const { ONE } = process.env;
const PHONE = { viewport: { width: 390, height: 844 }, isMobile: true, hasTouch: true };

/** Opens the page through a proxy that the test can cut. */
async function openByProxy(options) {
  const proxy = await TcpProxy.start(ONE);
  return { proxy, ...(await open(proxy.url, options)) };
}

const showsNotice = (page, text) => page.locator('#notice').getByText(text).waitFor();
const announces = (page, text) => page.waitForFunction((start) => document.getElementById('announcement').textContent.startsWith(start), text);
/** True if the whole height of an element is in the window. */
const isInView = (page, selector) => page.$eval(selector, (element) => {
  const { top, bottom } = element.getBoundingClientRect();
  return top >= 0 && bottom <= innerHeight;
});

test('a board keeps its entries without the network, and says how old they are', async () => {
  const { page, context, proxy } = await openByProxy(PHONE);
  await register(page, 'hugo');
  await play(page, 'Watch an ad');
  await page.getByRole('tab', { name: 'Today' }).click();
  const own = page.locator('#entries .own', { hasText: 'hugo' });
  await own.waitFor();
  proxy.setTarget(null);
  proxy.cut();
  await context.setOffline(true);
  await page.locator('#board-note').getByText(/^Can’t reach the server\. Entries as of \d\d:\d\d\.$/).waitFor();
  assert.ok(await own.isVisible());
  proxy.setTarget(ONE);
  await context.setOffline(false);
  await page.locator('#board-note').getByText(/^\d+ players?$/).waitFor();
  proxy.close();
});

for (const [who, isPlayer] of [['a player', true], ['a spectator', false]]) {
  test(`${who} sees that the device is offline, and the age of the board`, async () => {
    const { page, context, proxy } = await openByProxy(PHONE);
    if (isPlayer) await register(page, 'ivan');
    await showsState(page);
    await page.evaluate(() => scrollTo(0, document.body.scrollHeight));
    proxy.setTarget(null);
    proxy.cut();
    await context.setOffline(true);
    await showsState(page, 'offline');
    await showsNotice(page, /^Offline\. Board as of \d\d:\d\d\.$/);
    await announces(page, 'Offline.');
    assert.ok(await isInView(page, '#notice'));
    await inspect(page, `live-offline-${isPlayer ? 'player' : 'spectator'}`);
    if (isPlayer) {
      await play(page, 'Watch an ad');
      await action(page, 'Watch an ad').getByText('Can’t reach the server. No points were lost. Try again.').waitFor();
    }
    proxy.setTarget(ONE);
    await context.setOffline(false);
    await showsState(page);
    await page.waitForSelector('#notice', { state: 'hidden' });
    await announces(page, 'Live again.');
    assert.equal(await page.locator('.status.bad').count(), 0, 'network errors are gone');
    if (isPlayer) {
      await play(page, 'Watch an ad');
      await showsScore(page, 10);
    }
    proxy.close();
  });

  test(`${who} sees that a connection is dead, and reconnects`, async () => {
    const { page, proxy } = await openByProxy();
    if (isPlayer) await register(page, 'jane');
    await showsState(page);
    proxy.setTarget(null);
    proxy.freeze();
    await showsState(page, 'reconnecting');
    await showsNotice(page, /^Reconnecting\. Board as of \d\d:\d\d\.$/);
    await announces(page, 'Reconnecting.');
    proxy.setTarget(ONE);
    await showsState(page);
    await page.waitForSelector('#notice', { state: 'hidden' });
    proxy.close();
  });
}

test('a lost connection is no notice yet: another node may take over', async () => {
  const { page, proxy } = await openByProxy();
  await showsState(page);
  await page.evaluate(() => {
    const [pill, notice] = ['connection', 'notice'].map((id) => document.getElementById(id));
    globalThis.changes = [];
    new MutationObserver(() => globalThis.changes.push([pill.dataset.state, notice.hidden])).observe(pill, { attributeFilter: ['data-state'] });
  });
  proxy.cut();
  await page.waitForFunction(() => globalThis.changes.some(([state]) => state === 'open'));
  const states = await page.evaluate(() => globalThis.changes);
  assert.deepEqual([states[0], states.at(-1)], [['reconnecting', true], ['open', true]]);
  proxy.close();
});

test('a server that may not have the newest board is reported, with the time of the board', async () => {
  const { page, assertQuiet } = await open(ONE);
  await page.addInitScript(() => {
    const { fetch } = globalThis;
    const body = new ReadableStream({ start: (controller) => { globalThis.stream = controller; } });
    globalThis.fetch = (url, init) => (String(url).endsWith('/stream') ? Promise.resolve(new Response(body)) : fetch(url, init));
  });
  await page.goto(ONE);
  const send = (event, data) => page.evaluate((text) => globalThis.stream.enqueue(new TextEncoder().encode(`data: ${text}\n\n`)), JSON.stringify({ event, data }));
  await send('connect_success', {});
  await showsState(page);
  await send('status', { degraded: true, asOf: '2026-11-30T22:25:00.000Z' });
  await showsNotice(page, /^The server is catching up\. Board as of \d\d:\d5\.$/);
  assert.equal(await page.textContent('#connection-text'), 'Catching up');
  await announces(page, 'The server is catching up.');
  await send('status', { degraded: false, asOf: '2026-11-30T22:26:00.000Z' });
  await showsState(page);
  await page.waitForSelector('#notice', { state: 'hidden' });
  assertQuiet();
});

test('a network error is cleared by a success, and every error by another login', async () => {
  const { page, assertQuiet } = await open(ONE);
  await register(page, 'kate');
  await page.route('**/api/v1/actions/init', (route) => route.abort(), { times: 5 });
  await play(page, 'Watch an ad');
  await action(page, 'Watch an ad').getByText('Can’t reach the server.').waitFor();
  await play(page, 'Solve a puzzle');
  await showsScore(page, 15);
  // The live connection may show the score before the response arrives.
  await action(page, 'Solve a puzzle').getByText('+15').waitFor();
  assert.equal(await page.locator('.status.bad').count(), 0);

  await page.route('**/api/v1/actions/init', (route) => route.fulfill({
    status: 400, json: { data: null, message: 'Unknown action.', statusCode: 400, metadata: { errorCode: 'INVALID_ACTION' } },
  }), { times: 1 });
  await play(page, 'Watch an ad');
  await action(page, 'Watch an ad').getByText('Unknown action.').waitFor();
  await play(page, 'Solve a puzzle');
  await showsScore(page, 30);
  await action(page, 'Solve a puzzle').getByText('+15').waitFor();
  assert.equal(await action(page, 'Watch an ad').getByText('Unknown action.').count(), 1, 'a refusal stays');
  await page.click('#log-out');
  assert.equal(await page.locator('.status.bad').count(), 0);

  await page.click('#sign-in-login');
  await page.fill('[name=username]', 'kate');
  await page.fill('[name=password]', 'correct horse');
  await page.route('**/api/auth/login', (route) => route.abort(), { times: 1 });
  await page.click('#sign-in-submit');
  await page.getByText('Can’t reach the server. Try again.').waitFor();
  await page.click('#sign-in-submit');
  await showsScore(page, 30);
  await page.click('#log-out');
  assert.equal(await page.locator('#sign-in .problem:visible').count(), 0, 'the form is reset');
  assertQuiet();
});

test('an action limit outlasts a rate limit', async () => {
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
  await action(page, 'Watch an ad').getByText('Too many requests.').waitFor();
  await bonus.getByText('Done for today').waitFor();
  await action(page, 'Watch an ad').getByText('+10').waitFor();
  assert.equal(await bonus.getByRole('button').getAttribute('aria-disabled'), 'true');
  await bonus.getByText('Done for today').waitFor();
});

test('a question whose time is up says so', async () => {
  const { page } = await open(ONE);
  await register(page, 'mona');
  await page.route('**/api/v1/actions/init', async (route) => {
    const response = await route.fetch();
    await route.fulfill({ response, json: { ...(await response.json()), expiresIn: 1 } });
  });
  await play(page, 'Answer a question');
  await action(page, 'Answer a question').getByText('Time is up. Play again for a new question.').waitFor();
  await announces(page, 'Time is up.');
  assert.equal(await page.locator('#quiz[open]').count(), 0);
});
