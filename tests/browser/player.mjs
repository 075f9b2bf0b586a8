// What the tests of the live page do over and over.

import assert from 'node:assert/strict';

/** What the board shows, as rank, name and score. */
export const rows = (page) => page.$$eval('.place:not(.free)', (all) =>
  all.map((row) => [...row.children].slice(0, 3).map((it) => it.textContent).join(' ')));

export async function shows(page, wanted) {
  const text = JSON.stringify(wanted);
  await page.waitForFunction((text) => JSON.stringify([...document.querySelectorAll('.place:not(.free)')]
    .map((row) => [...row.children].slice(0, 3).map((it) => it.textContent).join(' '))) === text, text)
    .catch(async () => assert.deepEqual(await rows(page), wanted));
}

export async function register(page, name) {
  await page.fill('[name=username]', name);
  await page.fill('[name=email]', `${name}@example.com`);
  await page.fill('[name=password]', 'correct horse');
  await page.click('#door-go');
  await page.waitForSelector('#mine:not([hidden])');
}

export const action = (page, name) => page.locator('.action', { hasText: name });
export const button = (page, name) => action(page, name).getByRole('button');
export const play = (page, name) => button(page, name).click();
export const total = (page, points) =>
  page.waitForFunction((it) => document.getElementById('mine-score').textContent === it, String(points));
export const live = (page, state = 'open') => page.waitForSelector(`#connection[data-state=${state}]`);
/** Where the focus is. */
export const focused = (page) => page.evaluate(() => document.activeElement.id || document.activeElement.name);
