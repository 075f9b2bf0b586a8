// The documentation: what there is to read, and to try, on a desktop and on a phone, in light and in dark.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { look, open } from './browser.mjs';

const { ONE } = process.env;
const PHONE = { viewport: { width: 390, height: 844 }, isMobile: true, hasTouch: true };

/** Every operation is drawn: this page is opened no more often than it has to be. */
async function operations(options) {
  const opened = await open(`${ONE}/docs`, options);
  await opened.page.locator('.opblock').first().waitFor();
  return opened;
}

const sockets = () => open(`${ONE}/docs#sockets`);

/** Comes in by the bar, by one of its two flows. */
async function enter(page, username, door) {
  await page.getByLabel('Username').fill(username);
  await page.getByLabel('Password').fill('correct horse');
  await page.getByRole('button', { name: door, exact: true }).click();
  await page.getByText(`Logged in as ${username}`).waitFor();
}

/** Opens an operation and sends its example. Returns the status, and the body of the answer. */
async function tryOut(page, id) {
  const operation = page.locator(`#operations-${id}`);
  await operation.locator('.opblock-summary-control').click();
  await operation.getByRole('button', { name: 'Try it out' }).click();
  await operation.getByRole('button', { name: 'Execute' }).click();
  const answer = operation.locator('.live-responses-table .response');
  await answer.waitFor();
  const text = await answer.locator('.highlight-code').first().innerText();
  return { operation, status: (await answer.locator('.response-col_status').innerText()).trim(), text };
}

/** Nothing is wider than the screen. */
const fits = (page) => page.evaluate(() => document.documentElement.scrollWidth <= innerWidth);

test('an operation is tried with the login of the bar, and what is refused is told', async () => {
  const { page, assertQuiet } = await operations();
  await look(page, 'docs-desktop');
  await page.getByLabel('Username').fill('docs_reader');
  await page.getByLabel('Password').fill('short');
  await page.getByRole('button', { name: 'Register', exact: true }).click();
  const problem = page.getByRole('alert');
  await problem.filter({ hasText: 'password' }).waitFor();
  await page.getByLabel('Password').fill('wrong horse');
  await page.getByRole('button', { name: 'Log in', exact: true }).click();
  await problem.filter({ hasText: /credentials|password/i }).waitFor();
  await look(page, 'docs-refused');

  await enter(page, 'docs_reader', 'Register');
  const { operation, status, text } = await tryOut(page, 'actions-initAction');
  assert.equal(status, '200', text);
  assert.match(text, /"antiSpamToken": "ey/);
  // The examples' tokens give way to those that were issued.
  for (const id of ['actions-finalizeAction', 'game-startGame', 'game-updateScore']) {
    const next = await tryOut(page, id);
    assert.equal(next.status, '200', next.text);
  }
  await operation.scrollIntoViewIfNeeded();
  await look(page, 'docs-tried');
  await page.getByRole('button', { name: 'Authorize' }).click();
  await page.getByText('Available authorizations').waitFor();
  await look(page, 'docs-authorize');
  await page.locator('.close-modal').click();
  await page.getByRole('button', { name: 'Log out' }).click();
  await operation.getByRole('button', { name: 'Execute' }).click();
  await operation.getByText('"UNAUTHORIZED"', { exact: false }).first().waitFor();

  // What never ends is not tried as a request.
  const stream = page.locator('#operations-realtime-streamEvents');
  await stream.locator('.opblock-summary-control').click();
  await stream.getByText('Events, until the connection closes').waitFor();
  assert.equal(await stream.getByRole('button', { name: 'Try it out' }).count(), 0);
  assertQuiet();
});

for (const [name, options] of [['phone', PHONE], ['dark', { colorScheme: 'dark' }]]) {
  test(`it is read and tried: ${name}`, async () => {
    const { page, assertQuiet } = await operations(options);
    await look(page, `docs-${name}`);
    await enter(page, `docs_${name}`, 'Register');
    const { status } = await tryOut(page, 'actions-initAction');
    assert.equal(status, '200');
    assert.ok(await fits(page));
    await look(page, `docs-${name}-tried`);
    await page.getByRole('link', { name: 'Sockets' }).click();
    await page.locator('.message summary').nth(1).click();
    await page.evaluate(() => scrollTo(0, 0));
    assert.ok(await fits(page));
    await look(page, `docs-${name}-sockets`);
    assertQuiet();
  });
}

test('the token is gone with the page, and the colours can be chosen', async () => {
  const { page, context, assertQuiet } = await operations();
  await enter(page, 'docs_leaver', 'Register');
  assert.deepEqual(await page.evaluate(() => [Object.keys(localStorage), Object.keys(sessionStorage)]), [[], []]);
  assert.deepEqual(await context.cookies(), []);
  await page.reload();
  await page.getByLabel('Username').waitFor();

  const light = await page.evaluate(() => getComputedStyle(document.documentElement).backgroundColor);
  await page.getByRole('button', { name: 'Use dark colours' }).click();
  // Colors change over a millisecond even where motion is reduced.
  await page.waitForFunction((before) => getComputedStyle(document.documentElement).backgroundColor !== before, light);
  assert.ok(await page.evaluate(() => document.documentElement.classList.contains('dark-mode')));
  assertQuiet();
});

for (const way of ['webSocket', 'stream']) {
  test(`a board arrives by ${way} after an award`, async () => {
    const { page, assertQuiet } = await sockets();
    const asked = [];
    page.on('request', (request) => asked.push(request.url()));
    const username = `docs_${way.toLowerCase()}`;
    await enter(page, username, 'Register');
    await page.getByLabel('Listen by').selectOption(way);
    await page.getByRole('button', { name: 'Connect', exact: true }).click();
    const heard = page.getByRole('log');
    await heard.getByText('connect_success', { exact: true }).waitFor();
    await page.getByRole('button', { name: 'Do an action' }).click();
    const board = heard.getByRole('listitem').filter({ hasText: 'leaderboard_updated' });
    await board.filter({ hasText: `"username": "${username}"` }).first().waitFor();
    await heard.getByText('score_personal', { exact: true }).waitFor();
    await look(page, `docs-${way.toLowerCase()}`);
    await page.getByRole('button', { name: 'Disconnect' }).click();
    await page.getByText('Not connected').waitFor();
    assert.deepEqual(asked.filter((it) => /access_token|=ey/.test(it)), [], 'an address is no place for a login');
    assertQuiet();
  });
}

test('a spectator reads boards and messages, and has no WebSocket', async () => {
  const { page, assertQuiet } = await sockets();
  await page.getByRole('option', { name: 'needs a login' }).waitFor({ state: 'attached' });
  await page.getByRole('button', { name: 'Connect', exact: true }).click();
  await page.getByRole('log').getByText('leaderboard_updated', { exact: true }).waitFor();
  assert.equal(await page.getByRole('button', { name: 'Do an action' }).isVisible(), false);

  // Every message of the document is there to read.
  const api = await (await page.request.get(`${ONE}/asyncapi.json`)).json();
  const operations = Object.values(api.operations);
  await page.locator('.message').first().waitFor();
  assert.equal(await page.locator('.message').count(), operations.flatMap((it) => it.messages).length);
  const closes = Object.values(api.channels).flatMap((it) => it['x-closes']);
  assert.equal(await page.locator('.channel > .scrolls tbody tr').count(), closes.length);
  await page.locator('.message summary', { hasText: 'leaderboard_updated' }).first().click();
  await page.getByText('data[].rank').first().waitFor();
  assertQuiet();
});
