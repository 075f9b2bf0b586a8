// A game session. Each update spends a token and returns the next one, so updates run one after another.

import type { Actions, AwardOptions, CallOptions } from './actions.js';
import { LaurelError } from './errors.js';
import type { Login } from './login.js';
import { newIdempotencyKey, type Rest } from './rest.js';
import type { GameAward, GameEnd, Proof } from './types.js';

/** Options of `update`. */
export interface UpdateOptions extends AwardOptions {
  /** Points of the action. Looked up in the catalogue by default. */
  readonly points?: number;
  readonly proof?: Proof;
}

/** A session in a response. */
export interface SessionResponse {
  readonly sessionId: string;
  readonly actionToken: string | null;
  readonly expiresAt: string;
  readonly actionsCompleted?: number;
}

type UpdateResponse = GameAward & { readonly newActionToken: string; readonly expiresAt: string };

/** The active session of the logged-in user. */
export class Game {
  /** Its id, `sess_…`. */
  readonly id: string;
  /** When it expires (RFC 3339). */
  readonly expiresAt: string;
  #completed: number;
  #token: string | null;
  /** True if an update with the current token got no response: the token may be spent. */
  #mayBeSpent = false;
  /** Tokens by idempotency key, except of refused updates. A repeat must send the same token to be the same request. */
  readonly #sent = new Map<string, string | null>();
  #queue: Promise<unknown> = Promise.resolve();

  /** @internal Created by `Laurel`. */
  constructor(
    private readonly rest: Rest,
    private readonly login: Login,
    private readonly actions: Actions,
    private readonly owner: string | null,
    session: SessionResponse,
  ) {
    this.id = session.sessionId;
    this.expiresAt = session.expiresAt;
    this.#token = session.actionToken;
    this.#completed = session.actionsCompleted ?? 0;
  }

  /** Number of awards that this client knows of. */
  get actionsCompleted(): number {
    return this.#completed;
  }

  /**
   * Redeems the session's token for a finished action. Updates of one game wait for each other, and lost responses are retried with the
   * same key. If no attempt gets a response, the error is `unsure`: the award may have counted. Then repeat the call with the same
   * arguments and the error's `idempotencyKey` within ten minutes, which returns that award. Or continue with the next update, which
   * first requests the current token. After ten minutes, a repeat of an award that counted fails with `TOKEN_ALREADY_USED`. The same key
   * with other arguments fails with `IDEMPOTENCY_MISMATCH`.
   */
  update(actionType: string, options: UpdateOptions = {}): Promise<GameAward> {
    return this.#enqueue(() => this.#update(actionType, options));
  }

  /** Ends the session and its tokens. */
  end({ signal }: CallOptions = {}): Promise<GameEnd> {
    return this.#enqueue(() => {
      this.login.requireSameUser(this.owner);
      return this.rest.enveloped<GameEnd>('POST', '/api/game/end', { signal });
    });
  }

  async #update(actionType: string, options: UpdateOptions): Promise<GameAward> {
    const { signal, proof } = options;
    const key = options.idempotencyKey ?? newIdempotencyKey();
    const points = options.points ?? (await this.actions.find(actionType, { signal })).points;
    const request = { actionType, points, ...(proof && { proof }) };
    const tokenBefore = this.#sent.get(key);
    if (tokenBefore !== undefined) return this.#send(key, tokenBefore, request, signal);
    if (this.#mayBeSpent) await this.#refreshToken(signal);
    try {
      return await this.#send(key, this.#token, request, signal);
    } catch (error) {
      // Refused when it was first sent, so it did not count: another update has spent the token. A repeat is no such case: it may be
      // refused because it counted, longer ago than the server keeps responses.
      if (!(error instanceof LaurelError && error.code === 'TOKEN_ALREADY_USED') || error.unsure) throw error;
      await this.#refreshToken(signal);
      return await this.#send(key, this.#token, request, signal);
    }
  }

  async #send(key: string, token: string | null, request: object, signal?: AbortSignal): Promise<GameAward> {
    this.login.requireSameUser(this.owner);
    const login = this.login.token;
    const isRepeat = this.#sent.has(key);
    this.#sent.set(key, token);
    if (token === this.#token) this.#mayBeSpent = true;
    const options = { body: { actionToken: token, ...request }, idempotencyKey: key, signal };
    let response: UpdateResponse;
    try {
      response = await this.rest.enveloped('POST', '/api/score/update', options);
    } catch (error) {
      if (error instanceof LaurelError && !error.unsure && !isRepeat) {
        this.#sent.delete(key);
        this.#mayBeSpent = false;
      }
      throw error;
    }
    const { newActionToken, expiresAt: _, ...award } = response;
    // This update has spent the token. Others with the same token did not count, and may be sent with another one.
    for (const [otherKey, otherToken] of this.#sent) if (otherToken === token && otherKey !== key) this.#sent.delete(otherKey);
    // The response to a repeat of an older update has outdated values.
    if (token !== this.#token) return award;
    this.#mayBeSpent = false;
    this.#token = newActionToken;
    this.#completed += 1;
    this.login.updateUser(login, { score: award.newScore });
    return award;
  }

  /** Requests the current token from the server. */
  async #refreshToken(signal?: AbortSignal): Promise<void> {
    this.login.requireSameUser(this.owner);
    const session = await this.rest.enveloped<SessionResponse>('GET', '/api/game/session', { signal });
    if (session.sessionId !== this.id) {
      throw new LaurelError('SESSION_MISMATCH', 'another game has started since', { status: 409 });
    }
    this.#token = session.actionToken;
    this.#completed = session.actionsCompleted ?? this.#completed;
    this.#mayBeSpent = false;
  }

  #enqueue<T>(task: () => Promise<T>): Promise<T> {
    const result = this.#queue.then(task);
    this.#queue = result.catch(() => undefined);
    return result;
  }
}
