// The client: everything that a player's program asks of Laurel.

import { Boards } from './boards.js';
import { LaurelError } from './errors.js';
import { Game, type SessionAnswer } from './game.js';
import { Live, type LiveOptions } from './live.js';
import { Login } from './login.js';
import { Actions, type AwardOptions, type CallOptions, type PlayOptions, type TokenRequest } from './play.js';
import { Rest } from './rest.js';
import type { RetryOptions } from './retry.js';
import type { WebSocketMaker } from './socket.js';
import type { Action, Award, Board, Proof, ProvenToken, Standing, Started, Top10, User } from './types.js';

/** How a client is made. */
export interface LaurelOptions {
  /** Where Laurel is, without a slash at the end; '' is the page's own origin. */
  readonly url?: string;
  /** A login that was kept. */
  readonly token?: string | null;
  /** Hears every change of the login, to keep it. */
  readonly onToken?: (token: string | null) => void;
  readonly retry?: RetryOptions;
  /** A request without an answer for so long is given up. Default 15,000. */
  readonly timeoutMs?: number;
  readonly fetch?: typeof globalThis.fetch;
  /** The platform's own by default; node has one from 22 on. */
  readonly WebSocket?: WebSocketMaker;
  /** From 0 to 1, for jitter. */
  readonly random?: () => number;
}

type LoggedIn = { readonly token: string; readonly user: { id: number; uuid: string; username: string; score: number } };

/** A client of one Laurel for one user, or for nobody yet. */
export class Laurel {
  readonly #login = new Login();
  readonly #rest: Rest;
  readonly #boards: Boards;
  readonly #actions: Actions;
  readonly #live: (options: LiveOptions) => Live;

  constructor(options: LaurelOptions = {}) {
    const { url = '', token, onToken, retry = {}, timeoutMs = 15_000, random = Math.random } = options;
    const base = url.replace(/\/+$/, '');
    // Bound when it is called: a browser's own fetch wants to be called on its window.
    const fetch = options.fetch ?? ((input, init) => globalThis.fetch(input, init));
    const patience = { attempts: retry.attempts ?? 5, maxWaitMs: (retry.maxWaitSeconds ?? 10) * 1000, random };
    if (token) this.#login.set(token);
    if (onToken) this.#login.onChange(onToken);
    const login = this.#login;
    this.#rest = new Rest(base, fetch, login, patience, timeoutMs);
    const boards = (this.#boards = new Boards(this.#rest));
    this.#actions = new Actions(this.#rest, login);
    const WebSocket = options.WebSocket ?? (globalThis.WebSocket as WebSocketMaker | undefined);
    this.#live = (live) => new Live({ base, login, boards, fetch, WebSocket, random }, live);
  }

  /** The login, or null. Setting it, say to one of your identity provider, re-opens live connections. */
  get token(): string | null {
    return this.#login.token;
  }

  set token(token: string | null) {
    this.#login.set(token);
  }

  /** Who is logged in, as far as it is known. */
  get user(): User | null {
    return this.#login.user;
  }

  /** Makes a user, who is logged in then. */
  register(user: { username: string; email: string; password: string }, options?: CallOptions): Promise<User> {
    return this.#logIn('/api/auth/register', user, options);
  }

  login(user: { username: string; password: string }, options?: CallOptions): Promise<User> {
    return this.#logIn('/api/auth/login', user, options);
  }

  /** Forgets the login. */
  logout(): void {
    this.#login.set(null);
  }

  /** The catalogue: what can be done, what it is worth, and what proof it needs. */
  actions(options?: CallOptions): Promise<readonly Action[]> {
    return this.#actions.list(options);
  }

  /**
   * Starts an action, proves it, and wins its points; retried where an answer is lost, and never counted twice.
   * What can be proven without anybody is: `hashcash` is solved, `elapsed` is waited for.
   */
  play(actionType: string, options?: PlayOptions): Promise<Award> {
    return this.#actions.play(actionType, options);
  }

  /** Starts an action: a token that works once, and what has to be shown with it. */
  init(actionType: string, options?: CallOptions): Promise<Started> {
    return this.#actions.init(actionType, options);
  }

  /** Shows the proof, and wins the points. */
  finalize(antiSpamToken: string, proof?: Proof | null, options?: AwardOptions): Promise<Award> {
    return this.#actions.finalize(antiSpamToken, proof, options);
  }

  /** Proves an action now; the token is redeemed later. */
  actionToken(request: TokenRequest, options?: AwardOptions): Promise<ProvenToken> {
    return this.#actions.actionToken(request, options);
  }

  /** Redeems a token of `actionToken`. */
  redeem(actionToken: string, options?: AwardOptions & { readonly sessionId?: string }): Promise<Award> {
    return this.#actions.redeem(actionToken, options);
  }

  /** Starts a game session; an earlier one ends. */
  async startGame({ signal }: CallOptions = {}): Promise<Game> {
    const owner = this.token;
    return this.#game(owner, await this.#rest.enveloped<SessionAnswer>('POST', '/api/game/start', { signal }));
  }

  /** The live session, so that a reloaded page goes on; null if there is none that can. */
  async resumeGame({ signal }: CallOptions = {}): Promise<Game | null> {
    const owner = this.token;
    try {
      const session = await this.#rest.enveloped<SessionAnswer>('GET', '/api/game/session', { signal });
      return session.actionToken === null ? null : this.#game(owner, session);
    } catch (error) {
      const none = error instanceof LaurelError && ['TOKEN_NOT_FOUND', 'TOKEN_EXPIRED'].includes(error.code);
      if (none) return null;
      throw error;
    }
  }

  /** The ten best; never an older board than it gave before. */
  leaderboard({ signal }: CallOptions = {}): Promise<Board> {
    return this.#boards.leaderboard(signal);
  }

  /** The ten best as the game API shows them, by user number. */
  top10({ signal }: CallOptions = {}): Promise<Top10> {
    return this.#boards.top10(signal);
  }

  /** Where a user stands, by number or UUID. */
  standing(userId: number | string, { signal }: CallOptions = {}): Promise<Standing> {
    return this.#rest.enveloped('GET', `/api/scoreboard/user/${encodeURIComponent(userId)}`, { signal });
  }

  /** Listens, until it is closed: the board as it changes, and one's own awards. */
  live(options: LiveOptions = {}): Live {
    return this.#live(options);
  }

  #game(owner: string | null, session: SessionAnswer): Game {
    return new Game(this.#rest, this.#login, this.#actions, owner, session);
  }

  async #logIn(path: string, body: Record<string, string>, { signal }: CallOptions = {}): Promise<User> {
    const { token, user } = await this.#rest.enveloped<LoggedIn>('POST', path, { body: { ...body }, signal });
    this.#login.set(token, { id: user.id, uuid: user.uuid, username: user.username, score: user.score });
    return this.#login.user as User;
  }
}
