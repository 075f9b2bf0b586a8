// The login: the token, who it is for, and who wants to hear when it changes.

import { LaurelError } from './errors.js';
import type { User } from './types.js';

/** A JWT has these characters alone; it also has to pass as a WebSocket's sub-protocol. */
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

  /** Takes a token, or none, and tells everybody if it is another one. */
  set(token: string | null, known: Partial<User> = {}): void {
    // The token itself is never part of an error.
    if (token !== null && !TOKEN.test(token)) throw new TypeError('a login token has characters that no JWT has');
    const changed = token !== this.#token;
    this.#token = token;
    this.#user = token === null ? null : withKnown(changed ? claims(token) : this.#user, known);
    if (!changed) return;
    for (const listener of [...this.#listeners]) {
      // One before may have ended this one, or set another token, which everybody was told then.
      if (this.#token === token && this.#listeners.has(listener)) listener(token);
    }
  }

  /** Learns something about the user, if the login is still the one that it came with. */
  learn(token: string | null, known: Partial<User>): void {
    if (token !== null && token === this.#token) this.#user = withKnown(this.#user, known);
  }

  /** Fails if it is another user's by now: what one user began is not to be sent in the name of another. */
  stillOf(token: string | null): void {
    if (!sameUser(token, this.#token)) {
      throw new LaurelError('LOGIN_CHANGED', "the login is another user's than when this began; nothing was sent");
    }
  }

  /** Returns what ends it. */
  onChange(listener: (token: string | null) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }
}

/** A login that was only renewed names the same subject of the same issuer. */
function sameUser(one: string | null, other: string | null): boolean {
  if (one === other) return true;
  if (one === null || other === null) return false;
  const [first, second] = [payload(one), payload(other)];
  return first?.['sub'] !== undefined && first['sub'] === second?.['sub'] && first['iss'] === second?.['iss'];
}

function withKnown(user: User | null, known: Partial<User>): User | null {
  const username = known.username ?? user?.username;
  if (username === undefined) return user;
  return { ...(user ?? { id: null, uuid: null, score: null, role: null }), ...known, username };
}

/** What a token of Laurel's own says; the server verifies it, nobody here does. */
function claims(token: string): User | null {
  const said = payload(token);
  if (typeof said?.['username'] !== 'string' || typeof said['id'] !== 'number') return null;
  return {
    id: said['id'],
    uuid: typeof said['sub'] === 'string' ? said['sub'] : null,
    username: said['username'],
    score: null,
    role: typeof said['role'] === 'string' ? said['role'] : null,
  };
}

/** The claims of any JWT, unverified. */
export function payload(token: string): Record<string, unknown> | null {
  try {
    const part = (token.split('.')[1] ?? '').replaceAll('-', '+').replaceAll('_', '/');
    const bytes = Uint8Array.from(atob(part), (it) => it.charCodeAt(0));
    const said: unknown = JSON.parse(new TextDecoder().decode(bytes));
    return typeof said === 'object' && said !== null ? (said as Record<string, unknown>) : null;
  } catch {
    return null;
  }
}
