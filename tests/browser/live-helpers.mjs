// Helpers for the tests of the live page.

import assert from 'node:assert/strict';

/** The rows of the board, each as "rank name score". */
export const rows = (page) => page.$$eval('.place:not(.free)', (places) =>
  places.map((place) => [...place.children].slice(0, 3).map((part) => part.textContent).join(' ')));

/** Waits for rows of the board. */
export async function showsRows(page, expected) {
  await page.waitForFunction((text) => JSON.stringify([...document.querySelectorAll('.place:not(.free)')]
    .map((place) => [...place.children].slice(0, 3).map((part) => part.textContent).join(' '))) === text, JSON.stringify(expected))
    .catch(async () => assert.deepEqual(await rows(page), expected));
}

export async function register(page, name) {
  await page.fill('[name=username]', name);
  await page.fill('[name=email]', `${name}@example.com`);
  await page.fill('[name=password]', 'correct horse');
  await page.click('#sign-in-submit');
  await page.waitForSelector('#my-score:not([hidden])');
}

export const action = (page, name) => page.locator('.action', { hasText: name });
export const button = (page, name) => action(page, name).getByRole('button');
export const play = (page, name) => button(page, name).click();

/** Waits for the player's own score. */
export const showsScore = (page, score) =>
  page.waitForFunction((text) => document.getElementById('my-points').textContent === text, String(score));

/** Waits for a state of the connection. */
export const showsState = (page, state = 'open') => page.waitForSelector(`#connection[data-state=${state}]`);

/** The id or the name of the focused element. */
export const focused = (page) => page.evaluate(() => document.activeElement.id || document.activeElement.name);
