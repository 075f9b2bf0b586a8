// Helpers for the tests of the admin page.

import assert from 'node:assert/strict';

const { ONE } = process.env;
const PASSWORD = 'correct horse';

/** Calls the API. Returns the body of the response. */
export async function call(base, method, path, body, token) {
  const headers = { 'content-type': 'application/json' };
  if (token) headers.authorization = `Bearer ${token}`;
  const response = await fetch(base + path, { method, headers, body: body && JSON.stringify(body) });
  return response.json();
}

/** Registers a player. */
export async function player(username) {
  const { data, message } = await call(ONE, 'POST', '/api/auth/register', { username, email: `${username}@example.com`, password: PASSWORD });
  assert.ok(data, message);
  const { sub } = JSON.parse(Buffer.from(data.token.split('.')[1], 'base64url'));
  return { number: data.user.id, id: sub, token: data.token };
}

/** Earns ten points, `times` times. */
export async function earn(token, times) {
  for (let award = 0; award < times; award += 1) {
    const { antiSpamToken } = await call(ONE, 'POST', '/api/v1/actions/init', { actionType: 'watch_ad' }, token);
    const { success, message } = await call(ONE, 'POST', '/api/v1/actions/finalize', { antiSpamToken }, token);
    assert.ok(success, message);
  }
}

/** The top 10 of a node: scores by name. */
export async function board(base) {
  const { data } = await call(base, 'GET', '/api/scoreboard/top10');
  return Object.fromEntries(data.map(({ username, score }) => [username, score]));
}

export async function logIn(page, username, password = PASSWORD) {
  await page.getByLabel('Username').fill(username);
  await page.getByLabel('Password').fill(password);
  await page.getByRole('button', { name: 'Log in' }).click();
}

/** Waits for the heading of a view. */
export async function showsHeading(page, name) {
  await page.getByRole('heading', { level: 1, name }).waitFor();
}

/** Opens the dialog of an admin action. */
export async function openDialog(page, action) {
  await page.locator(`[data-action=${action}]`).click();
  const dialog = page.getByRole('dialog');
  await dialog.waitFor();
  return dialog;
}

/** Waits until a check returns true. */
export async function until(what, check) {
  const end = Date.now() + 300_000;
  while (!(await check())) {
    assert.ok(Date.now() < end, `waited for: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 25));
  }
}
