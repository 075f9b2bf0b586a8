// The admin page over thousands of players: unknown views, search, boards, suspects, charts.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { call, showsHeading, logIn, player, until, earn } from './admin-helpers.mjs';
import { inspect, open } from './browser.mjs';

const { ONE } = process.env;

/** Opens a view as an admin. */
async function openView(hash, screen) {
  const opened = await open(`${ONE}/admin${hash}`, screen);
  await logIn(opened.page, 'root');
  await opened.page.getByRole('navigation').waitFor();
  return opened;
}

const go = (page, hash) => page.evaluate((value) => { location.hash = value; }, hash);
const fits = async (page, what) => assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= document.documentElement.clientWidth), what);

test('unknown views and players are not found, and others are', async () => {
  const { page, assertQuiet } = await openView('');
  await showsHeading(page, 'Overview');
  const unknownViews = [
    '#constructor', '#__proto__', '#/toString', '#/hasOwnProperty/1', '#/wall', '#/Players', '#/overview/x', '#/audit/1', '#/letters/1',
    '#/players/1/2', '#/players//1', '#/players/../audit', '#/players/..', '#/suspects/.', '#/players/%2e%2e', '#/boards/hourly', '#/boards/weekly/1', '#/%', '#/%E0%A4%A', '#/ ',
  ];
  const unknownKeys = ['nobody', '0', '99999', '99999999999999999999', '01930a5b-7c00-7000-8000-0000000000ab', '%20', 'a%2Fb', '+1', '<b>x</b>', '%', '...'];
  const unknown = [...unknownKeys.flatMap((key) => [`#/players/${key}`, `#/suspects/${key}`]), '#/players/1.2.3.4'];
  for (const hash of [...unknownViews, ...unknown]) {
    await go(page, '#/audit');
    await showsHeading(page, 'Audit log');
    await go(page, hash);
    await showsHeading(page, 'Not found');
    assert.match(await page.title(), /^Not found/);
    assert.equal(await page.evaluate(() => document.activeElement.textContent), 'Not found', hash);
    assert.equal(await page.getByRole('button', { name: 'Try again' }).count(), 0, hash);
    assert.equal(await page.locator('main [data-panel], main b').count(), 0, hash);
  }
  await inspect(page, 'admin-not-found');
  await page.getByRole('main').getByRole('link', { name: 'Players' }).click();
  for (const [hash, title] of Object.entries({ '#/players/': 'Players', '#': 'Overview', '#/suspects/10.0.0.1': '10.0.0.1', '#/suspects/2001:db8::1': '2001:db8::1', '#/players/ROOT': 'root', '#/': 'Overview' })) {
    await go(page, hash);
    await showsHeading(page, title);
  }
  await go(page, '#/wall');
  await page.getByRole('main').getByRole('link', { name: 'Overview' }).click();
  await showsHeading(page, 'Overview');
  assertQuiet();
});

test('a search finds parts of names, counts the results, and shows them all', async () => {
  await player('player_one');
  await player('aplayerxone');
  const { page, assertQuiet } = await openView('#/players');
  const panel = page.locator('[data-panel=players]');
  const names = () => panel.locator('tbody a.user').allTextContents();
  const [more, count] = [page.getByRole('button', { name: 'Show more' }), panel.getByRole('status')];
  const find = async (text) => {
    await page.getByLabel('Find a player').fill(text);
    await panel.getByRole('heading', { name: text ? 'Results' : 'Newest players' }).waitFor();
    await until(`the results for ${text}`, async () => (await count.textContent()) !== '' && (await page.locator('[aria-busy]').count()) === 0
      && new URLSearchParams(page.url().split('?')[1]).get('search') === (text || null));
  };
  await count.getByText('50 of 5,003 players').waitFor();
  assert.deepEqual((await names()).slice(0, 2), ['aplayerxone', 'player_one']);
  await find('player_');
  assert.deepEqual([await names(), await count.textContent()], [['player_one'], '1 player']);
  await find('PLAYER');
  assert.deepEqual(await names(), ['player_one', 'aplayerxone']);

  await find('otter');
  const total = Number(/^50 of (\d+) players$/.exec(await count.textContent())[1]);
  await inspect(page, 'admin-players-found');
  // A page that fails is requested again, and the results so far stay.
  const unavailable = { status: 503, json: { data: null, message: 'Not right now', statusCode: 503, metadata: {} } };
  await page.route('**/api/admin/users?*after=*', (route) => route.fulfill(unavailable), { times: 1 });
  await more.click();
  await page.getByRole('alert').getByText('Not right now').waitFor();
  assert.equal((await names()).length, 50);
  await page.getByRole('button', { name: 'Try again' }).click();
  await count.getByText(`100 of ${total} players`).waitFor();
  assert.equal(await page.getByRole('alert').count(), 0);
  while (await more.isVisible()) {
    const before = (await names()).length;
    await more.click();
    await until('more are shown', async () => (await names()).length > before);
  }
  const all = await names();
  assert.equal(all.length, total);
  assert.equal(new Set(all).size, total);
  assert.ok(total > 100 && all.every((name) => /otter/i.test(name)), `${all}`);
  assert.equal(await count.textContent(), `${total} players`);

  await find('no such name');
  await panel.getByText('No players found.').waitFor();
  assert.equal(await count.textContent(), '0 players');
  assertQuiet();
});

test('a board shows its state, its entries by page, and the places of the players that a search finds', async () => {
  const { token } = await player('board_climber');
  await earn(token, 2);
  const { page, assertQuiet } = await openView('#/boards');
  await page.getByRole('row', { name: /^This week/ }).getByText('sum of points, highest first').waitFor();
  await inspect(page, 'admin-boards');
  await page.getByRole('link', { name: 'All time' }).click();
  await showsHeading(page, 'All time');
  const entries = page.locator('[data-panel=entries] tbody tr');
  await entries.nth(49).waitFor();
  assert.match(await entries.first().innerText(), /^1\s+1\s+\w+\s+9\d,\d{3}\s/);
  assert.match(await page.locator('main dl').innerText(), /^Period\s+all, open\s+Entries\s+5,0\d\d\s+Version\s+\d{16}\s+As of\s[\s\S]+Stale\s+no$/);
  await page.getByRole('button', { name: 'Show more' }).click();
  await entries.nth(99).waitFor();
  assert.deepEqual(await entries.evaluateAll((rows) => rows.map((row) => Number(row.cells[0].textContent))), Array.from({ length: 100 }, (_, index) => index + 1));

  await page.getByLabel('Find a player').fill('board_climber');
  const found = page.locator('[data-panel=found]');
  await found.getByText('1 of 1 player with an entry').waitFor();
  assert.match(await found.locator('tbody tr').innerText(), /^(4,9\d\d|5,0\d\d)\s+[45],\d{3}\s+board_climber\s+20\s/);
  await inspect(page, 'admin-board');
  await page.setViewportSize({ width: 360, height: 740 });
  await fits(page, 'a board on a phone');
  await inspect(page, 'admin-board-phone');
  await page.reload();
  await found.getByRole('link', { name: 'board_climber' }).click();
  await showsHeading(page, 'board_climber');
  assertQuiet();
});

test('periods are held, released and closed with a reason, revisions are listed, and a board is rebuilt', async () => {
  const { data: { token } } = await call(ONE, 'POST', '/api/auth/login', { username: 'root', password: 'correct horse' });
  const { page, assertQuiet } = await openView('#/boards/daily');
  const row = page.locator('[data-panel=periods] tbody tr').filter({ hasText: '2001-01-01' });
  await row.getByText('settling').waitFor();
  const current = page.locator('[data-panel=periods] tbody tr').first();
  assert.deepEqual(await current.getByRole('button').allTextContents(), ['Hold…']);
  const act = async (action, button, result) => {
    await row.locator(`[data-action=${action}]`).click();
    const dialog = page.getByRole('dialog');
    await dialog.getByRole('button', { name: button }).click();
    await dialog.getByText('Enter a reason.').waitFor();
    await dialog.getByLabel('Reason').fill('cheats are checked');
    if (action === 'close') {
      await dialog.getByText('Confirm this first.').waitFor();
      await inspect(page, 'admin-period-close');
      await dialog.getByRole('checkbox').check();
    }
    await dialog.getByRole('button', { name: button }).click();
    await page.getByRole('status').getByText(result).waitFor();
  };
  await act('hold', 'Hold', 'Period 2001-01-01 is held.');
  await row.getByText('settling, held by root').waitFor();
  assert.deepEqual(await row.getByRole('button').allTextContents(), ['Release…']);
  await act('release', 'Release', 'Period 2001-01-01 is released.');

  // Another admin holds it while the dialog is open.
  await row.locator('[data-action=close]').click();
  const dialog = page.getByRole('dialog');
  const decide = (action) => call(ONE, 'POST', `/api/admin/boards/daily/periods/2001-01-01/${action}`, { reason: 'wait' }, token);
  await decide('hold');
  await dialog.getByLabel('Reason').fill('done');
  await dialog.getByRole('checkbox').check();
  await dialog.getByRole('button', { name: 'Close' }).click();
  await dialog.getByRole('alert').getByText('period is held: release it first.').waitFor();
  await dialog.getByRole('button', { name: 'Cancel' }).click();
  await row.getByText('held by root').waitFor();
  await decide('release');
  await page.reload();
  await act('close', 'Close', 'Period 2001-01-01 closes within a second.');
  await row.getByText('closed').waitFor();
  assert.equal(await row.getByRole('button').count(), 0);

  await row.getByRole('link', { name: '2001-01-01' }).click();
  const revisions = page.locator('[data-panel=revisions] tbody tr');
  await revisions.getByText('laurel').waitFor();
  const [best] = await page.locator('[data-panel=entries] tbody a.user').allTextContents();
  await call(ONE, 'POST', `/api/admin/users/${best}/ban`, { reason: '<b>too good</b>' }, token);
  await until('a revision', async () => {
    await page.reload();
    await revisions.first().waitFor();
    return (await revisions.count()) === 2;
  });
  assert.match(await revisions.first().innerText(), /^2\s[\s\S]+root\s+<b>too good<\/b>\s+[0-9a-f]{64}$/);
  await until('the entries of the revision', async () => {
    await page.reload();
    return (await page.locator('[data-panel=entries] tbody a.user').first().textContent()) !== best;
  });
  await revisions.first().waitFor();
  await revisions.last().scrollIntoViewIfNeeded();
  await inspect(page, 'admin-board-closed');
  await page.setViewportSize({ width: 360, height: 740 });
  await fits(page, 'a closed period on a phone');
  await row.scrollIntoViewIfNeeded();
  await inspect(page, 'admin-board-closed-phone');
  await call(ONE, 'POST', `/api/admin/users/${best}/unban`, { reason: 'was real' }, token);

  await page.locator('[data-action=rebuild]').click();
  await dialog.getByLabel('Reason').fill('to be sure');
  await dialog.getByRole('button', { name: 'Rebuild' }).click();
  await page.getByRole('status').getByText(/^daily is being loaded: \d{4}-\d\d-\d\d\.$/).waitFor();
  await page.getByRole('link', { name: 'Audit log' }).click();
  await page.getByRole('row', { name: /rebuild board/ }).getByText('board daily').waitFor();
  await page.getByRole('row', { name: /close period/ }).getByText('board daily, period 2001-01-01').waitFor();
  assertQuiet();
});

test('an event board is created after a preview of its periods', async () => {
  const { page, assertQuiet } = await openView('#/boards');
  await page.locator('[data-action=create]').click();
  const dialog = page.getByRole('dialog');
  await dialog.getByRole('button', { name: 'Create' }).click();
  await dialog.getByText('Enter an id.').waitFor();
  await dialog.getByText('Enter a reason.').waitFor();
  await dialog.getByLabel('Id').fill('spring-cup');
  await dialog.getByLabel('Title').fill('Spring <b>cup</b>');
  await dialog.getByLabel('Actions').fill('watch_ad, watch_adz');
  await dialog.getByLabel('Time zone').fill('Europe/Berlin');
  await dialog.getByLabel('From').fill('2030-03-30T18:00');
  await dialog.getByLabel('Until').fill('2030-03-31T18:00');
  await dialog.getByText('did you mean watch_ad?').waitFor();
  await dialog.getByLabel('Actions').fill('watch_ad');
  const periods = dialog.getByRole('table', { name: 'Its next periods' });
  // Summer time begins in between.
  await periods.getByRole('row', { name: /Sat 30 Mar, 17:00 Sun 31 Mar, 16:00 Sun 31 Mar, 16:10/ }).waitFor();
  await inspect(page, 'admin-board-create');
  await page.setViewportSize({ width: 360, height: 740 });
  await fits(page, 'a new board on a phone');
  await inspect(page, 'admin-board-create-phone');
  await page.setViewportSize({ width: 1280, height: 900 });
  await dialog.getByLabel('Period').selectOption('month');
  assert.equal(await dialog.getByLabel('From').isVisible(), false);
  await until('five months', async () => (await periods.getByRole('row').count()) === 6);
  await dialog.getByLabel('Period').selectOption('once');
  await dialog.getByLabel('Id').fill('weekly');
  await dialog.getByLabel('Reason').fill('spring');
  await dialog.getByRole('button', { name: 'Create' }).click();
  await dialog.getByRole('alert').getByText(/already/).waitFor();
  await dialog.getByLabel('Id').fill('spring-cup');
  await dialog.getByRole('button', { name: 'Create' }).click();
  await page.getByRole('status').getByText('Board spring-cup is created.').waitFor();
  await showsHeading(page, 'Spring <b>cup</b>');
  assert.equal(await page.locator('main b').count(), 0);
  await page.getByRole('link', { name: 'Audit log' }).click();
  await page.getByRole('row', { name: /create board/ }).getByText('board spring-cup').waitFor();
  assertQuiet();
});

test('an address leads to the players behind it, who can be banned; players and addresses have separate scales', async () => {
  const cheats = [await player('mallory'), await player('trudy'), await player('oscar')];
  for (const [index, { token }] of cheats.entries()) {
    for (let attempt = 0; attempt <= index; attempt += 1) await call(ONE, 'POST', '/api/v1/scores', { actionToken: `act_${'z'.repeat(32)}` }, token);
  }
  const { page, assertQuiet } = await openView('#/suspects');
  const [players, addresses] = ['suspects', 'addresses'].map((name) => page.locator(`[data-panel=${name}]`));
  await until('all signals are written', async () => {
    await page.reload();
    await players.waitFor();
    return (await players.getByRole('link', { name: /mallory|trudy|oscar/ }).count()) === 3 && (await players.getByText('30', { exact: true }).count()) === 1;
  });
  for (const panel of [players, addresses]) {
    assert.equal(await panel.locator('.share-bar').first().evaluate((bar) => bar.style.getPropertyValue('--share')), '1');
  }
  // The page explains the risk score, and each signal with its weight.
  await page.getByText(/Each abuse signal adds 1 to 10 to the risk score/).waitFor();
  await page.getByRole('row', { name: 'forged 10 a token that Laurel never issued' }).waitFor();
  assert.equal(await page.getByRole('table', { name: 'What the signals mean' }).getByRole('row').count(), 8 + 1);
  await inspect(page, 'admin-suspects-desktop');

  await players.getByRole('link', { name: 'oscar' }).click();
  await showsHeading(page, 'oscar');
  await page.locator('[data-panel=related]').getByRole('link', { name: '127.0.0.1' }).click();
  await showsHeading(page, '127.0.0.1');
  const behind = page.getByRole('table', { name: 'Players behind this address' });
  await behind.getByRole('link', { name: 'mallory' }).waitFor();
  assert.deepEqual(await behind.locator('a.user').allTextContents(), ['oscar', 'trudy', 'mallory']);
  await inspect(page, 'admin-address-desktop');
  await behind.locator('[data-action=ban]').first().click();
  await page.getByRole('dialog', { name: 'Ban oscar' }).waitFor();
  await page.keyboard.press('Escape');

  await page.getByRole('button', { name: 'Ban all 3…' }).click();
  const dialog = page.getByRole('dialog', { name: 'Ban 3 players behind 127.0.0.1' });
  await dialog.getByText('oscar, trudy, mallory').waitFor();
  await inspect(page, 'admin-ban-all');
  await dialog.getByRole('button', { name: 'Ban all' }).click();
  await dialog.getByText('Enter a reason.').waitFor();
  await dialog.getByText('Confirm this first.').waitFor();
  await dialog.getByLabel('Reason').fill('a farm of bots');
  await dialog.getByRole('checkbox').check();
  // The second ban fails. A repeat continues with it.
  const banned = [];
  await page.route('**/ban', async (route) => {
    banned.push(route.request().url().split('/').at(-2));
    if (banned.length === 2) return route.abort();
    return route.continue();
  });
  await dialog.getByRole('button', { name: 'Ban all' }).click();
  await dialog.getByText('1 of 3 players banned.').waitFor();
  await dialog.getByRole('button', { name: 'Ban all' }).click();
  await page.getByRole('status').getByText('3 players banned.').waitFor();
  const [mallory, trudy, oscar] = cheats.map(({ id }) => id);
  assert.deepEqual(banned, [oscar, trudy, trudy, mallory]);
  for (const { token } of cheats) {
    assert.equal((await call(ONE, 'POST', '/api/v1/actions/init', { actionType: 'watch_ad' }, token)).metadata.errorCode, 'FORBIDDEN');
  }
  await until('all are shown as banned', async () => (await behind.getByText('banned', { exact: true }).count()) === 3);
  assert.equal(await page.getByRole('button', { name: /Ban all/ }).count(), 0);
  assert.equal(await behind.getByRole('button', { name: 'Unban…' }).count(), 3);
  await page.setViewportSize({ width: 390, height: 844 });
  await inspect(page, 'admin-address-phone');
  await fits(page, 'an address');
  await go(page, '#/suspects');
  await players.waitFor();
  await inspect(page, 'admin-suspects-phone');
  await fits(page, 'suspects');
  assertQuiet();
});

/** The cells of a chart's table, row by row. The page draws the table when it is opened, in an event. */
async function values(page, panel, index = 0) {
  const chart = page.locator(`[data-panel=${panel}] .chart`).nth(index);
  await chart.locator('canvas').waitFor();
  await chart.locator('summary').click();
  await chart.locator('tbody').waitFor();
  const cells = await chart.locator('tbody tr').evaluateAll((rows) => rows.map((row) => [...row.children].map((cell) => cell.textContent)));
  await chart.locator('summary').click();
  await chart.locator('tbody').waitFor({ state: 'detached' });
  return cells;
}

const whole = (text) => Number(text.replaceAll(',', ''));

test('uniform scores look uniform, and outliers have their own bar', async () => {
  const { page, assertQuiet } = await openView('#/overview');
  const rows = (await values(page, 'scores')).map(([range, count]) => [...range.split(' to ').map(whole), whole(count)]);
  assert.equal(rows.length, 20);
  for (const [index, [from, to, count]] of rows.entries()) {
    assert.deepEqual([from, to], [index * 5000, index * 5000 + 4999]);
    // 250 of 5,000 on average. Six standard deviations are 93.
    assert.ok(count > 150 && count < 350, `${count} from ${from} up`);
  }
  await page.getByText('Each bar is 5,000 points wide.').waitFor();
  await inspect(page, 'admin-overview-uniform');

  const buckets = [...Array.from({ length: 20 }, (_, bin) => ({ from: bin * 50, to: bin * 50 + 50, users: 400 - bin * 20 })), { from: 1000, to: null, users: 41 }];
  const far = { users: 4241, percentiles: { p50: 310, p90: 800, p99: 990, max: 9_007_199_254_740_991 }, buckets };
  await page.route('**/api/admin/scores', (route) => route.fulfill({ status: 200, json: { data: far, message: 'OK', statusCode: 200 } }));
  await page.reload();
  assert.deepEqual((await values(page, 'scores')).at(-1), ['1,000 and more', '41']);
  await page.getByText('Each bar is 50 points wide. The dashed one has all players from 1,000 up.').waitFor();
  await page.locator('[data-panel=scores]').scrollIntoViewIfNeeded();
  await inspect(page, 'admin-overview-far');

  // No player has points.
  await page.route('**/api/admin/scores', (route) => route.fulfill({
    status: 200, json: { data: { users: 0, percentiles: { p50: 0, p90: 0, p99: 0, max: 0 }, buckets: [] }, message: 'OK', statusCode: 200 },
  }));
  await page.reload();
  await page.locator('[data-panel=scores]').getByText('Median').waitFor();
  assertQuiet();
});

test('an incomplete hour and day are marked', async () => {
  const { token } = await player('grace');
  await earn(token, 3);
  const { page, assertQuiet } = await openView('#/overview');
  for (const [button, count, step] of [['24 hours', 24, 'hour'], ['7 days', 168, 'hour'], ['30 days', 30, 'day']]) {
    await page.getByRole('button', { name: button }).click();
    await page.getByText(`per ${step}, UTC; dashed: still counting`).waitFor();
    for (const index of [0, 1]) {
      await until(`${button} are drawn`, async () => (await values(page, 'timeline', index)).length === count);
      const firsts = (await values(page, 'timeline', index)).map(([first]) => first.endsWith('so far'));
      assert.deepEqual(firsts, Array.from({ length: count }, (_, row) => row === count - 1), button);
    }
    await page.getByRole('img', { name: new RegExp(`^Awards\\..*The last ${step} is still counting\\.`) }).waitFor();
    await page.evaluate(() => scrollTo(0, 0));
    await inspect(page, `admin-timeline-${count}`);
  }
  assert.equal(await page.locator('.heatmap .now').count(), 1);
  assertQuiet();
});
