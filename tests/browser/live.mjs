// The live page: what players and spectators see, on a phone, a desktop and a wall, over two nodes.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { look, open } from './browser.mjs';
import { win } from './operator.mjs';
import { action, button, focused, live, play, register, shows, total } from './player.mjs';

const { ONE, TWO, CLOSED } = process.env;
const PHONE = { viewport: { width: 390, height: 844 }, isMobile: true, hasTouch: true };

/** The server says that the daily bonus is used up. */
async function doneForToday(page) {
  await action(page, 'Daily bonus').getByText('Done for today, back at 00:00 UTC').waitFor();
  const used = button(page, 'Daily bonus');
  assert.match(await used.textContent(), /^\d+ (s|min|h)$/);
  assert.equal(await used.getAttribute('aria-disabled'), 'true');
}

test('an award on one node moves the board on the other’s page, for players and spectators', async () => {
  const [ada, spectator] = [await open(ONE, { reducedMotion: 'no-preference' }), await open(TWO, { colorScheme: 'dark' })];
  await live(spectator.page);
  await spectator.page.waitForSelector('#board-empty:not([hidden])');
  await register(ada.page, 'ada');
  await play(ada.page, 'Complete a level');
  await total(ada.page, 20);
  assert.equal(await ada.page.textContent('#mine-rank'), '#1');
  await shows(ada.page, ['1 ada 20']);
  await shows(spectator.page, ['1 ada 20']);
  assert.equal(await ada.page.locator('.place.own .name').textContent(), 'ada');
  assert.equal(await spectator.page.locator('.place.own').count(), 0);

  const bob = await open(TWO);
  await register(bob.page, 'bob');
  await play(bob.page, 'Solve a puzzle');
  await shows(ada.page, ['1 ada 20', '2 bob 15']);
  await play(bob.page, 'Watch an ad');
  await shows(ada.page, ['1 bob 25', '2 ada 20']);
  await ada.page.waitForFunction(() => document.getElementById('mine-rank').textContent === '#2');
  assert.equal(await ada.page.textContent('#mine-news'), '', 'what an award led to is told as long as it is so');
  await ada.page.getByText('5 points to 1st place.').waitFor();
  await ada.page.waitForFunction(() => document.getElementById('said').textContent.includes('bob is first'));
  await shows(spectator.page, ['1 bob 25', '2 ada 20']);
  await look(ada.page, 'live-desktop');
  await look(spectator.page, 'live-dark');
  // A second page of the same player is hers too, and hears of what the first one wins.
  const again = await ada.context.newPage();
  await again.goto(ONE);
  await total(again, 20);
  await live(again);
  await play(ada.page, 'Watch an ad');
  await again.waitForFunction(() => document.getElementById('mine-news').textContent === '+10 points. You rose from 2nd to 1st.');
  await total(again, 30);
  for (const it of [ada, bob, spectator]) it.assertQuiet();
});

test('the quiz, work and waiting are proven on the page', async () => {
  const { page, assertQuiet } = await open(ONE);
  await register(page, 'carol');
  await play(page, 'Proof of work');
  await total(page, 15);
  await play(page, 'Take your time');
  await page.waitForSelector('.action progress:not([hidden])');
  await total(page, 25);

  await play(page, 'Answer a question');
  await page.waitForSelector('#quiz[open]');
  await look(page, 'live-quiz');
  await page.keyboard.press('Escape');
  await action(page, 'Answer a question').getByText('You gave up. This question is gone.').waitFor();
  await page.waitForFunction(() => document.getElementById('said').textContent.startsWith('You gave up.'));
  await total(page, 25);

  const answers = { France: 'Paris', Australia: 'Canberra', Canada: 'Ottawa', Kenya: 'Nairobi', Brazil: 'Brasília', Turkey: 'Ankara',
    'New Zealand': 'Wellington', Morocco: 'Rabat', Vietnam: 'Hanoi', Switzerland: 'Bern' };
  await play(page, 'Answer a question');
  await page.waitForSelector('#quiz[open]');
  const question = await page.locator('#quiz-question').textContent();
  const answer = answers[Object.keys(answers).find((it) => question.includes(it))];
  if (await page.isVisible('#quiz-free')) {
    await page.fill('#quiz-free input', answer);
    await page.click('#quiz-go');
  } else {
    await page.getByRole('button', { name: answer }).click();
  }
  await total(page, 40);

  await play(page, 'Daily bonus');
  await total(page, 45);
  await doneForToday(page);
  await page.reload();
  await doneForToday(page);
  assertQuiet();
});

test('a wrong answer and a limit are told where they happened', async () => {
  const { page } = await open(ONE);
  await play(page, 'Watch an ad');
  await page.waitForSelector('#problem-door:not([hidden])');
  assert.equal(await focused(page), 'username');
  await page.fill('[name=username]', 'a');
  await page.click('#door-go');
  assert.equal(await page.getAttribute('[name=username]', 'aria-invalid'), 'true');
  await page.fill('[name=username]', 'no spaces please');
  await page.fill('[name=email]', 'dave@example.com');
  await page.fill('[name=password]', 'correct horse');
  await page.click('#door-go');
  await page.waitForSelector('#problem-username[role=alert]:not([hidden])');
  await page.waitForFunction(() => document.activeElement.name === 'username');
  await register(page, 'dave');

  await play(page, 'Watch an ad');
  await total(page, 10);
  // Ten a minute, which a page on a busy machine does not reach: every action waits now, and says for how long.
  await win(await page.evaluate(() => localStorage.getItem('laurel.login')), 9);
  await total(page, 100);
  await play(page, 'Watch an ad');
  await page.waitForFunction(() => [...document.querySelectorAll('.action button')].every((it) => it.ariaDisabled === 'true' && /\ds$/.test(it.textContent.replace(' ', ''))));
  await look(page, 'live-limited');
});

test('a reload keeps the login, leaving ends it, and coming back works', async () => {
  const { page, assertQuiet } = await open(ONE);
  await register(page, 'erin');
  await play(page, 'Solve a puzzle');
  await total(page, 15);
  await page.reload();
  await total(page, 15);
  await live(page);
  await page.click('#leave');
  await page.waitForSelector('#door:not([hidden])');
  assert.equal(await page.evaluate(() => localStorage.getItem('laurel.login')), null);
  await page.click('#door-login');
  await page.fill('[name=username]', 'erin');
  await page.fill('[name=password]', 'wrong horse');
  await page.click('#door-go');
  await page.waitForSelector('#problem-door:not([hidden])');
  await page.fill('[name=password]', 'correct horse');
  await page.keyboard.press('Enter');
  await total(page, 15);
  assertQuiet();
});

test('by keyboard alone', async () => {
  const { page } = await open(ONE);
  const { keyboard } = page;
  /** Tabs on to what is asked for. */
  const to = async (found) => {
    for (let tabs = 0; tabs < 40; tabs += 1) {
      if (await page.evaluate(found)) return;
      await keyboard.press('Tab');
    }
    assert.fail(`no key leads to ${found}`);
  };
  await live(page);
  await keyboard.press('Tab');
  assert.equal(await page.evaluate(() => document.activeElement.className), 'skip');
  await keyboard.press('Enter');
  await page.waitForFunction(() => document.activeElement.id === 'board');
  await to(() => document.activeElement.name === 'username');
  await keyboard.type('frank');
  await keyboard.press('Tab');
  await keyboard.type('frank@example.com');
  await keyboard.press('Tab');
  await keyboard.type('correct horse');
  await keyboard.press('Enter');
  // Whoever came in stands before the actions, and after an award still at its button.
  await page.waitForFunction(() => document.activeElement.id === 'play-title');
  await to(() => document.activeElement.ariaLabel?.endsWith('Solve a puzzle'));
  await keyboard.press('Enter');
  await total(page, 15);
  // The board may be faster than the answer; until that is there the button is busy.
  await page.waitForFunction(() => document.activeElement.ariaLabel?.endsWith('points: Solve a puzzle'));
  await keyboard.press('Space');
  await total(page, 30);
  await to(() => document.activeElement.ariaLabel?.endsWith('Answer a question'));
  await keyboard.press('Enter');
  await page.waitForSelector('#quiz[open]');
  await keyboard.press('Escape');
  await page.waitForFunction(() => document.activeElement.ariaLabel?.endsWith('Answer a question'));
  for (let tabs = 0; tabs < 40 && await focused(page) !== 'leave'; tabs += 1) await keyboard.press('Shift+Tab');
  await keyboard.press('Enter');
  await page.waitForFunction(() => document.activeElement.id === 'door-title');
});

test('on a phone', async () => {
  const { page, assertQuiet } = await open(ONE, { ...PHONE, colorScheme: 'light' });
  await register(page, 'grace');
  await play(page, 'Complete a level');
  await total(page, 20);
  const wide = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
  assert.equal(wide, 0, 'nothing is wider than the phone');
  await page.evaluate(() => scrollTo(0, 0));
  await look(page, 'live-phone');
  assertQuiet();
});

test('on a wall', async () => {
  const { page, assertQuiet } = await open(`${TWO}/#wall`, { viewport: { width: 1920, height: 1080 }, colorScheme: 'dark' });
  await page.waitForSelector('.place:not(.free)');
  const bottom = await page.evaluate(() => document.getElementById('board').lastElementChild.getBoundingClientRect().bottom);
  assert.ok(bottom <= 1080, `the tenth place ends at ${bottom}`);
  assert.equal(await page.isVisible('#door'), false);
  await look(page, 'live-wall');
  assertQuiet();
});

test('the page is a few files, and its first board needs no live connection', async () => {
  const { page, assertQuiet } = await open(ONE);
  const asked = [];
  page.on('request', (request) => asked.push(new URL(request.url()).pathname));
  await page.route('**/api/v1/leaderboard/stream', () => {});
  await page.reload();
  await page.waitForSelector('.place:not(.free)');
  await page.waitForSelector('.action');
  assert.equal(await page.textContent('#connection-text'), 'Connecting');
  const files = asked.filter((path) => !path.startsWith('/api/') && !/\.(svg|woff2)$/.test(path));
  assert.deepEqual(files.sort(), ['/', '/assets/live.css', '/assets/live.js']);
  assert.ok(asked.length <= 12, asked.join(' '));
  assertQuiet();
});

test('without spectators the page asks for a login', async () => {
  const { page } = await open(CLOSED);
  await live(page, 'refused');
  await page.waitForSelector('#problem-door:not([hidden])');
  await register(page, 'heidi');
  await live(page);
  await page.waitForSelector('.place:not(.free)');
});
