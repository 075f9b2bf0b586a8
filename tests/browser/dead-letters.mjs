// Dead letters on the admin page: outbox entries that cannot be written to the ledger are shown, retried or discarded.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { call, showsHeading, logIn, player, until } from './admin-helpers.mjs';
import { inspect, open } from './browser.mjs';

const { ONE } = process.env;

/** Opens the dead letters as an admin. */
async function openDeadLetters(screen) {
  const opened = await open(`${ONE}/admin#/letters`, screen);
  await logIn(opened.page, 'root');
  await showsHeading(opened.page, 'Dead letters');
  return opened;
}

const rowOf = (page, text) => page.getByRole('row').filter({ hasText: text });

/** Reloads until a row has a text. */
async function showsRow(page, row, text) {
  await until(`a row with ${text}`, async () => {
    await page.reload();
    await page.locator('[data-panel=letters] .body > :not(.loading)').waitFor();
    return (await row.filter({ hasText: text }).count()) === 1;
  });
}

async function decide(row, decision, reason) {
  await row.getByLabel('Reason').fill(reason);
  await row.getByRole('button', { name: decision }).click();
}

test('a dead letter is retried until it succeeds, and another one is discarded', async () => {
  const { number, token } = await player('grace');
  const { antiSpamToken } = await call(ONE, 'POST', '/api/v1/actions/init', { actionType: 'solve_puzzle' }, token);
  await call(ONE, 'POST', '/api/v1/actions/finalize', { antiSpamToken }, token);

  const { page, assertQuiet } = await openDeadLetters();
  const [lost, unreadable] = [rowOf(page, 'grace'), rowOf(page, 'unheard-of')];
  await showsRow(page, lost, 'awarded +15');
  await showsRow(page, unreadable, 'waiting');
  await lost.getByText('refused').first().waitFor();
  // The raw entry is text, not markup.
  await unreadable.getByText('Raw entry').click();
  await unreadable.getByText('<b>bold</b>').waitFor();
  assert.equal(await page.locator('main td b').count(), 0);
  await inspect(page, 'admin-letters-desktop');

  const requests = [];
  page.on('request', (request) => { if (request.method() === 'POST') requests.push(request.url()); });
  await lost.getByRole('button', { name: 'retry' }).click();
  assert.equal(await lost.getByLabel('Reason').evaluate((input) => input.validity.valueMissing), true);
  assert.deepEqual(requests, [], 'nothing is sent without a reason');
  await decide(lost, 'retry', '   ');
  await lost.getByRole('alert').getByText('reason').waitFor();

  await decide(lost, 'retry', 'perhaps it works now');
  await page.getByRole('status').getByText(/Dead letter \d+ is retrying\./).waitFor();
  await showsRow(page, lost, 'waiting');
  await lost.getByText('root: perhaps it works now').waitFor();
  await decide(lost, 'retry', 'it was fixed');
  await page.getByRole('status').getByText(/Dead letter \d+ is retrying\./).waitFor();
  await until('it is written', async () => {
    await page.reload();
    await unreadable.waitFor();
    return (await lost.count()) === 0;
  });

  // Another admin decides about the same letter.
  const other = await openDeadLetters();
  await rowOf(other.page, 'unheard-of').waitFor();
  await decide(unreadable, 'discard', `somebody wrote into the outbox by hand ${'x'.repeat(300)}`);
  await page.getByRole('status').getByText(/Dead letter \d+ is discarded\./).waitFor();
  await page.getByText('No dead letters are waiting.').waitFor();
  await decide(rowOf(other.page, 'unheard-of'), 'retry', 'let us see');
  await rowOf(other.page, 'unheard-of').getByRole('alert').getByText('is discarded').waitFor();
  other.assertQuiet();

  await page.getByRole('button', { name: 'All', exact: true }).click();
  await lost.getByText(/^written/).waitFor();
  await unreadable.getByText(/^discarded/).waitFor();
  await unreadable.getByText('root: somebody wrote into the outbox by hand xxx').waitFor();
  assert.equal(await page.getByLabel('Reason').count(), 0, 'decided letters have no form');
  await lost.getByRole('link', { name: 'grace' }).click();
  await showsHeading(page, 'grace');
  assert.ok(page.url().endsWith(`#/players/${number}`));
  await page.locator('.history li[data-kind=award]').getByText('+15').waitFor();
  await page.getByRole('link', { name: 'Audit log' }).click();
  await page.getByRole('row', { name: /root retry letter grace it was fixed/ }).waitFor();
  assertQuiet();
});

test('dead letters fit a phone', async () => {
  const { page, assertQuiet } = await openDeadLetters({ viewport: { width: 390, height: 844 }, deviceScaleFactor: 2, hasTouch: true });
  await page.getByRole('button', { name: 'All', exact: true }).click();
  await rowOf(page, 'grace').waitFor();
  await inspect(page, 'admin-letters-phone');
  assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= document.documentElement.clientWidth));
  assertQuiet();
});
