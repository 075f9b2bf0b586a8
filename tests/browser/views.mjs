// The operators' page over thousands of players: what is not there, the search, suspects and who is behind them, what the charts say.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { call, heading, logIn, player, until, win } from './operator.mjs';
import { look, open } from './browser.mjs';

const { ONE } = process.env;

/** The page of an operator, at a place. */
async function operator(hash, screen) {
  const opened = await open(`${ONE}/admin${hash}`, screen);
  await logIn(opened.page, 'root');
  await opened.page.getByRole('navigation').waitFor();
  return opened;
}

const go = (page, hash) => page.evaluate((it) => { location.hash = it; }, hash);
const fits = async (page, what) => assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= document.documentElement.clientWidth), what);

test('what is not there is not found, and what is there is', async () => {
  const { page, assertQuiet } = await operator('');
  await heading(page, 'Overview');
  const nowhere = [
    '#constructor', '#__proto__', '#/toString', '#/hasOwnProperty/1', '#/wall', '#/Players', '#/overview/x', '#/audit/1', '#/letters/1',
    '#/players/1/2', '#/players//1', '#/players/../audit', '#/players/..', '#/suspects/.', '#/players/%2e%2e', '#/%', '#/%E0%A4%A', '#/ ',
  ];
  const nobody = ['nobody', '0', '99999', '99999999999999999999', '01930a5b-7c00-7000-8000-0000000000ab', '%20', 'a%2Fb', '+1', '<b>x</b>', '%', '...'];
  const unknown = [...nobody.flatMap((it) => [`#/players/${it}`, `#/suspects/${it}`]), '#/players/1.2.3.4'];
  for (const hash of [...nowhere, ...unknown]) {
    await go(page, '#/audit');
    await heading(page, 'Audit');
    await go(page, hash);
    await heading(page, 'Not found');
    assert.match(await page.title(), /^Not found/);
    assert.equal(await page.evaluate(() => document.activeElement.textContent), 'Not found', hash);
    assert.equal(await page.getByRole('button', { name: 'Try again' }).count(), 0, hash);
    assert.equal(await page.locator('main [data-panel], main b').count(), 0, hash);
  }
  await look(page, 'admin-not-found');
  await page.getByRole('main').getByRole('link', { name: 'Players' }).click();
  for (const [hash, wanted] of Object.entries({ '#/players/': 'Players', '#': 'Overview', '#/suspects/10.0.0.1': '10.0.0.1', '#/suspects/2001:db8::1': '2001:db8::1', '#/players/ROOT': 'root', '#/': 'Overview' })) {
    await go(page, hash);
    await heading(page, wanted);
  }
  await go(page, '#/wall');
  await page.getByRole('main').getByRole('link', { name: 'Overview' }).click();
  await heading(page, 'Overview');
  assertQuiet();
});

test('a search finds any part of a name, says how many there are, and shows them all', async () => {
  await player('player_one');
  await player('aplayerxone');
  const { page, assertQuiet } = await operator('#/players');
  const panel = page.locator('[data-panel=players]');
  const names = () => panel.locator('tbody a.user').allTextContents();
  const [more, count] = [page.getByRole('button', { name: 'Show more' }), panel.getByRole('status')];
  const find = async (text) => {
    await page.getByLabel('Find a player').fill(text);
    await panel.getByRole('heading', { name: text ? 'Found' : 'The newest' }).waitFor();
    await until(`an answer to ${text}`, async () => (await count.textContent()) !== '' && (await page.locator('[aria-busy]').count()) === 0
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
  await look(page, 'admin-players-found');
  // A page that does not come is asked for again; what is shown stays.
  const away = { status: 503, json: { data: null, message: 'Not for the moment', statusCode: 503, metadata: {} } };
  await page.route('**/api/admin/users?*after=*', (route) => route.fulfill(away), { times: 1 });
  await more.click();
  await page.getByRole('alert').getByText('Not for the moment').waitFor();
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
  assert.ok(total > 100 && all.every((it) => /otter/i.test(it)), `${all}`);
  assert.equal(await count.textContent(), `${total} players`);

  await find('nobody is called so');
  await panel.getByText('No players found.').waitFor();
  assert.equal(await count.textContent(), '0 players');
  assertQuiet();
});

test('from an address one comes to the players behind it, and bans them; players and addresses have scales of their own', async () => {
  const cheats = [await player('mallory'), await player('trudy'), await player('oscar')];
  for (const [index, { token }] of cheats.entries()) {
    for (let it = 0; it <= index; it += 1) await call(ONE, 'POST', '/api/v1/scores', { actionToken: `act_${'z'.repeat(32)}` }, token);
  }
  const { page, assertQuiet } = await operator('#/suspects');
  const [players, addresses] = ['suspects', 'addresses'].map((it) => page.locator(`[data-panel=${it}]`));
  await until('all signs are written', async () => {
    await page.reload();
    await players.waitFor();
    return (await players.getByRole('link', { name: /mallory|trudy|oscar/ }).count()) === 3 && (await players.getByText('30', { exact: true }).count()) === 1;
  });
  for (const panel of [players, addresses]) {
    assert.equal(await panel.locator('.bar-line').first().evaluate((it) => it.style.getPropertyValue('--share')), '1');
  }
  // Words for what is shown: what a sign is, what its weight, and what each kind means and counts.
  await page.getByText(/A sign is a request .* the sum is the weight/).waitFor();
  await page.getByRole('row', { name: 'forged 10 a token never given out' }).waitFor();
  assert.equal(await page.getByRole('table', { name: 'What the signs mean' }).getByRole('row').count(), 8 + 1);
  await look(page, 'admin-suspects-desktop');

  await players.getByRole('link', { name: 'oscar' }).click();
  await heading(page, 'oscar');
  await page.locator('[data-panel=behind]').getByRole('link', { name: '127.0.0.1' }).click();
  await heading(page, '127.0.0.1');
  const behind = page.getByRole('table', { name: 'Players behind this address' });
  await behind.getByRole('link', { name: 'mallory' }).waitFor();
  assert.deepEqual(await behind.locator('a.user').allTextContents(), ['oscar', 'trudy', 'mallory']);
  await look(page, 'admin-address-desktop');
  await behind.locator('[data-deed=ban]').first().click();
  await page.getByRole('dialog', { name: 'Ban oscar' }).waitFor();
  await page.keyboard.press('Escape');

  await page.getByRole('button', { name: 'Ban all 3…' }).click();
  const dialog = page.getByRole('dialog', { name: 'Ban 3 players behind 127.0.0.1' });
  await dialog.getByText('oscar, trudy, mallory').waitFor();
  await look(page, 'admin-ban-all');
  await dialog.getByRole('button', { name: 'Ban all' }).click();
  await dialog.getByText('is missing').waitFor();
  await dialog.getByText('Confirm this first.').waitFor();
  await dialog.getByLabel('Reason').fill('a farm of bots');
  await dialog.getByRole('checkbox').check();
  // The second one fails: a repeat goes on with it.
  const banned = [];
  await page.route('**/ban', async (route) => {
    banned.push(route.request().url().split('/').at(-2));
    if (banned.length === 2) return route.abort();
    return route.continue();
  });
  await dialog.getByRole('button', { name: 'Ban all' }).click();
  await dialog.getByText('1 of 3 are banned.').waitFor();
  await dialog.getByRole('button', { name: 'Ban all' }).click();
  await page.getByRole('status').getByText('3 players banned.').waitFor();
  const [mallory, trudy, oscar] = cheats.map((it) => it.id);
  assert.deepEqual(banned, [oscar, trudy, trudy, mallory]);
  for (const { token } of cheats) {
    assert.equal((await call(ONE, 'POST', '/api/v1/actions/init', { actionType: 'watch_ad' }, token)).metadata.errorCode, 'FORBIDDEN');
  }
  await until('all are shown as banned', async () => (await behind.getByText('banned', { exact: true }).count()) === 3);
  assert.equal(await page.getByRole('button', { name: /Ban all/ }).count(), 0);
  assert.equal(await behind.getByRole('button', { name: 'Unban…' }).count(), 3);
  await page.setViewportSize({ width: 390, height: 844 });
  await look(page, 'admin-address-phone');
  await fits(page, 'an address');
  await go(page, '#/suspects');
  await players.waitFor();
  await look(page, 'admin-suspects-phone');
  await fits(page, 'suspects');
  assertQuiet();
});

/** The rows of a chart's table, as their cells. */
async function values(page, panel, index = 0) {
  const chart = page.locator(`[data-panel=${panel}] .chart`).nth(index);
  await chart.locator('canvas').waitFor();
  await chart.locator('summary').click();
  const rows = await chart.locator('tbody tr').evaluateAll((all) => all.map((row) => [...row.children].map((it) => it.textContent)));
  await chart.locator('summary').click();
  return rows;
}

const whole = (text) => Number(text.replaceAll(',', ''));

test('uniform scores look uniform, and what is far above has a bar that says so', async () => {
  const { page, assertQuiet } = await operator('#/overview');
  const rows = (await values(page, 'scores')).map(([range, count]) => [...range.split(' to ').map(whole), whole(count)]);
  assert.equal(rows.length, 20);
  for (const [index, [from, to, count]] of rows.entries()) {
    assert.deepEqual([from, to], [index * 5000, index * 5000 + 4999]);
    // 250 of 5,000 on average; six deviations are 93.
    assert.ok(count > 150 && count < 350, `${count} from ${from} on`);
  }
  await page.getByText('Each bar is 5,000 points wide.').waitFor();
  await look(page, 'admin-overview-uniform');

  const buckets = [...Array.from({ length: 20 }, (_, it) => ({ from: it * 50, to: it * 50 + 50, users: 400 - it * 20 })), { from: 1000, to: null, users: 41 }];
  const far = { users: 4241, percentiles: { p50: 310, p90: 800, p99: 990, max: 9_007_199_254_740_991 }, buckets };
  await page.route('**/api/admin/scores', (route) => route.fulfill({ status: 200, json: { data: far, message: 'As you see', statusCode: 200 } }));
  await page.reload();
  assert.deepEqual((await values(page, 'scores')).at(-1), ['1,000 and more', '41']);
  await page.getByText('Each bar is 50 points wide; the dashed one is everybody from 1,000 on.').waitFor();
  await page.locator('[data-panel=scores]').scrollIntoViewIfNeeded();
  await look(page, 'admin-overview-far');

  // Nobody has won anything yet.
  await page.route('**/api/admin/scores', (route) => route.fulfill({
    status: 200, json: { data: { users: 0, percentiles: { p50: 0, p90: 0, p99: 0, max: 0 }, buckets: [] }, message: 'As you see', statusCode: 200 },
  }));
  await page.reload();
  await page.locator('[data-panel=scores]').getByText('Half have').waitFor();
  assertQuiet();
});

test('an hour and a day that are not over are marked', async () => {
  const { token } = await player('grace');
  await win(token, 3);
  const { page, assertQuiet } = await operator('#/overview');
  for (const [button, count, step] of [['24 hours', 24, 'hour'], ['7 days', 168, 'hour'], ['30 days', 30, 'day']]) {
    await page.getByRole('button', { name: button }).click();
    await page.getByText(`by UTC ${step}; the dashed one is not over yet`).waitFor();
    for (const index of [0, 1]) {
      await until(`${button} are drawn`, async () => (await values(page, 'course', index)).length === count);
      const firsts = (await values(page, 'course', index)).map(([first]) => first.endsWith('so far'));
      assert.deepEqual(firsts, Array.from({ length: count }, (_, it) => it === count - 1), button);
    }
    await page.getByRole('img', { name: new RegExp(`^Awards\\..*The last ${step} is not over yet\\.`) }).waitFor();
    await page.evaluate(() => scrollTo(0, 0));
    await look(page, `admin-course-${count}`);
  }
  assert.equal(await page.locator('.heat .now').count(), 1);
  assertQuiet();
});
