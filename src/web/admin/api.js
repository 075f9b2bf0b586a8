// Calls of the admin API, and the admin's login. An error response is a `Rejected`; a lost one is a `NoResponse`.

import { tabStorage } from '/assets/common/storage.js';
import { payload } from '/assets/laurel/login.js';

const TIMEOUT_MS = 20_000;
const LOGIN_KEY = 'laurel.admin';

/** The admin's JWT, stored for the tab. Null is logged out. */
export const login = {
  get token() {
    return tabStorage.get(LOGIN_KEY);
  },
  set token(jwt) {
    tabStorage.set(LOGIN_KEY, jwt);
  },
};

/** The username in the JWT, for display. The API checks what it may do. */
export const ownName = () => payload(login.token ?? '')?.username ?? '';

/** An error response of the API. */
export class Rejected extends Error {
  constructor(status, body, retryAfter) {
    super(body.message || `The server responded with status ${status}.`);
    this.status = status;
    this.code = body.metadata?.errorCode;
    this.fields = body.metadata?.fields ?? [];
    this.retrySeconds = status === 429 || status === 503 ? Math.max(1, Number(retryAfter) || 1) : undefined;
  }

  /** True if the operation may have been done nevertheless. */
  get isUnsure() {
    return this.status >= 500;
  }
}

/** No response arrived: the operation may have been done. */
export class NoResponse extends Error {
  isUnsure = true;
}

/** Fires `rejected` if the API no longer accepts the login, or if it is not an admin's. */
export const loggedOut = new EventTarget();

export const get = (path, signal) => call('GET', path, { signal });
export const post = (path, body, key) => call('POST', path, { body, key });

async function call(method, path, { body, key, signal, token = login.token }) {
  const headers = { accept: 'application/json' };
  if (token) headers.authorization = `Bearer ${token}`;
  if (body) headers['content-type'] = 'application/json';
  if (key) headers['idempotency-key'] = key;
  const timeout = AbortSignal.timeout(TIMEOUT_MS);
  let response;
  let envelope;
  try {
    response = await fetch(path, {
      method, headers, body: body && JSON.stringify(body), cache: 'no-store', signal: signal ? AbortSignal.any([signal, timeout]) : timeout,
    });
    envelope = await response.json();
  } catch (error) {
    if (signal?.aborted) throw error;
    throw new NoResponse('Can’t reach the server. Check your connection.');
  }
  // Responses of /api/v1 have no envelope.
  if (response.ok) return path.startsWith('/api/v1/') ? envelope : envelope.data;
  const error = new Rejected(response.status, envelope, response.headers.get('retry-after'));
  // Another login may have replaced the one that was rejected.
  if ((response.status === 401 || response.status === 403) && token && token === login.token) {
    loggedOut.dispatchEvent(new CustomEvent('rejected', { detail: error }));
  }
  throw error;
}

/** Returns the JWT of an admin, which is not stored yet. Fails if the user is no admin. */
export async function logIn(username, password) {
  const { token } = await call('POST', '/api/auth/login', { body: { username, password }, token: null });
  await call('GET', '/api/admin/audit?limit=1', { token });
  return token;
}
