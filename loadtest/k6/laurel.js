// What the scenarios share: where Laurel is, who plays, and the requests of each door.

import http from 'k6/http';
import { check } from 'k6';
import { SharedArray } from 'k6/data';
import exec from 'k6/execution';

export const URL = __ENV.LAUREL_URL || 'http://127.0.0.1:3000';

/** One login a line, as `laurel seed --tokens FILE` writes them; k6 looks for it beside this file, so give the whole path. */
export const logins = new SharedArray('logins', () =>
  open(__ENV.LAUREL_LOGINS).split('\n').filter((line) => line.length > 0),
);

/** So many iterations begin each second, however long the others take: an open loop. */
export function paced(perSecond, extra = {}) {
  return {
    executor: 'constant-arrival-rate',
    rate: Number(__ENV.LAUREL_RATE || perSecond),
    timeUnit: '1s',
    duration: __ENV.LAUREL_DURATION || '30s',
    preAllocatedVUs: 100,
    maxVUs: 1000,
    ...extra,
  };
}

/** Whoever's turn it is. Iterations are counted over all instances of a scenario, so no two play one user at a time. */
export function player() {
  return logins[exec.scenario.iterationInTest % logins.length];
}

/** The user's id in a login. */
export function userOf(login) {
  return JSON.parse(decode(login.split('.')[1])).sub;
}

export function post(path, login, body, name) {
  return ok(http.post(URL + path, JSON.stringify(body), headers(login, name)), name);
}

export function get(path, login, name) {
  return ok(http.get(URL + path, headers(login, name)), name);
}

/** init, then finalize: one award. */
export function act(login) {
  const issued = post('/api/v1/actions/init', login, { actionType: 'watch_ad' }, 'init');
  if (issued === null) return;
  post('/api/v1/actions/finalize', login, { antiSpamToken: issued.antiSpamToken }, 'finalize');
}

/** A session: start, so many awards, each with the token that the last one brought, end. */
export function play(login, updates) {
  const started = post('/api/game/start', login, {}, 'start');
  let token = started && started.data.actionToken;
  for (let update = 0; token && update < updates; update += 1) {
    const body = { actionToken: token, actionType: 'watch_ad', points: 10 };
    const answer = post('/api/score/update', login, body, 'update');
    token = answer && answer.data.newActionToken;
  }
  if (token) post('/api/game/end', login, {}, 'end');
}

export function board() {
  get('/api/v1/scores/leaderboard', null, 'board');
}

export function rank(login) {
  get(`/api/scoreboard/user/${userOf(login)}`, login, 'rank');
}

function headers(login, name) {
  const headers = { 'Content-Type': 'application/json' };
  if (login) headers.Authorization = `Bearer ${login}`;
  return { headers, tags: { name } };
}

function ok(answer, name) {
  const good = check(answer, { [`${name} is 200`]: (it) => it.status === 200 });
  return good ? answer.json() : null;
}

/** base64url without padding, of ASCII. */
function decode(text) {
  const digits = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';
  let bits = 0;
  let held = 0;
  let out = '';
  for (const digit of text) {
    bits = (bits << 6) | digits.indexOf(digit);
    held += 6;
    if (held >= 8) {
      held -= 8;
      out += String.fromCharCode((bits >> held) & 0xff);
      bits &= (1 << held) - 1;
    }
  }
  return out;
}
