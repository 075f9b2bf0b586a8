// What the tests of the operators' page do over and over: players by the API, and an operator by the page.

import assert from 'node:assert/strict';

const { ONE } = process.env;
const PASSWORD = 'correct horse';

export async function call(base, method, path, body, token) {
  const headers = { 'content-type': 'application/json' };
  if (token) headers.authorization = `Bearer ${token}`;
  const answer = await fetch(base + path, { method, headers, body: body && JSON.stringify(body) });
  return answer.json();
}

/** A player who registered just now. */
export async function player(username) {
  const { data, message } = await call(ONE, 'POST', '/api/auth/register', { username, email: `${username}@example.com`, password: PASSWORD });
  assert.ok(data, message);
  const { sub } = JSON.parse(Buffer.from(data.token.split('.')[1], 'base64url'));
  return { number: data.user.id, id: sub, token: data.token };
}

/** Ten points, some times. */
export async function win(token, times) {
  for (let it = 0; it < times; it += 1) {
    const { antiSpamToken } = await call(ONE, 'POST', '/api/v1/actions/init', { actionType: 'watch_ad' }, token);
    const { success, message } = await call(ONE, 'POST', '/api/v1/actions/finalize', { antiSpamToken }, token);
    assert.ok(success, message);
  }
}

/** The ten best of a node, by name. */
export async function board(base) {
  const { data } = await call(base, 'GET', '/api/scoreboard/top10');
  return Object.fromEntries(data.map((it) => [it.username, it.score]));
}

export async function logIn(page, username, password = PASSWORD) {
  await page.getByLabel('Username').fill(username);
  await page.getByLabel('Password').fill(password);
  await page.getByRole('button', { name: 'Log in' }).click();
}

/** Waits for a view. */
export async function heading(page, name) {
  await page.getByRole('heading', { level: 1, name }).waitFor();
}

/** Opens a deed's dialog. */
export async function deed(page, path) {
  await page.locator(`[data-deed=${path}]`).click();
  const dialog = page.getByRole('dialog');
  await dialog.waitFor();
  return dialog;
}

/** Waits until something holds. */
export async function until(what, holds) {
  const end = Date.now() + 300_000;
  while (!(await holds())) {
    assert.ok(Date.now() < end, `waited for: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 25));
  }
}
