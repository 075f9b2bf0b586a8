// The API documentation: reading and trying, on a desktop and a phone, in light and dark.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { inspect, open } from './browser.mjs';

const { ONE } = process.env;
const PHONE = { viewport: { width: 390, height: 844 }, isMobile: true, hasTouch: true };

/** Opens the REST part. It draws every operation, which is slow, so few tests open it. */
async function openRest(options) {
  const opened = await open(`${ONE}/docs`, options);
  await opened.page.locator('.opblock').first().waitFor();
  return opened;
}

const openSockets = () => open(`${ONE}/docs#sockets`);

/** Logs in or registers in the bar. */
async function enter(page, username, button) {
  await page.getByLabel('Username').fill(username);
  await page.getByLabel('Password').fill('correct horse');
  await page.getByRole('button', { name: button, exact: true }).click();
  await page.getByText(`Logged in as ${username}`).waitFor();
}

/** Opens an operation and sends its example. Returns status and body of the response. */
async function tryOut(page, id) {
  const operation = page.locator(`#operations-${id}`);
  await operation.locator('.opblock-summary-control').click();
  await operation.getByRole('button', { name: 'Try it out' }).click();
  await operation.getByRole('button', { name: 'Execute' }).click();
  const response = operation.locator('.live-responses-table .response');
  await response.waitFor();
  const text = await response.locator('.highlight-code').first().innerText();
  return { operation, status: (await response.locator('.response-col_status').innerText()).trim(), text };
}

/** True if nothing is wider than the screen. */
const fits = (page) => page.evaluate(() => document.documentElement.scrollWidth <= innerWidth);

test('operations are tried with the login of the bar, and errors are shown', async () => {
  const { page, assertQuiet } = await openRest();
  await inspect(page, 'docs-desktop');
  await page.getByLabel('Username').fill('docs_reader');
  await page.getByLabel('Password').fill('short');
  await page.getByRole('button', { name: 'Register', exact: true }).click();
  const problem = page.getByRole('alert');
  await problem.filter({ hasText: 'password' }).waitFor();
  await page.getByLabel('Password').fill('wrong horse');
  await page.getByRole('button', { name: 'Log in', exact: true }).click();
  await problem.filter({ hasText: /credentials|password/i }).waitFor();
  await inspect(page, 'docs-refused');

  await enter(page, 'docs_reader', 'Register');
  const { operation, status, text } = await tryOut(page, 'actions-initAction');
  assert.equal(status, '200', text);
  assert.match(text, /"antiSpamToken": "ey/);
  // The tokens of the examples are replaced by issued ones.
  for (const id of ['actions-finalizeAction', 'game-startGame', 'game-updateScore']) {
    const next = await tryOut(page, id);
    assert.equal(next.status, '200', next.text);
  }
  await operation.scrollIntoViewIfNeeded();
  await inspect(page, 'docs-tried');
  await page.getByRole('button', { name: 'Authorize' }).click();
  await page.getByText('Available authorizations').waitFor();
  await inspect(page, 'docs-authorize');
  await page.locator('.close-modal').click();
  await page.getByRole('button', { name: 'Log out' }).click();
  await operation.getByRole('button', { name: 'Execute' }).click();
  await operation.getByText('"UNAUTHORIZED"', { exact: false }).first().waitFor();

  // A stream cannot be tried as a request.
  const stream = page.locator('#operations-realtime-streamEvents');
  await stream.locator('.opblock-summary-control').click();
  await stream.getByText('Events, until the connection closes').waitFor();
  assert.equal(await stream.getByRole('button', { name: 'Try it out' }).count(), 0);
  assertQuiet();
});

for (const [name, options] of [['phone', PHONE], ['dark', { colorScheme: 'dark' }]]) {
  test(`operations can be read and tried: ${name}`, async () => {
    const { page, assertQuiet } = await openRest(options);
    await inspect(page, `docs-${name}`);
    await enter(page, `docs_${name}`, 'Register');
    const { status } = await tryOut(page, 'actions-initAction');
    assert.equal(status, '200');
    assert.ok(await fits(page));
    await inspect(page, `docs-${name}-tried`);
    await page.getByRole('link', { name: 'Sockets' }).click();
    await page.locator('.message summary').nth(1).click();
    await page.evaluate(() => scrollTo(0, 0));
    assert.ok(await fits(page));
    await inspect(page, `docs-${name}-sockets`);
    assertQuiet();
  });
}

test('a reload forgets the token, and the theme can be chosen', async () => {
  const { page, context, assertQuiet } = await openRest();
  await enter(page, 'docs_leaver', 'Register');
  assert.deepEqual(await page.evaluate(() => [Object.keys(localStorage), Object.keys(sessionStorage)]), [[], []]);
  assert.deepEqual(await context.cookies(), []);
  await page.reload();
  await page.getByLabel('Username').waitFor();

  const light = await page.evaluate(() => getComputedStyle(document.documentElement).backgroundColor);
  await page.getByRole('button', { name: 'Use dark colors' }).click();
  // Colors change over a millisecond even where motion is reduced.
  await page.waitForFunction((before) => getComputedStyle(document.documentElement).backgroundColor !== before, light);
  assert.ok(await page.evaluate(() => document.documentElement.classList.contains('dark-mode')));
  assertQuiet();
});

for (const transport of ['webSocket', 'stream']) {
  test(`a board arrives by ${transport} after an award`, async () => {
    const { page, assertQuiet } = await openSockets();
    const requests = [];
    page.on('request', (request) => requests.push(request.url()));
    const username = `docs_${transport.toLowerCase()}`;
    await enter(page, username, 'Register');
    await page.getByLabel('Transport').selectOption(transport);
    await page.getByRole('button', { name: 'Connect', exact: true }).click();
    const events = page.getByRole('log');
    await events.getByText('connect_success', { exact: true }).waitFor();
    await page.getByRole('button', { name: 'Play an action' }).click();
    const board = events.getByRole('listitem').filter({ hasText: 'leaderboard_updated' });
    await board.filter({ hasText: `"username": "${username}"` }).first().waitFor();
    await events.getByText('score_personal', { exact: true }).waitFor();
    await inspect(page, `docs-${transport.toLowerCase()}`);
    await page.getByRole('button', { name: 'Disconnect' }).click();
    await page.getByText('Not connected').waitFor();
    assert.deepEqual(requests.filter((url) => /access_token|=ey/.test(url)), [], 'no URL contains the login');
    assertQuiet();
  });
}

test('a spectator receives boards, sees all messages, and has no WebSocket', async () => {
  const { page, assertQuiet } = await openSockets();
  await page.getByRole('option', { name: 'needs a login' }).waitFor({ state: 'attached' });
  await page.getByRole('button', { name: 'Connect', exact: true }).click();
  await page.getByRole('log').getByText('leaderboard_updated', { exact: true }).waitFor();
  assert.equal(await page.getByRole('button', { name: 'Play an action' }).isVisible(), false);

  // Every message of the document is on the page.
  const api = await (await page.request.get(`${ONE}/asyncapi.json`)).json();
  const operations = Object.values(api.operations);
  await page.locator('.message').first().waitFor();
  assert.equal(await page.locator('.message').count(), operations.flatMap((operation) => operation.messages).length);
  const closes = Object.values(api.channels).flatMap((channel) => channel['x-closes']);
  assert.equal(await page.locator('.channel > .scrolls tbody tr').count(), closes.length);
  await page.locator('.message summary', { hasText: 'leaderboard_updated' }).first().click();
  await page.getByText('data[].rank').first().waitFor();
  assertQuiet();
});
