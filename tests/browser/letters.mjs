// Dead letters on the operators' page: entries that cannot be written to the ledger are shown, written again, or given up.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { call, heading, logIn, player, until } from './operator.mjs';
import { look, open } from './browser.mjs';

const { ONE } = process.env;

/** The page of an operator, at the dead letters. */
async function operator(screen) {
  const opened = await open(`${ONE}/admin#/letters`, screen);
  await logIn(opened.page, 'root');
  await heading(opened.page, 'Dead letters');
  return opened;
}

const rowOf = (page, text) => page.getByRole('row').filter({ hasText: text });

/** Looks anew until there is a row that says something. */
async function shows(page, row, text) {
  await until(`a row that says ${text}`, async () => {
    await page.reload();
    await page.locator('[data-panel=letters] .body > :not(.loading)').waitFor();
    return (await row.filter({ hasText: text }).count()) === 1;
  });
}

async function decide(row, fate, reason) {
  await row.getByLabel('Reason').fill(reason);
  await row.getByRole('button', { name: fate }).click();
}

test('a letter is shown, tried again in vain and then with success; another one is given up', async () => {
  const { number, token } = await player('grace');
  const { antiSpamToken } = await call(ONE, 'POST', '/api/v1/actions/init', { actionType: 'solve_puzzle' }, token);
  await call(ONE, 'POST', '/api/v1/actions/finalize', { antiSpamToken }, token);

  const { page, assertQuiet } = await operator();
  const [lost, unreadable] = [rowOf(page, 'grace'), rowOf(page, 'unheard-of')];
  await shows(page, lost, 'awarded +15');
  await shows(page, unreadable, 'waiting');
  await lost.getByText('refused').first().waitFor();
  // What lay in the outbox is a text.
  await unreadable.getByText('As it lay in the outbox').click();
  await unreadable.getByText('<b>bold</b>').waitFor();
  assert.equal(await page.locator('main td b').count(), 0);
  await look(page, 'admin-letters-desktop');

  const asked = [];
  page.on('request', (request) => { if (request.method() === 'POST') asked.push(request.url()); });
  await lost.getByRole('button', { name: 'retry' }).click();
  assert.equal(await lost.getByLabel('Reason').evaluate((it) => it.validity.valueMissing), true);
  assert.deepEqual(asked, [], 'nothing is asked for without a reason');
  await decide(lost, 'retry', '   ');
  await lost.getByRole('alert').getByText('reason').waitFor();

  await decide(lost, 'retry', 'perhaps it works now');
  await page.getByRole('status').getByText(/Dead letter \d+ is retrying\./).waitFor();
  await shows(page, lost, 'waiting');
  await lost.getByText('root: perhaps it works now').waitFor();
  await decide(lost, 'retry', 'it was mended');
  await page.getByRole('status').getByText(/Dead letter \d+ is retrying\./).waitFor();
  await until('it is written', async () => {
    await page.reload();
    await unreadable.waitFor();
    return (await lost.count()) === 0;
  });

  // Another operator decides about the same one.
  const other = await operator();
  await rowOf(other.page, 'unheard-of').waitFor();
  await decide(unreadable, 'discard', `somebody wrote into the outbox by hand ${'x'.repeat(300)}`);
  await page.getByRole('status').getByText(/Dead letter \d+ is discarded\./).waitFor();
  await page.getByText('None is waiting.').waitFor();
  await decide(rowOf(other.page, 'unheard-of'), 'retry', 'let us see');
  await rowOf(other.page, 'unheard-of').getByRole('alert').getByText('is discarded').waitFor();
  other.assertQuiet();

  await page.getByRole('button', { name: 'All', exact: true }).click();
  await lost.getByText(/^written/).waitFor();
  await unreadable.getByText(/^discarded/).waitFor();
  await unreadable.getByText('root: somebody wrote into the outbox by hand xxx').waitFor();
  assert.equal(await page.getByLabel('Reason').count(), 0, 'what is decided is decided');
  await lost.getByRole('link', { name: 'grace' }).click();
  await heading(page, 'grace');
  assert.ok(page.url().endsWith(`#/players/${number}`));
  await page.locator('.history li[data-kind=award]').getByText('+15').waitFor();
  await page.getByRole('link', { name: 'Audit' }).click();
  await page.getByRole('row', { name: /root retry letter grace it was mended/ }).waitFor();
  assertQuiet();
});

test('letters fit a phone', async () => {
  const { page, assertQuiet } = await operator({ viewport: { width: 390, height: 844 }, deviceScaleFactor: 2, hasTouch: true });
  await page.getByRole('button', { name: 'All', exact: true }).click();
  await rowOf(page, 'grace').waitFor();
  await look(page, 'admin-letters-phone');
  assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= document.documentElement.clientWidth));
  assertQuiet();
});
