// The admin page: login, admin actions and their effect on every node, retries.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { board, call, openDialog, showsHeading, logIn, player, until, earn } from './admin-helpers.mjs';
import { inspect, open } from './browser.mjs';

const { ONE, TWO } = process.env;
const HOSTILE = '<img src=x onerror="document.title=1">';

test('a player is refused, and sees how to become an admin', async () => {
  await player('mallory');
  const { page, assertQuiet } = await open(`${ONE}/admin`);
  assert.match(await page.textContent('.login'), /laurel admin grant NAME --reason/);
  await logIn(page, 'mallory', 'wrong horse');
  await page.getByRole('alert').getByText('Invalid username or password').waitFor();
  assert.equal(await page.evaluate(() => document.activeElement.name), 'password');
  await logIn(page, 'mallory');
  await page.getByRole('alert').getByText(/admin/).waitFor();
  assert.equal(await page.locator('nav').isVisible(), false);
  assert.equal(await page.evaluate(() => sessionStorage.length), 0);
  assertQuiet();
});

test('a ban on one node removes a player from the board of another, and an unban returns the player', async () => {
  const { number, token } = await player('grace');
  await earn(token, 2);
  await until('grace is on the board', async () => (await board(TWO)).grace === 20);
  const { page, assertQuiet } = await open(`${ONE}/admin#/players/${number}`);
  await logIn(page, 'root');
  await showsHeading(page, 'grace');

  const dialog = await openDialog(page, 'ban');
  await dialog.getByRole('button', { name: 'Ban' }).click();
  await dialog.getByText('Enter a reason.').waitFor();
  await dialog.getByText('Confirm this first.').waitFor();
  assert.deepEqual(await board(TWO), { grace: 20 }, 'nothing is done without a reason');
  await dialog.getByLabel('Reason').fill(HOSTILE);
  await dialog.getByRole('checkbox').check();
  await dialog.getByRole('button', { name: 'Ban' }).click();
  await page.getByRole('status').getByText('grace is banned.').waitFor();
  await until('grace is off the board', async () => !('grace' in await board(TWO)));
  await page.locator('.heading').getByText('banned').waitFor();
  await until('the heading has the focus', () => page.evaluate(() => document.activeElement.tagName === 'H1'));

  // A reason is text, not markup, everywhere.
  await page.locator('.history li[data-kind=admin]').getByText(`root: ${HOSTILE}`).waitFor();
  await page.getByRole('link', { name: 'Audit log' }).click();
  await page.getByRole('row', { name: /ban/ }).getByText(HOSTILE).waitFor();
  assert.equal(await page.locator('main img').count(), 0);

  await page.goBack();
  const unban = await openDialog(page, 'unban');
  await unban.getByLabel('Reason').fill('it was her brother');
  await unban.getByRole('button', { name: 'Unban' }).click();
  await page.getByRole('status').getByText('grace is unbanned.').waitFor();
  await until('grace is back on the board', async () => (await board(TWO)).grace === 20);
  assertQuiet();
});

test('an adjustment counts once after a double click, and after a lost response', async () => {
  const { number, token } = await player('linus');
  await earn(token, 1);
  const { page, assertQuiet } = await open(`${ONE}/admin#/players/${number}`);
  await logIn(page, 'root');

  const doubleClicked = await openDialog(page, 'adjust');
  await doubleClicked.getByLabel('Points').fill('30');
  await doubleClicked.getByText('10 → 40 (+30)').waitFor();
  await doubleClicked.getByLabel('Reason').fill('for the outage');
  await doubleClicked.getByRole('button', { name: 'Adjust' }).dblclick();
  await page.getByRole('status').getByText('linus now has 40 points (before: 10).').waitFor();

  const wrong = await openDialog(page, 'adjust');
  await wrong.getByLabel('Points').fill('−41');
  await wrong.getByLabel('Reason').fill('too much');
  await wrong.getByRole('button', { name: 'Adjust' }).click();
  await wrong.getByText('would take the score below 0').waitFor();
  assert.equal(await wrong.getByLabel('Points').getAttribute('aria-invalid'), 'true');
  // The API repeats a refusal under its key, so this attempt has another key.
  await wrong.getByLabel('Points').fill('5');
  await wrong.getByRole('button', { name: 'Adjust' }).click();
  await page.getByRole('status').getByText('linus now has 45 points (before: 40).').waitFor();

  const keys = [];
  await page.route('**/adjust', async (route) => {
    keys.push(route.request().headers()['idempotency-key']);
    if (keys.length > 1) return route.continue();
    await route.fetch();
    await route.abort();
  });
  const lost = await openDialog(page, 'adjust');
  await lost.getByLabel('Points').fill('-15');
  await lost.getByLabel('Reason').fill('it was a little less');
  await lost.getByRole('button', { name: 'Adjust' }).click();
  await lost.getByText('it counts once').waitFor();
  assert.equal(await lost.getByLabel('Points').isEditable(), false, 'only the same request is repeated');
  await lost.getByRole('button', { name: 'Try again' }).click();
  await page.getByRole('status').getByText('linus now has 30 points (before: 45).').waitFor();
  assert.equal(keys.length, 2);
  assert.equal(keys[0], keys[1]);

  const { data } = await call(TWO, 'GET', `/api/scoreboard/user/${number}`, undefined, token);
  assert.equal(data.score, 30);
  await until('the history has each once', async () => {
    const changes = await page.locator('.history .points').allTextContents();
    if (changes.join() === '−15,+5,+30,+10') return true;
    await page.reload();
    await page.locator('.history li').first().waitFor();
    return false;
  });
  assertQuiet();
});

test('held points are approved or voided, and the history shows it', async () => {
  const { number, token } = await player('ken');
  await earn(token, 1);
  const { page, assertQuiet } = await open(`${ONE}/admin#/players/${number}`);
  await logIn(page, 'root');
  const act = async (action, button, reason, result) => {
    const dialog = await openDialog(page, action);
    await dialog.getByLabel('Reason').fill(reason);
    if (action === 'void') await dialog.getByRole('checkbox').check();
    await dialog.getByRole('button', { name: button }).click();
    await page.getByRole('status').getByText(result).waitFor();
  };
  await act('quarantine', 'Quarantine', 'looks odd', 'ken is quarantined.');
  await earn(token, 2);
  assert.equal((await board(TWO)).ken, 10, 'held points are not public');
  await act('approve', 'Approve', 'it was fine', 'The held points of ken are approved.');
  await until('held points are public', async () => (await board(TWO)).ken === 30);
  await act('quarantine', 'Quarantine', 'looks odd again', 'ken is quarantined.');
  await earn(token, 1);
  await act('void', 'Void points', 'it was forged', 'ken now has 30 points (before: 40).');

  await until('the ledger has it', async () => {
    await page.reload();
    await page.locator('.history li').first().waitFor();
    return (await page.locator('.history li[data-kind=adjustment]').count()) === 1;
  });
  for (const [kind, count] of Object.entries({ award: 4, adjustment: 1, admin: 3 })) {
    assert.equal(await page.locator(`.history li[data-kind=${kind}]`).count(), count, kind);
  }
  assert.equal(await page.locator('.history li[data-kind=award] .badge.void').count(), 1, 'one award was voided');
  await page.getByRole('button', { name: 'Admin actions' }).click();
  await until('awards are filtered out', async () => (await page.locator('.history li').count()) === 4);
  await page.reload();
  await page.locator('.history li').first().waitFor();
  assert.equal(await page.locator('.history li').count(), 4, 'the URL keeps the filter');

  assertQuiet();
  const other = await open(`${TWO}/admin#/audit`);
  await logIn(other.page, 'root');
  for (const [action, reason] of [['void', 'it was forged'], ['approve', 'it was fine'], ['quarantine', 'looks odd again']]) {
    await other.page.getByRole('row', { name: new RegExp(`root ${action} ken ${reason}`) }).waitFor();
  }
  other.assertQuiet();
});

test('after an expired login the same view opens, and an unavailable service counts down to the next attempt', async () => {
  const { number } = await player('radia');
  const { page, assertQuiet } = await open(`${ONE}/admin#/players`);
  await logIn(page, 'root');
  await page.getByLabel('Find a player').fill('RAD');
  await page.getByRole('heading', { name: 'Results' }).waitFor();
  await page.getByRole('link', { name: 'radia' }).click();
  await showsHeading(page, 'radia');
  await page.evaluate(() => sessionStorage.setItem('laurel.admin', 'none'));
  await page.reload();
  await page.getByText('Your login has expired').waitFor();
  await logIn(page, 'root');
  await showsHeading(page, 'radia');
  assert.ok(page.url().endsWith(`#/players/${number}`));
  await page.goBack();
  await showsHeading(page, 'Players');
  assert.equal(await page.getByLabel('Find a player').inputValue(), 'RAD');

  const unavailable = { data: null, message: 'Not right now', statusCode: 503, metadata: { errorCode: 'SERVICE_UNAVAILABLE' } };
  await page.route('**/api/admin/audit*', (route) => route.fulfill({ status: 503, json: unavailable, headers: { 'retry-after': '2' } }), { times: 1 });
  await page.getByRole('link', { name: 'Audit log' }).click();
  await page.getByText('Not right now. You can try again in 2 s.').waitFor();
  await page.getByText('You can try again now.').waitFor();
  await page.getByRole('button', { name: 'Try again' }).click();
  await page.getByRole('table').waitFor();
  await page.getByRole('button', { name: 'Log out' }).click();
  await page.getByText('You are logged out.').waitFor();
  assert.equal(await page.evaluate(() => sessionStorage.length), 0);
  assertQuiet();
});

test('the overview counts awards and refusals, and refreshes itself', async () => {
  const { token, id } = await player('tim');
  const { page, assertQuiet } = await open(`${ONE}/admin`);
  await page.clock.install();
  await logIn(page, 'root');
  await page.locator('.tile').first().waitFor();
  await earn(token, 5);
  await call(ONE, 'POST', '/api/v1/scores', { actionToken: `act_${'y'.repeat(32)}` }, token);
  const row = page.locator('[data-panel=active]').getByRole('row', { name: /^tim 5 50/ });
  const refused = page.locator('[data-panel=refusals]').getByRole('row', { name: /invalid token/ });
  await until('the page has refreshed', async () => {
    await page.clock.runFor(31_000);
    return (await row.count()) === 1 && (await refused.count()) === 1;
  });
  const awards = Number(await page.locator('.tile', { hasText: 'Awards' }).locator('dd').textContent());
  assert.ok(awards >= 5, `${awards} awards`);
  assert.match(await page.locator('[data-panel=heatmap]').textContent(), /Busiest: /);
  await page.getByRole('link', { name: 'Suspects' }).click();
  // Abuse signals are written once a second.
  const suspect = page.getByRole('link', { name: 'tim', exact: true });
  await until('tim is a suspect', async () => {
    await page.reload();
    await page.locator('[data-panel=suspects]').waitFor();
    return (await suspect.count()) === 1;
  });
  await suspect.click();
  await page.getByRole('columnheader', { name: 'forged' }).waitFor();
  assert.ok(page.url().includes(`#/suspects/${id}`));
  assertQuiet();
});

test('the page works by keyboard alone, and each chart has a table', async () => {
  const { number } = await player('hedy');
  const { page, assertQuiet } = await open(`${ONE}/admin`);
  await page.keyboard.type('root');
  await page.keyboard.press('Tab');
  await page.keyboard.type('correct horse');
  await page.keyboard.press('Enter');
  await showsHeading(page, 'Overview');
  assert.equal(await page.evaluate(() => document.activeElement.textContent), 'Overview');
  await page.getByRole('img', { name: /^Awards\./ }).waitFor();
  await page.getByRole('table', { name: 'Awards by weekday and hour, UTC' }).waitFor();
  assert.equal(await page.getByRole('table', { name: 'Awards by weekday and hour, UTC' }).getByRole('cell').count(), 7 * 24 + 1);
  await page.locator('[data-panel=timeline] summary').first().focus();
  await page.keyboard.press('Enter');
  const rows = page.getByRole('table', { name: 'Awards', exact: true }).getByRole('row');
  await until('the table shows a day', async () => (await rows.count()) === 24 + 1);
  await page.getByRole('button', { name: '7 days' }).focus();
  await page.keyboard.press('Enter');
  await until('the table shows a week', async () => (await rows.count()) === 168 + 1);
  assert.ok(page.url().endsWith('#/overview?period=7d'));

  await page.evaluate((hash) => { location.hash = hash; }, `#/players/${number}`);
  await showsHeading(page, 'hedy');
  await page.locator('[data-action=adjust]').focus();
  await page.keyboard.press('Enter');
  await page.getByRole('dialog', { name: 'Adjust the score of hedy' }).waitFor();
  assert.equal(await page.evaluate(() => document.activeElement.name), 'points');
  await page.keyboard.press('Escape');
  assert.equal(await page.evaluate(() => document.activeElement.dataset.action), 'adjust');
  assertQuiet();
});

const SCREENS = {
  desktop: {},
  phone: { viewport: { width: 390, height: 844 }, deviceScaleFactor: 2, hasTouch: true },
  dark: { colorScheme: 'dark' },
};

for (const [name, screen] of Object.entries(SCREENS)) {
  test(`every view on ${name} is accessible and fits the screen`, async () => {
    const { number, id } = await player(`ada_${name}`);
    // An abuse signal: a token that was never issued.
    const { data } = await call(ONE, 'POST', '/api/auth/login', { username: `ada_${name}`, password: 'correct horse' });
    await call(ONE, 'POST', '/api/v1/scores', { actionToken: `act_${'x'.repeat(32)}` }, data.token);
    const { page, assertQuiet } = await open(`${ONE}/admin`, screen);
    const fits = async (view) => {
      await inspect(page, `${view}-${name}`);
      const wider = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
      assert.ok(wider <= 0, `${view} is ${wider} px wider than ${name}`);
    };
    await page.getByLabel('Username').waitFor();
    await fits('admin-login');
    await logIn(page, 'root');
    const views = { overview: '.tile', suspects: 'table', [`suspects/${id}`]: '.actions', players: 'table', [`players/${number}`]: '.standing', audit: 'table' };
    for (const [view, content] of Object.entries(views)) {
      await page.evaluate((hash) => { location.hash = hash; }, `#/${view}`);
      await page.locator(`main ${content}`).first().waitFor();
      await until('the view is loaded', async () => (await page.locator('[aria-busy], .loading').count()) === 0);
      await fits(`admin-${view.replace(/\/.*/, '-one')}`);
    }
    await page.evaluate((hash) => { location.hash = hash; }, `#/players/${number}`);
    await openDialog(page, 'adjust');
    await fits('admin-dialog');
    assertQuiet();
  });
}
