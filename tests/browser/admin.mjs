// The operators' page: who gets in, what a deed does on every node, and that it is done once.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { board, call, deed, heading, logIn, player, until, win } from './operator.mjs';
import { look, open } from './browser.mjs';

const { ONE, TWO } = process.env;
const HOSTILE = '<img src=x onerror="document.title=1">';

test('a player does not get in, and is told who does', async () => {
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

test('a ban on one node takes a player off the board of the other, and an unban brings them back', async () => {
  const { number, token } = await player('grace');
  await win(token, 2);
  await until('grace is on the board', async () => (await board(TWO)).grace === 20);
  const { page, assertQuiet } = await open(`${ONE}/admin#/players/${number}`);
  await logIn(page, 'root');
  await heading(page, 'grace');

  const dialog = await deed(page, 'ban');
  await dialog.getByRole('button', { name: 'Ban' }).click();
  await dialog.getByText('is missing').waitFor();
  await dialog.getByText('Confirm this first.').waitFor();
  assert.deepEqual(await board(TWO), { grace: 20 }, 'nothing is done without a reason');
  await dialog.getByLabel('Reason').fill(HOSTILE);
  await dialog.getByRole('checkbox').check();
  await dialog.getByRole('button', { name: 'Ban' }).click();
  await page.getByRole('status').getByText('grace is banned.').waitFor();
  await until('grace is off the board', async () => !('grace' in await board(TWO)));
  await page.locator('.heading').getByText('banned').waitFor();
  await until('the focus is at the heading', () => page.evaluate(() => document.activeElement.tagName === 'H1'));

  // What an operator wrote is a text wherever it is shown.
  await page.locator('.history li[data-kind=admin]').getByText(`root: ${HOSTILE}`).waitFor();
  await page.getByRole('link', { name: 'Audit' }).click();
  await page.getByRole('row', { name: /ban/ }).getByText(HOSTILE).waitFor();
  assert.equal(await page.locator('main img').count(), 0);

  await page.goBack();
  const back = await deed(page, 'unban');
  await back.getByLabel('Reason').fill('it was her brother');
  await back.getByRole('button', { name: 'Unban' }).click();
  await page.getByRole('status').getByText('grace is back.').waitFor();
  await until('grace is back on the board', async () => (await board(TWO)).grace === 20);
  assertQuiet();
});

test('an adjustment counts once: by two clicks, and when its answer is lost', async () => {
  const { number, token } = await player('linus');
  await win(token, 1);
  const { page, assertQuiet } = await open(`${ONE}/admin#/players/${number}`);
  await logIn(page, 'root');

  const twice = await deed(page, 'adjust');
  await twice.getByLabel('Points').fill('30');
  await twice.getByText('10 → 40 (+30)').waitFor();
  await twice.getByLabel('Reason').fill('for the outage');
  await twice.getByRole('button', { name: 'Adjust' }).dblclick();
  await page.getByRole('status').getByText('linus has 40 points now (before: 10).').waitFor();

  const wrong = await deed(page, 'adjust');
  await wrong.getByLabel('Points').fill('−41');
  await wrong.getByLabel('Reason').fill('too much');
  await wrong.getByRole('button', { name: 'Adjust' }).click();
  await wrong.getByText('would take the score below 0').waitFor();
  assert.equal(await wrong.getByLabel('Points').getAttribute('aria-invalid'), 'true');
  // What was refused stays refused under its key: this is another operation.
  await wrong.getByLabel('Points').fill('5');
  await wrong.getByRole('button', { name: 'Adjust' }).click();
  await page.getByRole('status').getByText('linus has 45 points now (before: 40).').waitFor();

  const keys = [];
  await page.route('**/adjust', async (route) => {
    keys.push(route.request().headers()['idempotency-key']);
    if (keys.length > 1) return route.continue();
    await route.fetch();
    await route.abort();
  });
  const lost = await deed(page, 'adjust');
  await lost.getByLabel('Points').fill('-15');
  await lost.getByLabel('Reason').fill('it was a little less');
  await lost.getByRole('button', { name: 'Adjust' }).click();
  await lost.getByText('it counts once').waitFor();
  assert.equal(await lost.getByLabel('Points').isEditable(), false, 'only the very same is repeated');
  await lost.getByRole('button', { name: 'Try again' }).click();
  await page.getByRole('status').getByText('linus has 30 points now (before: 45).').waitFor();
  assert.equal(keys.length, 2);
  assert.equal(keys[0], keys[1]);

  const { data } = await call(TWO, 'GET', `/api/scoreboard/user/${number}`, undefined, token);
  assert.equal(data.score, 30);
  await until('the history has each once', async () => {
    const moved = await page.locator('.history .moved').allTextContents();
    if (moved.join() === '−15,+5,+30,+10') return true;
    await page.reload();
    await page.locator('.history li').first().waitFor();
    return false;
  });
  assertQuiet();
});

test('what is set aside is confirmed or voided, and the history has it all', async () => {
  const { number, token } = await player('ken');
  await win(token, 1);
  const { page, assertQuiet } = await open(`${ONE}/admin#/players/${number}`);
  await logIn(page, 'root');
  const does = async (path, button, reason, said) => {
    const dialog = await deed(page, path);
    await dialog.getByLabel('Reason').fill(reason);
    if (path === 'void') await dialog.getByRole('checkbox').check();
    await dialog.getByRole('button', { name: button }).click();
    await page.getByRole('status').getByText(said).waitFor();
  };
  await does('quarantine', 'Set aside', 'looks odd', 'ken is set aside.');
  await win(token, 2);
  assert.equal((await board(TWO)).ken, 10, 'what is held is not shown');
  await does('approve', 'Confirm', 'it was fine', 'What was held of ken is confirmed.');
  await until('what was held is shown', async () => (await board(TWO)).ken === 30);
  await does('quarantine', 'Set aside', 'looks odd again', 'ken is set aside.');
  await win(token, 1);
  await does('void', 'Void it', 'it was forged', 'ken has 30 points now (before: 40).');

  await until('the ledger has it', async () => {
    await page.reload();
    await page.locator('.history li').first().waitFor();
    return (await page.locator('.history li[data-kind=adjustment]').count()) === 1;
  });
  for (const [kind, count] of Object.entries({ award: 4, adjustment: 1, admin: 3 })) {
    assert.equal(await page.locator(`.history li[data-kind=${kind}]`).count(), count, kind);
  }
  await page.getByRole('button', { name: 'Operators' }).click();
  await until('awards are filtered out', async () => (await page.locator('.history li').count()) === 4);
  await page.reload();
  await page.locator('.history li').first().waitFor();
  assert.equal(await page.locator('.history li').count(), 4, 'the address keeps the filter');

  assertQuiet();
  const other = await open(`${TWO}/admin#/audit`);
  await logIn(other.page, 'root');
  for (const [what, why] of [['void', 'it was forged'], ['approve', 'it was fine'], ['quarantine', 'looks odd again']]) {
    await other.page.getByRole('row', { name: new RegExp(`root ${what} ken ${why}`) }).waitFor();
  }
  other.assertQuiet();
});

test('a login that has run out comes back to its place, and a full or absent service says when to come again', async () => {
  const { number } = await player('radia');
  const { page, assertQuiet } = await open(`${ONE}/admin#/players`);
  await logIn(page, 'root');
  await page.getByLabel('Find a player').fill('RAD');
  await page.getByRole('heading', { name: 'Found' }).waitFor();
  await page.getByRole('link', { name: 'radia' }).click();
  await heading(page, 'radia');
  await page.evaluate(() => sessionStorage.setItem('laurel.admin', 'none'));
  await page.reload();
  await page.getByText('Your login has run out').waitFor();
  await logIn(page, 'root');
  await heading(page, 'radia');
  assert.ok(page.url().endsWith(`#/players/${number}`));
  await page.goBack();
  await heading(page, 'Players');
  assert.equal(await page.getByLabel('Find a player').inputValue(), 'RAD');

  const away = { data: null, message: 'Not for the moment', statusCode: 503, metadata: { errorCode: 'SERVICE_UNAVAILABLE' } };
  await page.route('**/api/admin/audit*', (route) => route.fulfill({ status: 503, json: away, headers: { 'retry-after': '2' } }), { times: 1 });
  await page.getByRole('link', { name: 'Audit' }).click();
  await page.getByText('Not for the moment. You can try again in 2 s.').waitFor();
  await page.getByText('You can try again now.').waitFor();
  await page.getByRole('button', { name: 'Try again' }).click();
  await page.getByRole('table').waitFor();
  await page.getByRole('button', { name: 'Log out' }).click();
  await page.getByText('You are logged out.').waitFor();
  assert.equal(await page.evaluate(() => sessionStorage.length), 0);
  assertQuiet();
});

test('the overview counts what is played and what is refused, and looks again by itself', async () => {
  const { token, id } = await player('tim');
  const { page, assertQuiet } = await open(`${ONE}/admin`);
  await page.clock.install();
  await logIn(page, 'root');
  await page.locator('.tile').first().waitFor();
  await win(token, 5);
  await call(ONE, 'POST', '/api/v1/scores', { actionToken: `act_${'y'.repeat(32)}` }, token);
  const row = page.locator('[data-panel=active]').getByRole('row', { name: /^tim 5 50/ });
  const refused = page.locator('[data-panel=refusals]').getByRole('row', { name: /invalid token/ });
  await until('the page has looked again', async () => {
    await page.clock.runFor(31_000);
    return (await row.count()) === 1 && (await refused.count()) === 1;
  });
  const awards = Number(await page.locator('.tile', { hasText: 'Awards' }).locator('dd').textContent());
  assert.ok(awards >= 5, `${awards} awards`);
  assert.match(await page.locator('[data-panel=heat]').textContent(), /Busiest: /);
  await page.getByRole('link', { name: 'Suspects' }).click();
  // Signs are written once a second.
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

test('the keyboard is enough, and a drawing has a table', async () => {
  const { number } = await player('hedy');
  const { page, assertQuiet } = await open(`${ONE}/admin`);
  await page.keyboard.type('root');
  await page.keyboard.press('Tab');
  await page.keyboard.type('correct horse');
  await page.keyboard.press('Enter');
  await heading(page, 'Overview');
  assert.equal(await page.evaluate(() => document.activeElement.textContent), 'Overview');
  await page.getByRole('img', { name: /^Awards\./ }).waitFor();
  await page.getByRole('table', { name: 'Awards by weekday and hour, UTC' }).waitFor();
  assert.equal(await page.getByRole('table', { name: 'Awards by weekday and hour, UTC' }).getByRole('cell').count(), 7 * 24 + 1);
  await page.locator('[data-panel=course] summary').first().focus();
  await page.keyboard.press('Enter');
  const rows = page.getByRole('table', { name: 'Awards', exact: true }).getByRole('row');
  await until('the table is a day', async () => (await rows.count()) === 24 + 1);
  await page.getByRole('button', { name: '7 days' }).focus();
  await page.keyboard.press('Enter');
  await until('the table is a week', async () => (await rows.count()) === 168 + 1);
  assert.ok(page.url().endsWith('#/overview?period=7d'));

  await page.evaluate((it) => { location.hash = it; }, `#/players/${number}`);
  await heading(page, 'hedy');
  await page.locator('[data-deed=adjust]').focus();
  await page.keyboard.press('Enter');
  await page.getByRole('dialog', { name: 'Adjust the score of hedy' }).waitFor();
  assert.equal(await page.evaluate(() => document.activeElement.name), 'points');
  await page.keyboard.press('Escape');
  assert.equal(await page.evaluate(() => document.activeElement.dataset.deed), 'adjust');
  assertQuiet();
});

const SCREENS = {
  desktop: {},
  phone: { viewport: { width: 390, height: 844 }, deviceScaleFactor: 2, hasTouch: true },
  dark: { colorScheme: 'dark' },
};

for (const [name, screen] of Object.entries(SCREENS)) {
  test(`every view on ${name}: nothing serious to complain of, and no wider than the screen`, async () => {
    const { number, id } = await player(`ada_${name}`);
    // Signs of cheating: a token that never was.
    const { data } = await call(ONE, 'POST', '/api/auth/login', { username: `ada_${name}`, password: 'correct horse' });
    await call(ONE, 'POST', '/api/v1/scores', { actionToken: `act_${'x'.repeat(32)}` }, data.token);
    const { page, assertQuiet } = await open(`${ONE}/admin`, screen);
    const fits = async (view) => {
      await look(page, `${view}-${name}`);
      const wider = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
      assert.ok(wider <= 0, `${view} is ${wider} px wider than ${name}`);
    };
    await page.getByLabel('Username').waitFor();
    await fits('admin-login');
    await logIn(page, 'root');
    const views = { overview: '.tile', suspects: 'table', [`suspects/${id}`]: '.deeds', players: 'table', [`players/${number}`]: '.standing', audit: 'table' };
    for (const [view, sign] of Object.entries(views)) {
      await page.evaluate((it) => { location.hash = it; }, `#/${view}`);
      await page.locator(`main ${sign}`).first().waitFor();
      await until('the view is loaded', async () => (await page.locator('[aria-busy], .loading').count()) === 0);
      await fits(`admin-${view.replace(/\/.*/, '-one')}`);
    }
    await page.evaluate((it) => { location.hash = it; }, `#/players/${number}`);
    await deed(page, 'adjust');
    await fits('admin-dialog');
    assertQuiet();
  });
}
