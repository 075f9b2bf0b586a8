// The operators' page when answers are late, fail, or come in another order than they were asked for.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { deed, heading, logIn, player, until, win } from './operator.mjs';
import { open } from './browser.mjs';

const { ONE } = process.env;
const AWAY = { status: 503, json: { data: null, message: 'Not for the moment', statusCode: 503, metadata: {} } };

/** An operator at a place. */
async function operator(hash) {
  const opened = await open(`${ONE}/admin${hash}`);
  await logIn(opened.page, 'root');
  return opened;
}

const answered = (data) => ({ status: 200, json: { data, message: 'As you see', statusCode: 200 } });

/** Holds the first request of a kind; `release` gives its answer, or lets it be lost, and waits until the page has it. */
async function hold(page, url) {
  let asked;
  const held = new Promise((resolve) => { asked = resolve; });
  await page.route(url, (route) => asked(route), { times: 1 });
  return {
    asked: held,
    async release(answer) {
      const route = await held;
      const over = page.waitForEvent(answer ? 'requestfinished' : 'requestfailed', (it) => it === route.request());
      await (answer ? route.fulfill(answer) : route.abort());
      await over;
      // What the page makes of it is done before it is painted anew.
      await page.evaluate(() => new Promise((resolve) => { requestAnimationFrame(() => setTimeout(resolve)); }));
    },
  };
}

test('Enter opens whom this search found, not whom the one before did', async () => {
  await player('anita');
  const { number } = await player('barbara');
  const { page, assertQuiet } = await operator('#/players');
  const input = page.getByLabel('Find a player');
  await input.fill('anita');
  await page.locator('[data-panel=players]').filter({ has: page.getByRole('heading', { name: 'Found' }) }).getByRole('link', { name: 'anita' }).waitFor();
  await page.route('**/api/admin/users?*search=barbara', (route) => route.fulfill(AWAY), { times: 1 });
  await input.fill('barbara');
  await input.press('Enter');
  await page.getByRole('alert').getByText('Not for the moment').waitFor();
  assert.match(page.url(), /#\/players\?search=barbara$/);

  // Nor is the one found for a text that is no longer there.
  const slow = await hold(page, '**/api/admin/users?*search=anita');
  await input.fill('anita');
  await input.press('Enter');
  await slow.asked;
  await input.fill('barbara');
  await slow.release();
  await page.getByRole('link', { name: 'barbara' }).waitFor();
  assert.match(page.url(), /#\/players\?search=barbara$/);
  await input.press('Enter');
  await heading(page, 'barbara');
  assert.ok(page.url().endsWith(`#/players/${number}`));
  assertQuiet();
});

const ADDRESS = { suspect: '10.0.0.1', username: null, weight: 5, signs: { forged: 1 }, lastAt: '2026-01-01T00:00:00Z' };
const ONE_HOUR = { players: [], addresses: [ADDRESS], weights: { forged: 10 } };
const SEEN = (sign) => ({ suspect: '10.0.0.1', username: null, signs: [{ hour: '2026-01-01T00:00:00Z', sign, count: 1 }], players: [], addresses: [], refused: [] });
const MOST = { from: '2026-01-01T00:00:00Z', users: [] };
const OUTRUN = [
  { what: 'the list of suspects', hash: '#/suspects', path: '**/api/admin/suspects?hours=', older: ['168', '7 days'], newer: ['1', '1 hour'], answer: ONE_HOUR, sign: '10.0.0.1' },
  { what: 'the evidence', hash: '#/suspects/10.0.0.1', path: '**/api/admin/suspects/10.0.0.1?hours=', older: ['168', '7 days'], newer: ['1', '1 hour'], answer: SEEN('flooding'), late: SEEN('forged'), sign: 'flooding' },
  { what: 'the most active', hash: '#/overview', path: '**/api/admin/most-active?period=', older: ['week', 'Week'], newer: ['hour', 'This hour'], answer: MOST, sign: 'Nobody won anything' },
];

for (const { what, hash, path, older, newer, answer, late, sign } of OUTRUN) {
  test(`an older answer, or why there is none, does not replace a newer one: ${what}`, async () => {
    const { page, assertQuiet } = await operator(hash);
    await page.getByRole('button', { name: newer[1] }).waitFor();
    const slow = await hold(page, `${path}${older[0]}*`);
    await page.route(`${path}${newer[0]}&*`, (route) => route.fulfill(answered(answer)));
    await page.route(`${path}${newer[0]}`, (route) => route.fulfill(answered(answer)));
    await page.getByRole('button', { name: older[1], exact: true }).and(page.locator(`[data-value="${older[0]}"]`)).click();
    await slow.asked;
    await page.getByRole('button', { name: newer[1] }).click();
    await page.locator('main').getByText(sign).first().waitFor();
    await slow.release(late ? answered(late) : AWAY);
    assert.ok(await page.locator('main').getByText(sign).first().isVisible());
    assert.equal(await page.getByText('Not for the moment').count(), 0);
    assertQuiet();
  });
}

test('a history whose first page is slow is not said to be empty', async () => {
  const { number, token } = await player('slow_reader');
  await win(token, 1);
  const { page, assertQuiet } = await open(`${ONE}/admin#/players/${number}`);
  const first = await hold(page, '**/history?*');
  await logIn(page, 'root');
  await first.asked;
  await page.getByRole('group', { name: 'Show' }).getByRole('button', { name: 'All' }).click();
  await until('something is shown', async () => (await page.locator('.history > *').count()) > 0);
  await first.release();
  assert.equal(await page.getByText('Nothing happened yet.').count(), 0);
  assert.equal(await page.locator('.history li[data-kind=award]').count(), 1);

  // Nor one that did not come at all.
  await page.route('**/history?*', (route) => route.fulfill(AWAY), { times: 1 });
  await page.reload();
  await page.getByText('Not for the moment').waitFor();
  assert.equal(await page.getByText('Nothing happened yet.').count(), 0);
  await page.getByRole('button', { name: 'Try again' }).click();
  await page.locator('.history li[data-kind=award]').waitFor();
  assertQuiet();
});

test('whoever went on before a deed failed is told so', async () => {
  const { number } = await player('runner');
  const { page, assertQuiet } = await operator(`#/players/${number}`);
  const slow = await hold(page, '**/quarantine');
  const dialog = await deed(page, 'quarantine');
  await dialog.getByLabel('Reason').fill('looks odd');
  await dialog.getByRole('button', { name: 'Set aside' }).click();
  await slow.asked;
  await page.evaluate(() => { location.hash = '#/audit'; });
  await heading(page, 'Audit');
  await slow.release();
  await page.getByRole('status').getByText('Set runner aside: No answer came. Is the network there? It may have been done.').waitFor();
  assertQuiet();
});

test('a period that names what every object has is the usual one', async () => {
  const { page, assertQuiet } = await operator('#/overview?period=toString&active=constructor');
  await heading(page, 'Overview');
  await page.locator('.tile').first().waitFor();
  assertQuiet();
});

test('only thousands have commas, and what is long or from right to left stays in its place', async () => {
  const { number, id } = await player('a_name_as_long_as_a_name_can_be_with_50_characters'.slice(0, 50));
  const { page, assertQuiet } = await operator(`#/players/${number}`);
  await page.setViewportSize({ width: 320, height: 640 });
  const fits = async (what) => assert.deepEqual(await page.evaluate(() => [...document.querySelectorAll('main *')]
    .filter((it) => it.getBoundingClientRect().right > innerWidth).map((it) => it.className || it.tagName)), [], what);
  const dialog = await deed(page, 'adjust');
  const inside = () => dialog.evaluate((it) => it.scrollWidth <= it.clientWidth);
  await dialog.getByLabel('Points').fill('−1,5');
  await dialog.getByText('0 → …').waitFor();
  await dialog.getByLabel('Points').fill('9,007,199,254,740,000');
  await dialog.getByText('0 → 9,007,199,254,740,000').waitFor();
  assert.ok(await inside(), 'the preview');
  await dialog.getByLabel('Reason').fill('שלום \u202E');
  await page.route(`**/${id}/history?*`, async (route) => {
    const award = { kind: 'award', at: '2026-01-01T00:00:00Z', actionType: 'watch_ad', points: 9_007_199_254_740_000, scoreAfter: 9_007_199_254_740_000 };
    const done = { kind: 'admin', at: '2026-01-01T00:00:00Z', action: 'adjust', actor: 'root', reason: 'שלום \u202E', detail: { before: 10, after: 40 } };
    await route.fulfill(answered({ events: [award, done], next: null }));
  });
  await page.keyboard.press('Escape');
  await page.reload();
  await page.locator('.history li').nth(1).waitFor();
  await fits('a history of great numbers');
  await page.setViewportSize({ width: 800, height: 640 });
  await fits('a history of great numbers, on a tablet');
  const [reason, change] = await page.locator('.history li[data-kind=admin]').evaluate((it) =>
    ['.reason', '.detail'].map((part) => it.querySelector(part).getBoundingClientRect().left));
  assert.ok(reason < change, 'what came of it stands behind the reason');
  const ban = await deed(page, 'ban');
  await page.setViewportSize({ width: 320, height: 640 });
  assert.ok(await ban.evaluate((it) => it.scrollWidth <= it.clientWidth), 'a long name in a dialog');
  assertQuiet();
});
