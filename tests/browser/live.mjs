// The live page over two nodes: players and spectators, on a phone, a desktop and a wall screen.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { inspect, open } from './browser.mjs';
import { earn, player } from './admin-helpers.mjs';
import { action, button, focused, showsState, play, register, showsRows, showsScore } from './live-helpers.mjs';

const { ONE, TWO, CLOSED } = process.env;
const PHONE = { viewport: { width: 390, height: 844 }, isMobile: true, hasTouch: true };

/** Waits until the daily bonus is used up. */
async function showsBonusUsed(page) {
  await action(page, 'Daily bonus').getByText('Done for today, back at 00:00 UTC').waitFor();
  const used = button(page, 'Daily bonus');
  assert.match(await used.textContent(), /^\d+ (s|min|h)$/);
  assert.equal(await used.getAttribute('aria-disabled'), 'true');
}

test('an award on one node changes the board on another, for players and spectators', async () => {
  const [ada, spectator] = [await open(ONE, { reducedMotion: 'no-preference' }), await open(TWO, { colorScheme: 'dark' })];
  await showsState(spectator.page);
  await spectator.page.waitForSelector('#board-empty:not([hidden])');
  await register(ada.page, 'ada');
  await play(ada.page, 'Complete a level');
  await showsScore(ada.page, 20);
  assert.equal(await ada.page.textContent('#my-rank'), '#1');
  await showsRows(ada.page, ['1 ada 20']);
  await showsRows(spectator.page, ['1 ada 20']);
  assert.equal(await ada.page.locator('.place.own .name').textContent(), 'ada');
  assert.equal(await spectator.page.locator('.place.own').count(), 0);

  const bob = await open(TWO);
  await register(bob.page, 'bob');
  await play(bob.page, 'Solve a puzzle');
  await showsRows(ada.page, ['1 ada 20', '2 bob 15']);
  await play(bob.page, 'Watch an ad');
  await showsRows(ada.page, ['1 bob 25', '2 ada 20']);
  await ada.page.waitForFunction(() => document.getElementById('my-rank').textContent === '#2');
  assert.equal(await ada.page.textContent('#my-news'), '', 'the news of an award are gone when the rank changes');
  await ada.page.getByText('5 points to 1st place.').waitFor();
  await ada.page.waitForFunction(() => document.getElementById('announcement').textContent.includes('bob takes first place'));
  await showsRows(spectator.page, ['1 bob 25', '2 ada 20']);
  await inspect(ada.page, 'live-desktop');
  await inspect(spectator.page, 'live-dark');
  // A second page of the same player shows the awards of the first one.
  const again = await ada.context.newPage();
  await again.goto(ONE);
  await showsScore(again, 20);
  await showsState(again);
  await play(ada.page, 'Watch an ad');
  await again.waitForFunction(() => document.getElementById('my-news').textContent === '+10 points. You rose from 2nd to 1st.');
  await showsScore(again, 30);
  for (const opened of [ada, bob, spectator]) opened.assertQuiet();
});

test('the page proves quiz, proof of work and waiting', async () => {
  const { page, assertQuiet } = await open(ONE);
  await register(page, 'carol');
  await play(page, 'Proof of work');
  await showsScore(page, 15);
  await play(page, 'Take your time');
  await page.waitForSelector('.action progress:not([hidden])');
  await showsScore(page, 25);

  await play(page, 'Answer a question');
  await page.waitForSelector('#quiz[open]');
  await inspect(page, 'live-quiz');
  await page.keyboard.press('Escape');
  await action(page, 'Answer a question').getByText('You gave up. Play again for a new question.').waitFor();
  await page.waitForFunction(() => document.getElementById('announcement').textContent.startsWith('You gave up.'));
  await showsScore(page, 25);

  const answers = { France: 'Paris', Australia: 'Canberra', Canada: 'Ottawa', Kenya: 'Nairobi', Brazil: 'Brasília', Turkey: 'Ankara',
    'New Zealand': 'Wellington', Morocco: 'Rabat', Vietnam: 'Hanoi', Switzerland: 'Bern' };
  await play(page, 'Answer a question');
  await page.waitForSelector('#quiz[open]');
  const question = await page.locator('#quiz-question').textContent();
  const answer = answers[Object.keys(answers).find((country) => question.includes(country))];
  if (await page.isVisible('#quiz-text')) {
    await page.fill('#quiz-text input', answer);
    await page.click('#quiz-submit');
  } else {
    await page.getByRole('button', { name: answer }).click();
  }
  await showsScore(page, 40);

  await play(page, 'Daily bonus');
  await showsScore(page, 45);
  await showsBonusUsed(page);
  await page.reload();
  await showsBonusUsed(page);
  assertQuiet();
});

test('errors and limits are shown where they happened', async () => {
  const { page } = await open(ONE);
  await play(page, 'Watch an ad');
  await page.waitForSelector('#problem-form:not([hidden])');
  assert.equal(await focused(page), 'username');
  await page.fill('[name=username]', 'a');
  await page.click('#sign-in-submit');
  assert.equal(await page.getAttribute('[name=username]', 'aria-invalid'), 'true');
  await page.fill('[name=username]', 'no spaces please');
  await page.fill('[name=email]', 'dave@example.com');
  await page.fill('[name=password]', 'correct horse');
  await page.click('#sign-in-submit');
  await page.waitForSelector('#problem-username[role=alert]:not([hidden])');
  await page.waitForFunction(() => document.activeElement.name === 'username');
  await register(page, 'dave');

  await play(page, 'Watch an ad');
  await showsScore(page, 10);
  // The limit is ten a minute, which a page on a busy machine does not reach. Then every action shows the wait.
  await earn(await page.evaluate(() => localStorage.getItem('laurel.login')), 9);
  await showsScore(page, 100);
  await play(page, 'Watch an ad');
  await page.waitForFunction(() => [...document.querySelectorAll('.action button')].every((button) => button.ariaDisabled === 'true' && /\ds$/.test(button.textContent.replace(' ', ''))));
  await inspect(page, 'live-limited');
});

test('a reload keeps the login, a logout ends it, and another login works', async () => {
  const { page, assertQuiet } = await open(ONE);
  await register(page, 'erin');
  await play(page, 'Solve a puzzle');
  await showsScore(page, 15);
  await page.reload();
  await showsScore(page, 15);
  await showsState(page);
  await page.click('#log-out');
  await page.waitForSelector('#sign-in:not([hidden])');
  assert.equal(await page.evaluate(() => localStorage.getItem('laurel.login')), null);
  await page.click('#sign-in-login');
  await page.fill('[name=username]', 'erin');
  await page.fill('[name=password]', 'wrong horse');
  await page.click('#sign-in-submit');
  await page.waitForSelector('#problem-form:not([hidden])');
  await page.fill('[name=password]', 'correct horse');
  await page.keyboard.press('Enter');
  await showsScore(page, 15);
  assertQuiet();
});

test('the page works by keyboard alone', async () => {
  const { page } = await open(ONE);
  const { keyboard } = page;
  /** Presses Tab until the focused element is the right one. */
  const tabTo = async (isFocused) => {
    for (let tabs = 0; tabs < 40; tabs += 1) {
      if (await page.evaluate(isFocused)) return;
      await keyboard.press('Tab');
    }
    assert.fail(`Tab does not reach ${isFocused}`);
  };
  await showsState(page);
  await keyboard.press('Tab');
  assert.equal(await page.evaluate(() => document.activeElement.className), 'skip');
  await keyboard.press('Enter');
  await page.waitForFunction(() => document.activeElement.id === 'board');
  await tabTo(() => document.activeElement.name === 'username');
  await keyboard.type('frank');
  await keyboard.press('Tab');
  await keyboard.type('frank@example.com');
  await keyboard.press('Tab');
  await keyboard.type('correct horse');
  await keyboard.press('Enter');
  // After the login the focus is before the actions, and after an award still at its button.
  await page.waitForFunction(() => document.activeElement.id === 'play-title');
  await tabTo(() => document.activeElement.ariaLabel?.endsWith('Solve a puzzle'));
  await keyboard.press('Enter');
  await showsScore(page, 15);
  // The board may be faster than the response. Until that arrives, the button is disabled.
  await page.waitForFunction(() => document.activeElement.ariaLabel?.endsWith('points: Solve a puzzle'));
  await keyboard.press('Space');
  await showsScore(page, 30);
  await tabTo(() => document.activeElement.ariaLabel?.endsWith('Answer a question'));
  await keyboard.press('Enter');
  await page.waitForSelector('#quiz[open]');
  await keyboard.press('Escape');
  await page.waitForFunction(() => document.activeElement.ariaLabel?.endsWith('Answer a question'));
  for (let tabs = 0; tabs < 40 && await focused(page) !== 'log-out'; tabs += 1) await keyboard.press('Shift+Tab');
  await keyboard.press('Enter');
  await page.waitForFunction(() => document.activeElement.id === 'sign-in-title');
});

test('the page fits a phone', async () => {
  const { page, assertQuiet } = await open(ONE, { ...PHONE, colorScheme: 'light' });
  await register(page, 'grace');
  await play(page, 'Complete a level');
  await showsScore(page, 20);
  const wide = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
  assert.equal(wide, 0, 'nothing is wider than the phone');
  await page.evaluate(() => scrollTo(0, 0));
  await inspect(page, 'live-phone');
  assertQuiet();
});

test('tabs show the other boards: live, with the own place, and more by page', async () => {
  const best = await player('ivan');
  await earn(best.token, 5);
  for (const name of ['jo', 'ki', 'lu', 'mo', 'ny', 'ol', 'pa', 'ra', 'su'].map((start) => `${start}_weekly`)) await earn((await player(name)).token, 4);
  for (const name of ['va_weekly', 'wi_weekly']) await earn((await player(name)).token, 1);
  const { page, assertQuiet } = await open(TWO, { viewport: { width: 360, height: 740 }, colorScheme: 'dark' });
  const tab = (name) => page.getByRole('tab', { name, selected: true });
  const entry = (name) => page.locator('#entries .place', { hasText: name });
  await register(page, 'judy');
  await play(page, 'Daily bonus');
  await page.getByRole('tab', { name: 'This week' }).click();
  await page.getByRole('heading', { level: 1, name: 'This week' }).waitFor();
  await page.getByRole('tabpanel', { name: 'This week' }).getByText(/^Ends in \d/).waitFor();
  await page.locator('#own-entries .own', { hasText: 'judy' }).waitFor();
  assert.equal(await page.locator('#entries .place').count(), 10);
  assert.equal(await entry('judy').count(), 0);
  assert.ok(await page.locator('#own-entries .place').count() >= 3, 'with neighbors');
  assert.equal(await page.isVisible('#board'), false);
  assert.equal(await page.evaluate(() => document.documentElement.scrollWidth), 360);
  await inspect(page, 'live-board-phone');
  await page.setViewportSize({ width: 1280, height: 900 });
  await inspect(page, 'live-board');

  await page.getByRole('button', { name: 'Show more' }).click();
  await entry('judy').waitFor();
  await page.waitForSelector('#own-place', { state: 'hidden' });
  assert.equal(await page.isVisible('#entries-more'), false);
  assert.equal(await focused(page), 'entries');
  await earn(best.token, 4);
  await entry('ivan').getByText('90', { exact: true }).waitFor();
  let held = [];
  await page.route('**/weekly/entries?*', (route) => (held === null ? route.continue() : held.push(route)));
  await earn(best.token, 1);
  await entry('ivan').getByText('100', { exact: true }).waitFor();
  // `unroute` would continue those that are held, too.
  const reads = held;
  held = null;
  await Promise.all(reads.map((route) => route.continue()));

  await tab('This week').focus();
  await page.keyboard.press('ArrowLeft');
  await tab('Today').waitFor();
  assert.equal(await focused(page), 'tab-daily');
  const closed = { board: 'monthly', period: '2025-10', state: 'closed', version: 1, asOf: null, stale: false, total: 1 };
  const winner = { position: 1, rank: 1, userId: best.id, username: 'ivan', displayName: 'Ivan the first', score: 7, achievedAt: '2025-10-09T00:00:00.000Z' };
  await page.route('**/monthly/periods?*', (route) => route.fulfill({ json: { periods: [{ id: '2025-11', state: 'open' }, { id: '2025-10', state: 'closed' }] } }));
  await page.route('**/monthly/entries?period=2025-10*', (route) => route.fulfill({ json: { ...closed, entries: [winner], me: null } }));
  await page.keyboard.press('End');
  await tab('This month').waitFor();
  await entry('judy').or(page.locator('#own-entries .own')).waitFor();
  await page.getByLabel('Period').selectOption('October 2025');
  await entry('Ivan the first').waitFor();
  await page.getByText('Final result', { exact: true }).waitFor();
  await page.getByLabel('Period').selectOption('Current period');
  await page.getByText(/^Ends in \d/).waitFor();
  await entry('ivan').getByText('100', { exact: true }).waitFor();
  await tab('This month').focus();
  await page.keyboard.press('ArrowRight');
  await tab('All time').waitFor();
  await page.locator('#board .place', { hasText: 'ivan' }).waitFor();
  await page.getByRole('heading', { level: 1, name: 'Top 10' }).waitFor();
  assertQuiet();
});

test('the wall screen shows the board that its URL names', async () => {
  const { page } = await open(`${ONE}/#wall?board=weekly`, { viewport: { width: 1920, height: 1080 } });
  await page.getByRole('heading', { level: 1, name: 'This week' }).waitFor();
  await page.waitForSelector('#entries .place:not(.free)');
  const bottom = await page.evaluate(() => document.getElementById('entries').lastElementChild.getBoundingClientRect().bottom);
  assert.ok(bottom <= 1080, `the tenth place ends at ${bottom}`);
  assert.equal(await page.isVisible('#board-tabs'), false);
  await inspect(page, 'live-wall-board');
  await page.keyboard.press('Escape');
  await page.getByRole('tab', { name: 'This week', selected: true }).waitFor();
  await page.getByRole('button', { name: 'Wall screen' }).click();
  assert.equal(new URL(page.url()).hash, '#wall?board=weekly');
  await page.evaluate(() => { location.hash = '#wall?board=hourly'; });
  await page.getByText('“hourly” was not found. Here is the leaderboard.').waitFor();
  await page.waitForSelector('#board .place:not(.free)');
});

test('the wall screen fits its screen', async () => {
  const { page, assertQuiet } = await open(`${TWO}/#wall`, { viewport: { width: 1920, height: 1080 }, colorScheme: 'dark' });
  await page.waitForSelector('.place:not(.free)');
  const bottom = await page.evaluate(() => document.getElementById('board').lastElementChild.getBoundingClientRect().bottom);
  assert.ok(bottom <= 1080, `the tenth place ends at ${bottom}`);
  assert.equal(await page.isVisible('#sign-in'), false);
  await inspect(page, 'live-wall');
  assertQuiet();
});

test('the page needs few files, and its first board no live connection', async () => {
  const { page, assertQuiet } = await open(ONE);
  const requests = [];
  page.on('request', (request) => requests.push(new URL(request.url()).pathname));
  await page.route('**/api/v1/leaderboard/stream', () => {});
  await page.reload();
  await page.waitForSelector('.place:not(.free)');
  await page.waitForSelector('.action');
  assert.equal(await page.textContent('#connection-text'), 'Connecting');
  const files = requests.filter((path) => !path.startsWith('/api/') && !/\.(svg|woff2)$/.test(path));
  assert.deepEqual(files.sort(), ['/', '/assets/live.css', '/assets/live.js']);
  assert.ok(requests.length <= 12, requests.join(' '));
  assertQuiet();
});

test('without a public stream the page asks for a login', async () => {
  const { page } = await open(CLOSED);
  await showsState(page, 'refused');
  await page.waitForSelector('#problem-form:not([hidden])');
  await register(page, 'heidi');
  await showsState(page);
  await page.waitForSelector('.place:not(.free)');
});
