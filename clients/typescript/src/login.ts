// The login: its token, its user, and listeners for changes.

import { LaurelError } from './errors.js';
import type { User } from './types.js';

/** The characters of a JWT. All of them are allowed in a WebSocket subprotocol. */
const TOKEN = /^[A-Za-z0-9_.-]{1,4096}$/;

export class Login {
  #token: string | null = null;
  #user: User | null = null;
  readonly #listeners = new Set<(token: string | null) => void>();

  get token(): string | null {
    return this.#token;
  }

  get user(): User | null {
    return this.#user;
  }

  /** Sets the token. Null logs out. Calls the listeners if it is another token. */
  set(token: string | null, user: Partial<User> = {}): void {
    // The error must not contain the token.
    if (token !== null && !TOKEN.test(token)) throw new TypeError('a login token contains characters that no JWT has');
    const isChange = token !== this.#token;
    this.#token = token;
    this.#user = token === null ? null : merged(isChange ? userOf(token) : this.#user, user);
    if (!isChange) return;
    for (const listener of [...this.#listeners]) {
      // An earlier listener may have removed this one, or set another token, which called all listeners.
      if (this.#token === token && this.#listeners.has(listener)) listener(token);
    }
  }

  /** Updates the user, unless the login has changed since `token`. */
  updateUser(token: string | null, user: Partial<User>): void {
    if (token !== null && token === this.#token) this.#user = merged(this.#user, user);
  }

  /** Throws `LOGIN_CHANGED` if another user is logged in: what one user started must not be sent in another's name. */
  requireSameUser(token: string | null): void {
    if (!isSameUser(token, this.#token)) {
      throw new LaurelError('LOGIN_CHANGED', 'another user has logged in since this started; nothing was sent');
    }
  }

  /** Adds a listener. Returns a function that removes it. */
  onChange(listener: (token: string | null) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }
}

/** True if both tokens have the same subject of the same issuer, as after a renewal. */
function isSameUser(one: string | null, other: string | null): boolean {
  if (one === other) return true;
  if (one === null || other === null) return false;
  const [first, second] = [payload(one), payload(other)];
  return first?.['sub'] !== undefined && first['sub'] === second?.['sub'] && first['iss'] === second?.['iss'];
}

function merged(user: User | null, update: Partial<User>): User | null {
  const username = update.username ?? user?.username;
  if (username === undefined) return user;
  return { ...(user ?? { id: null, uuid: null, score: null, role: null }), ...update, username };
}

/** The user in a token issued by Laurel. Null for tokens of other issuers. The server verifies tokens; this code does not. */
function userOf(token: string): User | null {
  const claims = payload(token);
  if (typeof claims?.['username'] !== 'string' || typeof claims['id'] !== 'number') return null;
  return {
    id: claims['id'],
    uuid: typeof claims['sub'] === 'string' ? claims['sub'] : null,
    username: claims['username'],
    score: null,
    role: typeof claims['role'] === 'string' ? claims['role'] : null,
  };
}

/** The claims of a JWT, not verified. Null if it is not readable. */
export function payload(token: string): Record<string, unknown> | null {
  try {
    const part = (token.split('.')[1] ?? '').replaceAll('-', '+').replaceAll('_', '/');
    const bytes = Uint8Array.from(atob(part), (char) => char.charCodeAt(0));
    const claims: unknown = JSON.parse(new TextDecoder().decode(bytes));
    return typeof claims === 'object' && claims !== null ? (claims as Record<string, unknown>) : null;
  } catch {
    return null;
  }
}
