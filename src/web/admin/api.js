// Calls of the API. What it refuses is a `Refused`; an answer that did not come is a `Lost`.

import { token } from './session.js';

const TIMEOUT_MS = 20_000;

/** The API's own words for why it did not. */
export class Refused extends Error {
  constructor(status, body, retryAfter) {
    super(body.message || `The answer was ${status}.`);
    this.status = status;
    this.code = body.metadata?.errorCode;
    this.fields = body.metadata?.fields ?? [];
    this.retrySeconds = status === 429 || status === 503 ? Math.max(1, Number(retryAfter) || 1) : undefined;
  }

  /** Whether something may have been done nevertheless. */
  get unsure() {
    return this.status >= 500;
  }
}

/** Nobody knows whether it was done. */
export class Lost extends Error {
  unsure = true;
}

/** Tells the page that the login holds no more, or is nobody's who may be here. */
export const turnedAway = new EventTarget();

export const get = (path, signal) => call('GET', path, { signal });
export const post = (path, body, key) => call('POST', path, { body, key });

async function call(method, path, { body, key, signal, as = token() }) {
  const headers = { accept: 'application/json' };
  if (as) headers.authorization = `Bearer ${as}`;
  if (body) headers['content-type'] = 'application/json';
  if (key) headers['idempotency-key'] = key;
  const late = AbortSignal.timeout(TIMEOUT_MS);
  let response;
  let answer;
  try {
    response = await fetch(path, {
      method, headers, body: body && JSON.stringify(body), cache: 'no-store', signal: signal ? AbortSignal.any([signal, late]) : late,
    });
    answer = await response.json();
  } catch (error) {
    if (signal?.aborted) throw error;
    throw new Lost('No answer came. Is the network there?');
  }
  if (response.ok) return answer.data;
  const refused = new Refused(response.status, answer, response.headers.get('retry-after'));
  // Somebody else may have logged in meanwhile; their login is not the one that was refused.
  if ((response.status === 401 || response.status === 403) && as && as === token()) {
    turnedAway.dispatchEvent(new CustomEvent('turned-away', { detail: refused }));
  }
  throw refused;
}

/** A login, which is not kept yet. */
export async function logIn(username, password) {
  const { token: jwt } = await call('POST', '/api/auth/login', { body: { username, password }, as: null });
  // The API says whether this is an operator.
  await call('GET', '/api/admin/audit?limit=1', { as: jwt });
  return jwt;
}
