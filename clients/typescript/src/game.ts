// A game session: each update spends a token and brings the next, so updates go one after another.

import { LaurelError } from './errors.js';
import { newKey } from './keys.js';
import type { Login } from './login.js';
import type { Actions, AwardOptions, CallOptions } from './play.js';
import type { Rest } from './rest.js';
import type { GameAward, GameEnd, Proof } from './types.js';

/** How an update is asked for. */
export interface UpdateOptions extends AwardOptions {
  /** What the catalogue says that the action is worth; looked up there if left out. */
  readonly points?: number;
  readonly proof?: Proof;
}

/** A session as the server tells of it. */
export interface SessionAnswer {
  readonly sessionId: string;
  readonly actionToken: string | null;
  readonly expiresAt: string;
  readonly actionsCompleted?: number;
}

type UpdateAnswer = GameAward & { readonly newActionToken: string; readonly expiresAt: string };

/** The live session of the logged-in user. */
export class Game {
  /** Its id, `sess_…`. */
  readonly id: string;
  /** When it runs out (RFC 3339). */
  readonly expiresAt: string;
  #completed: number;
  #token: string | null;
  /** The answer to an update never came: the token may be spent or not. */
  #doubtful = false;
  /** The token that each key went with, but for those that were refused: with it a repeat is the same request. */
  readonly #sent = new Map<string, string | null>();
  #queue: Promise<unknown> = Promise.resolve();

  /** @internal `Laurel` makes them. */
  constructor(
    private readonly rest: Rest,
    private readonly login: Login,
    private readonly actions: Actions,
    private readonly owner: string | null,
    session: SessionAnswer,
  ) {
    this.id = session.sessionId;
    this.expiresAt = session.expiresAt;
    this.#token = session.actionToken;
    this.#completed = session.actionsCompleted ?? 0;
  }

  /** Awards that this client knows of. */
  get actionsCompleted(): number {
    return this.#completed;
  }

  /**
   * Redeems the session's token for a finished action. Updates of one game wait for each other, and a lost answer is
   * asked for again under the same key. If even that fails, the error is `unsure`, and nobody knows whether it counted:
   * call again with the same arguments and the error's `idempotencyKey` within ten minutes for that very award, or go on
   * with the next, which first asks for the current token. After that time `TOKEN_ALREADY_USED` is all that is said of an
   * award that counted. The same key with other arguments is an `IDEMPOTENCY_MISMATCH`.
   */
  update(actionType: string, options: UpdateOptions = {}): Promise<GameAward> {
    return this.#inTurn(() => this.#update(actionType, options));
  }

  /** Ends the session and its tokens. */
  end({ signal }: CallOptions = {}): Promise<GameEnd> {
    return this.#inTurn(() => {
      this.login.stillOf(this.owner);
      return this.rest.enveloped<GameEnd>('POST', '/api/game/end', { signal });
    });
  }

  async #update(actionType: string, options: UpdateOptions): Promise<GameAward> {
    const { signal, proof } = options;
    const key = options.idempotencyKey ?? newKey();
    const points = options.points ?? (await this.actions.find(actionType, { signal })).points;
    const asked = { actionType, points, ...(proof && { proof }) };
    const before = this.#sent.get(key);
    if (before !== undefined) return this.#send(key, before, asked, signal);
    if (this.#doubtful) await this.#refresh(signal);
    try {
      return await this.#send(key, this.#token, asked, signal);
    } catch (error) {
      // Refused at its first sending, so it did not count: another update spent the token. A repeat may be refused just
      // because it did count, longer ago than its answer was kept.
      if (!(error instanceof LaurelError && error.code === 'TOKEN_ALREADY_USED') || error.unsure) throw error;
      await this.#refresh(signal);
      return await this.#send(key, this.#token, asked, signal);
    }
  }

  async #send(key: string, token: string | null, asked: object, signal?: AbortSignal): Promise<GameAward> {
    this.login.stillOf(this.owner);
    const login = this.login.token;
    const repeated = this.#sent.has(key);
    this.#sent.set(key, token);
    if (token === this.#token) this.#doubtful = true;
    const ask = { body: { actionToken: token, ...asked }, idempotencyKey: key, signal };
    let answer: UpdateAnswer;
    try {
      answer = await this.rest.enveloped('POST', '/api/score/update', ask);
    } catch (error) {
      if (error instanceof LaurelError && !error.unsure && !repeated) {
        this.#sent.delete(key);
        this.#doubtful = false;
      }
      throw error;
    }
    const { newActionToken, expiresAt: _, ...award } = answer;
    // One update spends a token: others that went with it did not count, and may be sent anew.
    for (const [other, spent] of this.#sent) if (spent === token && other !== key) this.#sent.delete(other);
    // The answer to an update before the newest says nothing of how it stands now.
    if (token !== this.#token) return award;
    this.#doubtful = false;
    this.#token = newActionToken;
    this.#completed += 1;
    this.login.learn(login, { score: award.newScore });
    return award;
  }

  /** Takes the current token, which only the server knows now. */
  async #refresh(signal?: AbortSignal): Promise<void> {
    this.login.stillOf(this.owner);
    const session = await this.rest.enveloped<SessionAnswer>('GET', '/api/game/session', { signal });
    if (session.sessionId !== this.id) {
      throw new LaurelError('SESSION_MISMATCH', 'another game was started since', { status: 409 });
    }
    this.#token = session.actionToken;
    this.#completed = session.actionsCompleted ?? this.#completed;
    this.#doubtful = false;
  }

  #inTurn<T>(task: () => Promise<T>): Promise<T> {
    const turn = this.#queue.then(task);
    this.#queue = turn.catch(() => undefined);
    return turn;
  }
}
