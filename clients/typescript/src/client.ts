// The client: every call of a player's program.

import { Actions, type AwardOptions, type CallOptions, type PlayOptions, type TokenRequest } from './actions.js';
import { Boards, type EntriesOptions, type EntriesPageOptions } from './boards.js';
import { LaurelError } from './errors.js';
import { Game, type SessionResponse } from './game.js';
import { Live, type LiveOptions } from './live.js';
import { Login } from './login.js';
import { Players, type PageOptions } from './players.js';
import { Rest } from './rest.js';
import type { RetryOptions } from './retry.js';
import type {
  Action, ActionToken, Award, AwardHistoryEntry, AwardHistoryPage, Board, BoardDefinition, BoardEntry, BoardLookup, BoardPage, BoardPlaces,
  OwnProfile, PeriodPage, Profile, Proof, Standing, StartedAction, Top10, User,
} from './types.js';
import type { WebSocketConstructor } from './websocket.js';

/** Options of a client. */
export interface LaurelOptions {
  /** Where Laurel is, without a trailing slash. '' is the page's own origin. */
  readonly url?: string;
  /** A stored login. */
  readonly token?: string | null;
  /** Called at every change of the login, to store it. */
  readonly onToken?: (token: string | null) => void;
  readonly retry?: RetryOptions;
  /** Time until a request without a response fails. Default 15,000. */
  readonly timeoutMs?: number;
  readonly fetch?: typeof globalThis.fetch;
  /** The platform's own by default. Node has one since version 22. */
  readonly WebSocket?: WebSocketConstructor;
  /** Random numbers from 0 to 1, for jitter. */
  readonly random?: () => number;
}

type LoginResponse = { readonly token: string; readonly user: { id: number; uuid: string; username: string; score: number } };

/** A client of one Laurel server, for one user or a spectator. */
export class Laurel {
  readonly #login = new Login();
  readonly #rest: Rest;
  readonly #boards: Boards;
  readonly #players: Players;
  readonly #actions: Actions;
  readonly #live: (options: LiveOptions) => Live;

  constructor(options: LaurelOptions = {}) {
    const { url = '', token, onToken, retry = {}, timeoutMs = 15_000, random = Math.random } = options;
    const base = url.replace(/\/+$/, '');
    // A browser's `fetch` must be called on its window.
    const fetch = options.fetch ?? ((input, init) => globalThis.fetch(input, init));
    const policy = { attempts: retry.attempts ?? 5, maxWaitMs: (retry.maxWaitSeconds ?? 10) * 1000, random };
    if (token) this.#login.set(token);
    if (onToken) this.#login.onChange(onToken);
    const login = this.#login;
    this.#rest = new Rest(base, fetch, login, policy, timeoutMs);
    const boards = (this.#boards = new Boards(this.#rest));
    this.#players = new Players(this.#rest);
    this.#actions = new Actions(this.#rest, login);
    const WebSocket = options.WebSocket ?? (globalThis.WebSocket as WebSocketConstructor | undefined);
    this.#live = (liveOptions) => new Live({ base, login, boards, fetch, WebSocket, random }, liveOptions);
  }

  /** The login, or null. Setting it, for example to a token of your identity provider, reconnects live connections. */
  get token(): string | null {
    return this.#login.token;
  }

  set token(token: string | null) {
    this.#login.set(token);
  }

  /** The logged-in user, as far as known. */
  get user(): User | null {
    return this.#login.user;
  }

  /** Creates a user and logs in. */
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

  /** The catalogue: actions with their points, proofs and limits. */
  actions(options?: CallOptions): Promise<readonly Action[]> {
    return this.#actions.list(options);
  }

  /**
   * Starts an action, proves it and earns its points. Lost responses are retried and never count twice. `hashcash` is solved and `elapsed`
   * waited for; other proofs come from `prove`.
   */
  play(actionType: string, options?: PlayOptions): Promise<Award> {
    return this.#actions.play(actionType, options);
  }

  /** Starts an action. Returns a single-use token, and the challenge if the action has one. */
  init(actionType: string, options?: CallOptions): Promise<StartedAction> {
    return this.#actions.init(actionType, options);
  }

  /** Sends the proof and earns the points. */
  finalize(antiSpamToken: string, proof?: Proof | null, options?: AwardOptions): Promise<Award> {
    return this.#actions.finalize(antiSpamToken, proof, options);
  }

  /** Proves an action now. The returned token is redeemed later. */
  actionToken(request: TokenRequest, options?: AwardOptions): Promise<ActionToken> {
    return this.#actions.actionToken(request, options);
  }

  /** Redeems a token of `actionToken`. */
  redeem(actionToken: string, options?: AwardOptions & { readonly sessionId?: string }): Promise<Award> {
    return this.#actions.redeem(actionToken, options);
  }

  /** Starts a game session, which ends an earlier one. */
  async startGame({ signal }: CallOptions = {}): Promise<Game> {
    const owner = this.token;
    return this.#game(owner, await this.#rest.enveloped<SessionResponse>('POST', '/api/game/start', { signal }));
  }

  /** The active session, for example after a reload. Null if there is none. */
  async resumeGame({ signal }: CallOptions = {}): Promise<Game | null> {
    const owner = this.token;
    try {
      const session = await this.#rest.enveloped<SessionResponse>('GET', '/api/game/session', { signal });
      return session.actionToken === null ? null : this.#game(owner, session);
    } catch (error) {
      const hasNone = error instanceof LaurelError && ['TOKEN_NOT_FOUND', 'TOKEN_EXPIRED'].includes(error.code);
      if (hasNone) return null;
      throw error;
    }
  }

  /** The boards that the user may see, `global` first, with their current periods. */
  boards({ signal }: CallOptions = {}): Promise<readonly BoardDefinition[]> {
    return this.#boards.list(signal);
  }

  /** One of them. `weekly@DE` is the board of one value of the tag that `weekly` is split by. */
  board(id: string, { signal }: CallOptions = {}): Promise<BoardDefinition> {
    return this.#boards.one(id, signal);
  }

  /** The entries of a board, best first. Requests a page of `limit` entries when it is needed. */
  entries(id: string, options: EntriesOptions = {}): AsyncGenerator<BoardEntry, void> {
    return this.#boards.entries(id, options);
  }

  /** One page of a board, best first. */
  entriesPage(id: string, options?: EntriesPageOptions): Promise<BoardPage> {
    return this.#boards.page(id, options);
  }

  /** One page of a board's periods, newest first. */
  periodsPage(id: string, options?: PageOptions): Promise<PeriodPage> {
    return this.#boards.periodsPage(id, options);
  }

  /** The entries of up to 200 users, such as friends, by UUID. */
  lookup(id: string, userIds: readonly string[], options?: Omit<EntriesOptions, 'limit'>): Promise<BoardLookup> {
    return this.#boards.lookup(id, userIds, options);
  }

  /** The top 10. Never older than a board that it returned before. */
  leaderboard({ signal }: CallOptions = {}): Promise<Board> {
    return this.#boards.leaderboard(signal);
  }

  /** The top 10 of the game API, with user numbers. */
  top10({ signal }: CallOptions = {}): Promise<Top10> {
    return this.#boards.top10(signal);
  }

  /** Score and rank of a user, by number or UUID. */
  standing(userId: number | string, { signal }: CallOptions = {}): Promise<Standing> {
    return this.#rest.enveloped('GET', `/api/scoreboard/user/${encodeURIComponent(userId)}`, { signal });
  }

  /** The caller's own profile. */
  me({ signal }: CallOptions = {}): Promise<OwnProfile> {
    return this.#players.me(signal);
  }

  /** A player's public profile, by number or UUID. */
  profile(userId: number | string, { signal }: CallOptions = {}): Promise<Profile> {
    return this.#players.profile(userId, signal);
  }

  /** A player's awards, newest first. Requests a page of `limit` entries when it is needed. */
  history(userId: number | string, options: Omit<PageOptions, 'cursor'> = {}): AsyncGenerator<AwardHistoryEntry, void> {
    return this.#players.history(userId, options);
  }

  /** One page of a player's awards, newest first. */
  historyPage(userId: number | string, options?: PageOptions): Promise<AwardHistoryPage> {
    return this.#players.historyPage(userId, options);
  }

  /** A player's current and best places on the boards that the user may see. */
  places(userId: number | string, { signal }: CallOptions = {}): Promise<readonly BoardPlaces[]> {
    return this.#players.places(userId, signal);
  }

  /** Opens a live connection: boards, and the user's own awards. Reconnects until it is closed. */
  live(options: LiveOptions = {}): Live {
    return this.#live(options);
  }

  #game(owner: string | null, session: SessionResponse): Game {
    return new Game(this.#rest, this.#login, this.#actions, owner, session);
  }

  async #logIn(path: string, body: Record<string, string>, { signal }: CallOptions = {}): Promise<User> {
    const { token, user } = await this.#rest.enveloped<LoginResponse>('POST', path, { body: { ...body }, signal });
    this.#login.set(token, { id: user.id, uuid: user.uuid, username: user.username, score: user.score });
    return this.#login.user as User;
  }
}
