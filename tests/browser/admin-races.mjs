// The admin page when responses are late, fail, or arrive out of order.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { openDialog, showsHeading, logIn, player, until, earn } from './admin-helpers.mjs';
import { open } from './browser.mjs';

const { ONE } = process.env;
const UNAVAILABLE = { status: 503, json: { data: null, message: 'Not right now', statusCode: 503, metadata: {} } };

/** Opens a view as an admin. */
async function openView(hash) {
  const opened = await open(`${ONE}/admin${hash}`);
  await logIn(opened.page, 'root');
  return opened;
}

const success = (data) => ({ status: 200, json: { data, message: 'OK', statusCode: 200 } });

/** Holds the first request to a URL. `release` responds, or fails the request, and waits until the page has handled that. */
async function hold(page, url) {
  let arrive;
  const arrived = new Promise((resolve) => { arrive = resolve; });
  await page.route(url, (route) => arrive(route), { times: 1 });
  return {
    arrived,
    async release(response) {
      const route = await arrived;
      const finished = page.waitForEvent(response ? 'requestfinished' : 'requestfailed', (request) => request === route.request());
      await (response ? route.fulfill(response) : route.abort());
      await finished;
      // The page handles the response before the next frame.
      await page.evaluate(() => new Promise((resolve) => { requestAnimationFrame(() => setTimeout(resolve)); }));
    },
  };
}

test('Enter opens the result of this search, not of the one before', async () => {
  await player('anita');
  const { number } = await player('barbara');
  const { page, assertQuiet } = await openView('#/players');
  const input = page.getByLabel('Find a player');
  await input.fill('anita');
  await page.locator('[data-panel=players]').filter({ has: page.getByRole('heading', { name: 'Results' }) }).getByRole('link', { name: 'anita' }).waitFor();
  await page.route('**/api/admin/users?*search=barbara', (route) => route.fulfill(UNAVAILABLE), { times: 1 });
  await input.fill('barbara');
  await input.press('Enter');
  await page.getByRole('alert').getByText('Not right now').waitFor();
  assert.match(page.url(), /#\/players\?search=barbara$/);

  // Nor the result for a text that has changed since.
  const slow = await hold(page, '**/api/admin/users?*search=anita');
  await input.fill('anita');
  await input.press('Enter');
  await slow.arrived;
  await input.fill('barbara');
  await slow.release();
  await page.getByRole('link', { name: 'barbara' }).waitFor();
  assert.match(page.url(), /#\/players\?search=barbara$/);
  await input.press('Enter');
  await showsHeading(page, 'barbara');
  assert.ok(page.url().endsWith(`#/players/${number}`));
  assertQuiet();
});

const ADDRESS = { suspect: '10.0.0.1', username: null, weight: 5, signals: { forged: 1 }, lastAt: '2026-01-01T00:00:00Z' };
const ONE_HOUR = { players: [], addresses: [ADDRESS], weights: { forged: 10 } };
const evidence = (signal) => ({ suspect: '10.0.0.1', username: null, signals: [{ hour: '2026-01-01T00:00:00Z', signal, count: 1 }], players: [], addresses: [], refused: [] });
const NOBODY_ACTIVE = { from: '2026-01-01T00:00:00Z', users: [] };
const OVERTAKEN = [
  { what: 'the list of suspects', hash: '#/suspects', path: '**/api/admin/suspects?hours=', older: ['168', '7 days'], newer: ['1', '1 hour'], response: ONE_HOUR, expected: '10.0.0.1' },
  { what: 'the evidence', hash: '#/suspects/10.0.0.1', path: '**/api/admin/suspects/10.0.0.1?hours=', older: ['168', '7 days'], newer: ['1', '1 hour'], response: evidence('flooding'), lateResponse: evidence('forged'), expected: 'flooding' },
  { what: 'the most active', hash: '#/overview', path: '**/api/admin/most-active?period=', older: ['week', 'This week'], newer: ['hour', 'This hour'], response: NOBODY_ACTIVE, expected: 'No awards in this period.' },
];

for (const { what, hash, path, older, newer, response, lateResponse, expected } of OVERTAKEN) {
  test(`an older response or error does not replace a newer response: ${what}`, async () => {
    const { page, assertQuiet } = await openView(hash);
    await page.getByRole('button', { name: newer[1] }).waitFor();
    const slow = await hold(page, `${path}${older[0]}*`);
    await page.route(`${path}${newer[0]}&*`, (route) => route.fulfill(success(response)));
    await page.route(`${path}${newer[0]}`, (route) => route.fulfill(success(response)));
    await page.getByRole('button', { name: older[1], exact: true }).and(page.locator(`[data-value="${older[0]}"]`)).click();
    await slow.arrived;
    await page.getByRole('button', { name: newer[1] }).click();
    await page.locator('main').getByText(expected).first().waitFor();
    await slow.release(lateResponse ? success(lateResponse) : UNAVAILABLE);
    assert.ok(await page.locator('main').getByText(expected).first().isVisible());
    assert.equal(await page.getByText('Not right now').count(), 0);
    assertQuiet();
  });
}

test('a history whose first page is slow does not look empty', async () => {
  const { number, token } = await player('slow_reader');
  await earn(token, 1);
  const { page, assertQuiet } = await open(`${ONE}/admin#/players/${number}`);
  const first = await hold(page, '**/history?*');
  await logIn(page, 'root');
  await first.arrived;
  await page.getByRole('group', { name: 'Show' }).getByRole('button', { name: 'All' }).click();
  await until('something is shown', async () => (await page.locator('.history > *').count()) > 0);
  await first.release();
  assert.equal(await page.getByText('No events yet.').count(), 0);
  assert.equal(await page.locator('.history li[data-kind=award]').count(), 1);

  // Nor does one whose first page fails.
  await page.route('**/history?*', (route) => route.fulfill(UNAVAILABLE), { times: 1 });
  await page.reload();
  await page.getByText('Not right now').waitFor();
  assert.equal(await page.getByText('No events yet.').count(), 0);
  await page.getByRole('button', { name: 'Try again' }).click();
  await page.locator('.history li[data-kind=award]').waitFor();
  assertQuiet();
});

test('an admin who left the view sees that an action failed', async () => {
  const { number } = await player('runner');
  const { page, assertQuiet } = await openView(`#/players/${number}`);
  const slow = await hold(page, '**/quarantine');
  const dialog = await openDialog(page, 'quarantine');
  await dialog.getByLabel('Reason').fill('looks odd');
  await dialog.getByRole('button', { name: 'Quarantine' }).click();
  await slow.arrived;
  await page.evaluate(() => { location.hash = '#/audit'; });
  await showsHeading(page, 'Audit log');
  await slow.release();
  await page.getByRole('status').getByText('Quarantine runner: Can’t reach the server. Check your connection. It may have been done.').waitFor();
  assertQuiet();
});

test('a period with the name of an inherited property is the default', async () => {
  const { page, assertQuiet } = await openView('#/overview?period=toString&active=constructor');
  await showsHeading(page, 'Overview');
  await page.locator('.tile').first().waitFor();
  assertQuiet();
});

test('only thousands have commas, and long or right-to-left texts stay in their place', async () => {
  const { number, id } = await player('a_name_as_long_as_a_name_can_be_with_50_characters'.slice(0, 50));
  const { page, assertQuiet } = await openView(`#/players/${number}`);
  await page.setViewportSize({ width: 320, height: 640 });
  const fits = async (what) => assert.deepEqual(await page.evaluate(() => [...document.querySelectorAll('main *')]
    .filter((it) => it.getBoundingClientRect().right > innerWidth).map((it) => it.className || it.tagName)), [], what);
  const dialog = await openDialog(page, 'adjust');
  const inside = () => dialog.evaluate((it) => it.scrollWidth <= it.clientWidth);
  await dialog.getByLabel('Points').fill('−1,5');
  await dialog.getByText('0 → …').waitFor();
  await dialog.getByLabel('Points').fill('9,007,199,254,740,000');
  await dialog.getByText('0 → 9,007,199,254,740,000').waitFor();
  assert.ok(await inside(), 'the preview');
  await dialog.getByLabel('Reason').fill('שלום \u202E');
  await page.route(`**/${id}/history?*`, async (route) => {
    const award = { kind: 'award', at: '2026-01-01T00:00:00Z', actionType: 'watch_ad', points: 9_007_199_254_740_000, scoreAfter: 9_007_199_254_740_000 };
    const adjustment = { kind: 'admin', at: '2026-01-01T00:00:00Z', action: 'adjust', actor: 'root', reason: 'שלום \u202E', detail: { before: 10, after: 40 } };
    await route.fulfill(success({ events: [award, adjustment], next: null }));
  });
  await page.keyboard.press('Escape');
  await page.reload();
  await page.locator('.history li').nth(1).waitFor();
  await fits('a history of large numbers');
  await page.setViewportSize({ width: 800, height: 640 });
  await fits('a history of large numbers, on a tablet');
  const [reason, change] = await page.locator('.history li[data-kind=admin]').evaluate((it) =>
    ['.reason', '.detail'].map((part) => it.querySelector(part).getBoundingClientRect().left));
  assert.ok(reason < change, 'the result is after the reason');
  const ban = await openDialog(page, 'ban');
  await page.setViewportSize({ width: 320, height: 640 });
  assert.ok(await ban.evaluate((it) => it.scrollWidth <= it.clientWidth), 'a long name in a dialog');
  assertQuiet();
});

test('the audit log shows every detail of an action', async () => {
  const { page, assertQuiet } = await openView('#/players');
  const row = (action, reason, detail) => ({ at: '2026-01-01T00:00:00Z', actor: 'cli:root', action, userId: 7, username: 'grace', reason, detail });
  const rows = [
    row('adjust', 'too little', { points: 30, before: 10, after: 40, host: 'web-1' }),
    row('adjust', 'too much', { points: -50, refused: 'out_of_range', host: 'web-1' }),
    row('void', 'forged', { joins: '01930a5b-7c00-7000-8000-0000000000ab' }),
    row('retry_letter', 'fixed', { letter: 12 }),
    row('ban', 'a bot', { host: 'h'.repeat(64) }),
    row('unban', 'no bot', null),
  ];
  await page.route('**/api/admin/audit*', (route) => route.fulfill(success(rows)));
  await page.getByRole('link', { name: 'Audit log' }).click();
  for (const name of [
    'adjust grace too little 10 → 40 (+30) on host web-1', 'adjust grace too much refused: out of range (−50) on host web-1',
    'void grace forged already voided by an earlier action', 'retry letter grace fixed dead letter 12', `ban grace a bot on host ${'h'.repeat(64)}`,
  ]) await page.getByRole('row', { name: `cli:root ${name}` }).waitFor();
  assert.equal(await page.getByRole('row', { name: 'no bot' }).locator('.detail').count(), 0);
  await page.setViewportSize({ width: 320, height: 640 });
  assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= document.documentElement.clientWidth));
  assertQuiet();
});
