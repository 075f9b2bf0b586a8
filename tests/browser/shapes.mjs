// The live page in every shape: narrow and wide, large text, from right to left, on walls; and what a screen reader has of it.

import assert from 'node:assert/strict';
import { before, test } from 'node:test';
import { look, open } from './browser.mjs';
import { player, win } from './operator.mjs';
import { action, focused, live, play, register, total } from './player.mjs';

const { ONE } = process.env;
const LONG = 'a_name_as_long_as_a_name_can_be_with_50_characters'.padEnd(50, 'x').slice(0, 50);
let tenth;

before(async () => {
  for (const [place, name] of [LONG, 'bo', ...'cdefghij'].entries()) {
    const { token } = await player(name.length < 3 ? `${name}_${place}` : name);
    await win(token, 1 + (place % 4));
    if (place === 9) tenth = token;
  }
});

const box = (page, selector) => page.$eval(selector, (it) => {
  const { left, right, top, bottom, width, height } = it.getBoundingClientRect();
  return { left, right, top, bottom, width, height };
});
const apart = (one, other) => one.right <= other.left || other.right <= one.left || one.bottom <= other.top || other.bottom <= one.top;

/** What sticks out of the window, or is cut off within its own box; names are, on purpose, where there is room for a part of them. */
const outside = (page) => page.evaluate(() => {
  const root = document.documentElement;
  const shown = [...document.querySelectorAll('body *')].filter((it) => it.checkVisibility() && !it.closest('.unseen, .skip'));
  const out = shown.filter((it) => it.getBoundingClientRect().left < -1 || it.getBoundingClientRect().right > innerWidth + 1);
  const cut = shown.filter((it) => it.scrollWidth > it.clientWidth + 1 && it.clientWidth > 0 && !it.matches('.name, .mine-name, input'));
  const told = (it) => `${it.tagName}.${it.className}#${it.id} ${it.textContent.trim().slice(0, 20)}`;
  return [...out, ...cut].map(told).concat(root.scrollWidth > root.clientWidth ? [`the page is ${root.scrollWidth} wide`] : []);
});

for (const dir of ['ltr', 'rtl']) {
  test(`nothing is wider than the window, whatever its width and the text's size: ${dir}`, async () => {
    const { page, assertQuiet } = await open(ONE);
    await live(page);
    await page.waitForSelector('.action');
    for (const login of [null, tenth]) {
      if (login !== null) {
        await page.evaluate((token) => localStorage.setItem('laurel.login', token), login);
        await page.reload();
        await page.waitForSelector('#mine-next:not([hidden])');
        await page.waitForSelector('.action');
      }
      for (const [width, size] of [[320, 100], [320, 200], [390, 100], [390, 200], [768, 100], [768, 200], [1280, 100], [1280, 200], [1920, 100]]) {
        await page.setViewportSize({ width, height: 900 });
        await page.evaluate(([dir, size]) => {
          document.documentElement.dir = dir;
          document.documentElement.style.fontSize = `${size}%`;
        }, [dir, size]);
        assert.deepEqual(await outside(page), [], `${width} px, text at ${size} %, ${login === null ? 'nobody' : 'a player'}`);
        const [rank, name] = [await box(page, '.place .rank'), await box(page, '.place .name')];
        assert.ok(apart(rank, name), `${width} px, ${size} %: the wreath and the name`);
        if ([320, 1280].includes(width) && size === 200) await look(page, `live-${dir}-${width}-${size}-${login === null ? 'nobody' : 'player'}`);
      }
    }
    assertQuiet();
  });
}

for (const [width, height] of [[1920, 1080], [1080, 1920], [3840, 2160], [390, 844], [844, 390]]) {
  test(`a wall of ${width} × ${height} shows ten places, and can be left`, async () => {
    const { page, assertQuiet } = await open(`${ONE}/#wall`, { viewport: { width, height } });
    await page.waitForSelector('.place:not(.free)');
    const places = await page.$$eval('.place', (all) => all.map((it) => it.getBoundingClientRect().bottom));
    assert.equal(places.length, 10);
    assert.ok(places.at(-1) <= height && places.at(-1) > height * 0.9, `the tenth place ends at ${places.at(-1)}`);
    assert.deepEqual(await outside(page), []);
    const row = '.place:nth-child(2)';
    const [rank, name, score, wreath] = await Promise.all([`${row} .rank`, `${row} .name`, `${row} .score`, '.place .rank'].map((it) => box(page, it)));
    const letters = (score.left - name.right) / await page.$eval(row, (it) => parseFloat(getComputedStyle(it).fontSize));
    assert.ok(letters < 15, `${letters} em between a name and its score`);
    assert.ok(apart(rank, name) && apart(wreath, await box(page, '.place .name')));
    await look(page, `live-wall-${width}x${height}`);
    await page.keyboard.press('Escape');
    await page.waitForSelector('body:not(.wall)');
    assert.equal(new URL(page.url()).hash, '');
    await page.evaluate(() => { location.hash = '#wall'; });
    await page.getByRole('button', { name: 'Leave wall screen' }).click();
    await page.waitForSelector('body:not(.wall)');
    assertQuiet();
  });
}

test('a place of the page that there is not is not found', async () => {
  const { page } = await open(ONE);
  for (const [hash, found] of [['#wal', false], ['#board', true], ['#/players', false], ['#%E0%A4%A', false], ['', true], ['#constructor', false], ['#wall', true]]) {
    await page.evaluate((it) => { location.hash = it; }, hash);
    await page.waitForFunction((hidden) => document.getElementById('not-found').hidden === hidden, found);
  }
  await page.goto(`${ONE}/#nowhere`);
  await page.getByText('Not found: “nowhere”. This is the board.').waitFor();
  await page.waitForSelector('.place:not(.free)');
});

test('a screen reader has the list’s name, the unit, and the words on the buttons', async () => {
  const { page } = await open(ONE);
  await register(page, 'reader');
  const list = page.getByRole('list', { name: 'Top 10' });
  assert.match(await list.getByRole('listitem').first().innerText(), /\d+\s+points$/);
  const buttons = await page.getByRole('button').evaluateAll((all) =>
    all.map((it) => [it.textContent.trim().toLowerCase(), (it.ariaLabel ?? it.textContent).toLowerCase()]));
  assert.ok(buttons.length >= 9);
  for (const [seen, spoken] of buttons) assert.ok(spoken.includes(seen), `${spoken} has not ${seen}`);
});

test('the form says its rules before the first try, and no ring covers an error', async () => {
  const { page } = await open(ONE, { viewport: { width: 390, height: 844 } });
  await page.getByText('Log in or register first.').waitFor();
  const described = (field) => page.$eval(`[name=${field}]`, (it) =>
    it.getAttribute('aria-describedby').split(' ').map((id) => document.getElementById(id)).filter((it) => it.checkVisibility()).map((it) => it.textContent).join());
  assert.match(await described('username'), /^3 to 50 characters/);
  assert.match(await described('email'), /sends no mail/);
  assert.match(await described('password'), /^8 to 128/);
  await play(page, 'Watch an ad');
  await page.getByText('Register or log in to play.').waitFor();
  assert.equal(await focused(page), 'username');
  await page.click('#door-go');
  for (const field of ['username', 'email', 'password']) {
    await page.focus(`[name=${field}]`);
    const [input, problem] = [await box(page, `[name=${field}]`), await box(page, `#problem-${field}`)];
    // 3 px wide, 2 px away.
    assert.ok(problem.height > 0 && problem.top >= input.bottom + 5, field);
  }
  await look(page, 'live-form');
  await page.click('#door-login');
  for (const field of ['username', 'password']) assert.equal(await described(field), '');
});

test('what flies covers no score', async () => {
  const { page } = await open(ONE, { reducedMotion: 'no-preference' });
  await page.addInitScript(() => {
    const { animate } = Element.prototype;
    Element.prototype.animate = function still(...given) {
      const animation = animate.apply(this, given);
      animation.pause();
      return animation;
    };
  });
  await page.goto(ONE);
  await register(page, 'flyer');
  for (let award = 1; award <= 6; award += 1) {
    await play(page, 'Complete a level');
    await total(page, 20 * award);
  }
  await page.waitForSelector('.own .gain');
  for (const [what, score] of [['.own .gain', '.own .score'], ['.flight', '#mine-score']]) {
    for (const part of [0, 0.5, 0.85, 0.99]) {
      await page.$eval(what, (it, part) => {
        for (const animation of it.getAnimations()) animation.currentTime = animation.effect.getComputedTiming().endTime * part;
      }, part);
      const opaque = await page.$eval(what, (it) => Number(getComputedStyle(it).opacity) > 0.05);
      const [flies, covered] = [await box(page, what), await box(page, score)];
      assert.ok(!opaque || apart(flies, covered), `${what} at ${part}: ${JSON.stringify([flies, covered])}`);
    }
  }
});

test('far below the top 10 numbers have separators, and the way up is told', async () => {
  const { page } = await open(ONE);
  await page.route('**/api/scoreboard/user/**', (route) => route.fulfill({
    json: { data: { userId: 1, username: 'deep', score: 5, rank: 1_234_567 }, message: '', statusCode: 200, metadata: {} },
  }));
  await register(page, 'deep');
  await page.waitForFunction(() => document.getElementById('mine-rank').textContent === '#1,234,567');
  await page.getByText(/^\d+ points? to the top 10\.$/).waitFor();
});

test('where the page can play nothing it says where points come from', async () => {
  const { page } = await open(ONE);
  await page.route('**/api/v1/actions', async (route) => {
    const response = await route.fetch();
    const { actions } = await response.json();
    await route.fulfill({ response, json: { actions: actions.map((it) => ({ ...it, proof: 'signed', checks: ['signed'] })) } });
  });
  await page.reload();
  await page.getByText('Points are earned in the game.').waitFor();
  assert.equal(await action(page, 'Watch an ad').count(), 0);
});
