// Layout of the live page: narrow and wide windows, large text, right to left, wall screens; and what a screen reader gets.

import assert from 'node:assert/strict';
import { before, test } from 'node:test';
import { inspect, open } from './browser.mjs';
import { player, earn } from './admin-helpers.mjs';
import { action, focused, showsState, play, register, showsScore } from './live-helpers.mjs';

const { ONE } = process.env;
const LONG_NAME = 'a_name_as_long_as_a_name_can_be_with_50_characters'.padEnd(50, 'x').slice(0, 50);
let tokenOfTenth;

before(async () => {
  for (const [index, name] of [LONG_NAME, 'bo', ...'cdefghij'].entries()) {
    const { token } = await player(name.length < 3 ? `${name}_${index}` : name);
    await earn(token, 1 + (index % 4));
    if (index === 9) tokenOfTenth = token;
  }
});

const box = (page, selector) => page.$eval(selector, (element) => {
  const { left, right, top, bottom, width, height } = element.getBoundingClientRect();
  return { left, right, top, bottom, width, height };
});
const areApart = (one, other) => one.right <= other.left || other.right <= one.left || one.bottom <= other.top || other.bottom <= one.top;

/** Elements that reach out of the window, or whose text is cut off. Names are cut off on purpose; the list of tabs scrolls sideways. */
const overflows = (page) => page.evaluate(() => {
  const root = document.documentElement;
  const visible = [...document.querySelectorAll('body *')].filter((element) => element.checkVisibility() && !element.closest('.visually-hidden, .skip'));
  const outside = visible.filter((element) => !element.matches('[role=tab]')).filter((element) => element.getBoundingClientRect().left < -1 || element.getBoundingClientRect().right > innerWidth + 1);
  const cut = visible.filter((element) => element.scrollWidth > element.clientWidth + 1 && element.clientWidth > 0 && !element.matches('.name, .my-name, input, [role=tablist], [role=tab]'));
  const describe = (element) => `${element.tagName}.${element.className}#${element.id} ${element.textContent.trim().slice(0, 20)}`;
  return [...outside, ...cut].map(describe).concat(root.scrollWidth > root.clientWidth ? [`the page is ${root.scrollWidth} wide`] : []);
});

for (const dir of ['ltr', 'rtl']) {
  test(`nothing is wider than the window, at any width and text size: ${dir}`, async () => {
    const { page, assertQuiet } = await open(ONE);
    await showsState(page);
    await page.waitForSelector('.action');
    for (const state of ['spectator', 'player', 'board']) {
      if (state === 'player') {
        await page.evaluate((token) => localStorage.setItem('laurel.login', token), tokenOfTenth);
        await page.reload();
        await page.waitForSelector('#my-next:not([hidden])');
        await page.waitForSelector('.action');
      }
      if (state === 'board') {
        await page.getByRole('tab', { name: 'This week' }).click();
        await page.waitForSelector('#entries .place:not(.free)');
      }
      for (const [width, size] of [[320, 100], [320, 200], [390, 100], [390, 200], [768, 100], [768, 200], [1280, 100], [1280, 200], [1920, 100]]) {
        await page.setViewportSize({ width, height: 900 });
        await page.evaluate(([dir, size]) => {
          document.documentElement.dir = dir;
          document.documentElement.style.fontSize = `${size}%`;
        }, [dir, size]);
        assert.deepEqual(await overflows(page), [], `${width} px, text at ${size} %, ${state}`);
        const list = state === 'board' ? '#entries' : '#board';
        const [rank, name] = [await box(page, `${list} .rank`), await box(page, `${list} .name`)];
        assert.ok(areApart(rank, name), `${width} px, ${size} %: the wreath and the name`);
        if ([320, 1280].includes(width) && size === 200) await inspect(page, `live-${dir}-${width}-${size}-${state}`);
      }
    }
    assertQuiet();
  });
}

for (const [width, height] of [[1920, 1080], [1080, 1920], [3840, 2160], [390, 844], [844, 390]]) {
  test(`a wall screen of ${width} × ${height} shows ten places, and can be closed`, async () => {
    const { page, assertQuiet } = await open(`${ONE}/#wall`, { viewport: { width, height } });
    await page.waitForSelector('.place:not(.free)');
    const places = await page.$$eval('.place', (rows) => rows.map((row) => row.getBoundingClientRect().bottom));
    assert.equal(places.length, 10);
    assert.ok(places.at(-1) <= height && places.at(-1) > height * 0.9, `the tenth place ends at ${places.at(-1)}`);
    assert.deepEqual(await overflows(page), []);
    const row = '.place:nth-child(2)';
    const [rank, name, score, wreath] = await Promise.all([`${row} .rank`, `${row} .name`, `${row} .score`, '.place .rank'].map((selector) => box(page, selector)));
    const distance = (score.left - name.right) / await page.$eval(row, (element) => parseFloat(getComputedStyle(element).fontSize));
    assert.ok(distance < 15, `${distance} em between a name and its score`);
    assert.ok(areApart(rank, name) && areApart(wreath, await box(page, '.place .name')));
    await inspect(page, `live-wall-${width}x${height}`);
    await page.keyboard.press('Escape');
    await page.waitForSelector('body:not(.wall)');
    assert.equal(new URL(page.url()).hash, '');
    await page.evaluate(() => { location.hash = '#wall'; });
    await page.getByRole('button', { name: 'Exit wall screen' }).click();
    await page.waitForSelector('body:not(.wall)');
    assertQuiet();
  });
}

test('an unknown hash is not found', async () => {
  const { page } = await open(ONE);
  for (const [hash, found] of [['#wal', false], ['#board', true], ['#/players', false], ['#%E0%A4%A', false], ['', true], ['#constructor', false], ['#wall', true]]) {
    await page.evaluate((value) => { location.hash = value; }, hash);
    await page.waitForFunction((hidden) => document.getElementById('not-found').hidden === hidden, found);
  }
  await page.goto(`${ONE}/#nowhere`);
  await page.getByText('“nowhere” was not found. Here is the leaderboard.').waitFor();
  await page.waitForSelector('.place:not(.free)');
});

test('a screen reader gets the name of the list, the unit, and the texts of the buttons', async () => {
  const { page } = await open(ONE);
  await register(page, 'reader');
  const list = page.getByRole('list', { name: 'Top 10' });
  assert.match(await list.getByRole('listitem').first().innerText(), /\d+\s+points$/);
  const buttons = await page.getByRole('button').evaluateAll((elements) =>
    elements.map((element) => [element.textContent.trim().toLowerCase(), (element.ariaLabel ?? element.textContent).toLowerCase()]));
  assert.ok(buttons.length >= 9);
  for (const [text, label] of buttons) assert.ok(label.includes(text), `“${label}” does not contain “${text}”`);
});

test('the form shows its rules first, and no focus ring covers an error', async () => {
  const { page } = await open(ONE, { viewport: { width: 390, height: 844 } });
  await page.getByText('Sign up or log in first.').waitFor();
  const described = (field) => page.$eval(`[name=${field}]`, (input) =>
    input.getAttribute('aria-describedby').split(' ').map((id) => document.getElementById(id)).filter((hint) => hint.checkVisibility()).map((hint) => hint.textContent).join());
  assert.match(await described('username'), /^3 to 50 characters/);
  assert.match(await described('email'), /never sends mail/);
  assert.match(await described('password'), /^8 to 128/);
  await play(page, 'Watch an ad');
  await page.getByText('Sign up or log in to play.').waitFor();
  assert.equal(await focused(page), 'username');
  await page.click('#sign-in-submit');
  for (const field of ['username', 'email', 'password']) {
    await page.focus(`[name=${field}]`);
    const [input, problem] = [await box(page, `[name=${field}]`), await box(page, `#problem-${field}`)];
    // The ring is 3 px wide, at a distance of 2 px.
    assert.ok(problem.height > 0 && problem.top >= input.bottom + 5, field);
  }
  await inspect(page, 'live-form');
  await page.click('#sign-in-login');
  for (const field of ['username', 'password']) assert.equal(await described(field), '');
});

test('flying points do not cover a score', async () => {
  const { page } = await open(ONE, { reducedMotion: 'no-preference' });
  await page.addInitScript(() => {
    const { animate } = Element.prototype;
    Element.prototype.animate = function animatePaused(...frames) {
      const animation = animate.apply(this, frames);
      animation.pause();
      return animation;
    };
  });
  await page.goto(ONE);
  await register(page, 'flyer');
  for (let award = 1; award <= 6; award += 1) {
    await play(page, 'Complete a level');
    await showsScore(page, 20 * award);
  }
  await page.waitForSelector('.own .gain');
  for (const [flight, score] of [['.own .gain', '.own .score'], ['.flight', '#my-points']]) {
    for (const part of [0, 0.5, 0.85, 0.99]) {
      await page.$eval(flight, (element, part) => {
        for (const animation of element.getAnimations()) animation.currentTime = animation.effect.getComputedTiming().endTime * part;
      }, part);
      const isVisible = await page.$eval(flight, (element) => Number(getComputedStyle(element).opacity) > 0.05);
      const boxes = [await box(page, flight), await box(page, score)];
      assert.ok(!isVisible || areApart(...boxes), `${flight} at ${part}: ${JSON.stringify(boxes)}`);
    }
  }
});

test('far below the top 10, the rank has separators, and the points to the top 10 are shown', async () => {
  const { page } = await open(ONE);
  await page.route('**/api/scoreboard/user/**', (route) => route.fulfill({
    json: { data: { userId: 1, username: 'deep', score: 5, rank: 1_234_567 }, message: '', statusCode: 200, metadata: {} },
  }));
  await register(page, 'deep');
  await page.waitForFunction(() => document.getElementById('my-rank').textContent === '#1,234,567');
  await page.getByText(/^\d+ points? to the top 10\.$/).waitFor();
});

test('without playable actions the page says how to earn points', async () => {
  const { page } = await open(ONE);
  await page.route('**/api/v1/actions', async (route) => {
    const response = await route.fetch();
    const { actions } = await response.json();
    await route.fulfill({ response, json: { actions: actions.map((action) => ({ ...action, proof: 'signed', checks: ['signed'] })) } });
  });
  await page.reload();
  await page.getByText('Play the game to earn points.').waitFor();
  assert.equal(await action(page, 'Watch an ad').count(), 0);
});
