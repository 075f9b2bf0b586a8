// A board that stays true: one link at a time, another when it is lost, and never a step back.

import type { Boards } from './boards.js';
import { LaurelError } from './errors.js';
import type { Ending, Hooks, Link } from './link.js';
import type { Login } from './login.js';
import { backOff } from './retry.js';
import { openSocket, type WebSocketMaker } from './socket.js';
import { openStream } from './stream.js';
import type { Board, Personal, Row, Status } from './types.js';

/**
 * How a live connection is. `degraded` is open, but the server itself may not know the newest board. `offline` is
 * `reconnecting` on a device that says it has no network.
 */
export type LiveState = 'connecting' | 'open' | 'degraded' | 'reconnecting' | 'offline' | 'closed' | 'refused';

/** What is known beside the state. */
export interface StateDetail {
  /** Why the last connection is no more, for people. */
  readonly reason?: string;
  /** The HTTP status or the close code. */
  readonly code?: number;
  /** When it tries again. */
  readonly retryInMs?: number;
  /** When something last arrived, by this device's clock (RFC 3339): the board is true as of then. */
  readonly asOf?: string;
  /** What carries it. */
  readonly transport?: 'websocket' | 'events';
}

/** Who listens, and how. */
export interface LiveOptions {
  /**
   * `websocket` (the default) needs a login and a `WebSocket`; without either it is `events`, which spectators can have.
   * Where a WebSocket does not come through, events stand in for it, and every five to ten minutes it is tried again.
   */
  readonly transport?: 'websocket' | 'events';
  /** A connection that is silent for so long is checked, and replaced if no answer comes in 5,000. Default 10,000. */
  readonly silenceMs?: number;
  /** A newer board than all before. */
  readonly onBoard?: (board: Board) => void;
  /** One's own award, from whichever device. */
  readonly onPersonal?: (personal: Personal) => void;
  readonly onStatus?: (status: Status) => void;
  readonly onState?: (state: LiveState, detail: StateDetail) => void;
}

/** What a connection is made with. */
export interface LiveParts {
  readonly base: string;
  readonly login: Login;
  readonly boards: Boards;
  readonly fetch: typeof globalThis.fetch;
  readonly WebSocket: WebSocketMaker | undefined;
  readonly random: () => number;
}

/** A node that dies sends its whole crowd elsewhere. */
const BASE_MS = 2_000;
const CAP_MS = 30_000;
/** A connection that held so long was a good one, and the next failure is a first one again. */
const PROVEN_MS = 5_000;
/** Where WebSockets came through before, one failure in so many is asked about by events. */
const ASK_EVERY = 3;
/** Events that stand in for a WebSocket do so for this long, and up to twice that; then one is tried again. */
const STAND_IN_MS = 300_000;
/** The default of `silenceMs`. */
const SILENCE_MS = 10_000;
/** A check that has no answer by then shows that the connection is dead. */
const ANSWER_MS = 5_000;
/** A board that HTTP has and the connection does not bring by then shows that the connection is dead. */
const GRACE_MS = 3_000;
/** The least time between checks that the page's own events ask for. */
const CHECK_EVERY_MS = 5_000;

/** A live connection; it lives until `close`. */
export class Live {
  #state: LiveState | null = null;
  #link: Link | null = null;
  #tries = 0;
  /** Counts what was begun, so that a step that called out sees whether it is still the newest. */
  #turn = 0;
  /** A WebSocket came through with this login. */
  #socketWorks = false;
  #shown = -1;
  #openedAt = Infinity;
  #checkedAt = -Infinity;
  /** When something last arrived, in ms since the epoch. */
  #heardAt: number | undefined;
  #retry: ReturnType<typeof setTimeout> | undefined;
  #silence: ReturnType<typeof setTimeout> | undefined;
  #standIn: ReturnType<typeof setTimeout> | undefined;
  readonly #ends: (() => void)[] = [];

  /** @internal `Laurel.live` makes them. */
  constructor(
    private readonly parts: LiveParts,
    private readonly options: LiveOptions,
  ) {
    this.#ends.push(parts.login.onChange(() => this.#restart()));
    this.#hear(globalThis, 'online', () => this.#nudge());
    this.#hear(globalThis, 'offline', () => this.#leaveNetwork());
    this.#hear(globalThis.document, 'visibilitychange', () => this.#nudge());
    this.#restart();
  }

  /** How it is. */
  get state(): LiveState {
    return this.#state ?? 'connecting';
  }

  /** Ends it for good. */
  close(): void {
    if (this.#state === 'closed') return;
    for (const end of this.#ends) end();
    this.#drop();
    this.#tell('closed');
  }

  #restart(): void {
    if (this.#state === 'closed') return;
    this.#tries = 0;
    this.#anew('connecting');
  }

  /** Tells, then connects; unless whoever was told has closed it, or begun another turn by a login. */
  #anew(state: LiveState, detail: StateDetail = {}): void {
    this.#drop();
    this.#socketWorks = false;
    const turn = (this.#turn += 1);
    this.#tell(state, detail);
    if (turn === this.#turn) this.#connect();
  }

  #connect(): void {
    if (this.#state === 'closed') return;
    clearTimeout(this.#retry);
    const { base, login, fetch, WebSocket, random } = this.parts;
    const { transport = 'websocket' } = this.options;
    const token = login.token;
    const byEvents = () => {
      this.#link = openStream(fetch, base, token, this.#hooks((ending) => this.#lost(ending)));
    };
    if (transport === 'events' || token === null || WebSocket === undefined) return byEvents();
    const standIn = () => {
      byEvents();
      const again = () => this.#anew('reconnecting', { reason: 'a WebSocket is tried again', retryInMs: 0 });
      this.#standIn = setTimeout(again, STAND_IN_MS * (1 + random()));
    };
    // A handshake that failed does not say why; asking by events tells, or is a connection as good. Where WebSockets work it
    // most likely is a node that is away, and a crowd that asks twice each time would only be a larger one.
    const ask = () => !this.#socketWorks || this.#tries % ASK_EVERY === ASK_EVERY - 1;
    const unknown = (it: Ending) => this.#openedAt === Infinity && !it.refused && it.waitMs === undefined;
    const hooks = this.#hooks((ending) => (unknown(ending) && ask() ? standIn() : this.#lost(ending)));
    this.#link = openSocket(WebSocket, base, token, hooks);
  }

  #hooks(end: (ending: Ending) => void): Hooks {
    return { end, alive: () => this.#alive(), event: (event) => this.#heard(event) };
  }

  #heard({ event, data, version, timestamp }: Readonly<Record<string, unknown>>): void {
    const { login } = this.parts;
    if (event === 'connect_success') {
      const { userId, username } = (data ?? {}) as { userId?: string; username?: string };
      if (userId !== undefined && username !== undefined) login.learn(login.token, { uuid: userId, username });
      this.#openedAt = performance.now();
      this.#socketWorks ||= this.#link?.transport === 'websocket';
      this.#tell('open', this.#carried());
    } else if (event === 'leaderboard_updated' && typeof version === 'number' && version > this.#shown) {
      this.#shown = version;
      const board = { rows: data as Row[], version, timestamp: String(timestamp), stale: this.#state === 'degraded' };
      call(() => this.options.onBoard?.(board));
    } else if (event === 'score_personal') {
      const personal = data as Personal;
      login.learn(login.token, { score: personal.score });
      call(() => this.options.onPersonal?.(personal));
    } else if (event === 'status') {
      const status = data as Status;
      const link = this.#link;
      call(() => this.options.onStatus?.(status));
      if (link === this.#link) this.#tell(status.degraded ? 'degraded' : 'open', this.#carried());
    }
  }

  #lost(ending: Ending): void {
    if (performance.now() - this.#openedAt >= PROVEN_MS) this.#tries = 0;
    this.#drop();
    const { reason, code, waitMs = 0 } = ending;
    const asOf = this.#heardAt === undefined ? {} : { asOf: new Date(this.#heardAt).toISOString() };
    const detail = { reason, ...(code !== undefined && { code }), ...asOf };
    if (ending.refused) return this.#tell('refused', detail);
    const jitter = ending.drawn === true ? 0 : backOff(this.#tries, this.parts.random, BASE_MS, CAP_MS);
    this.#tries += 1;
    const retryInMs = Math.round(waitMs + jitter);
    this.#retry = setTimeout(() => this.#connect(), retryInMs);
    this.#tell(globalThis.navigator?.onLine === false ? 'offline' : 'reconnecting', { ...detail, retryInMs });
  }

  /** The network is back, or the page is visible again. */
  #nudge(): void {
    if (globalThis.document?.visibilityState === 'hidden') return;
    const due = performance.now() - this.#checkedAt >= CHECK_EVERY_MS;
    if (this.#openedAt !== Infinity && due) void this.#check();
    if (this.#link === null && this.#isRetrying()) this.#connect();
  }

  /** No connection outlives its network. One to this same device does, and is back at the first try. */
  #leaveNetwork(): void {
    if (this.#link !== null || this.#isRetrying()) this.#lost({ refused: false, reason: 'the device is offline' });
  }

  #isRetrying(): boolean {
    return this.#state === 'reconnecting' || this.#state === 'offline';
  }

  #alive(): void {
    this.#heardAt = Date.now();
    this.#wait();
  }

  #wait(): void {
    const { silenceMs = SILENCE_MS } = this.options;
    // Those who fell silent together do not ask together.
    this.#watch(silenceMs * (1 + this.parts.random() / 4), () => void this.#check());
  }

  /** Replaces what is done about silence. */
  #watch(ms: number, then: () => void): void {
    clearTimeout(this.#silence);
    this.#silence = setTimeout(then, ms);
  }

  /** Asks for a sign of life: pages do not see the server's own pings. */
  async #check(): Promise<void> {
    const [link, heardAt] = [this.#link, this.#heardAt];
    if (link === null) return;
    this.#checkedAt = performance.now();
    const dead = () => this.#lost({ refused: false, reason: 'the connection brings nothing any more' });
    if (link.ping !== undefined) {
      link.ping();
      return this.#watch(ANSWER_MS, dead);
    }
    this.#wait();
    // An event stream cannot be asked, so HTTP tells whether it missed a board.
    const newest = await this.parts.boards.glance(ANSWER_MS).then((board) => board.version, silent);
    if (link !== this.#link || heardAt !== this.#heardAt) return;
    if (newest === Infinity) return dead();
    if (newest > this.#shown) this.#watch(GRACE_MS, () => (newest > this.#shown ? dead() : this.#wait()));
  }

  #drop(): void {
    clearTimeout(this.#retry);
    clearTimeout(this.#silence);
    clearTimeout(this.#standIn);
    this.#link?.close();
    this.#link = null;
    this.#openedAt = Infinity;
  }

  #carried(): StateDetail {
    return this.#link === null ? {} : { transport: this.#link.transport };
  }

  #tell(state: LiveState, detail: StateDetail = {}): void {
    // Waiting for the next try is told each time; everything else when it changes.
    if (state === this.#state && !this.#isRetrying()) return;
    this.#state = state;
    call(() => this.options.onState?.(state, detail));
  }

  #hear(target: EventTarget | undefined, event: string, listener: () => void): void {
    target?.addEventListener?.(event, listener);
    this.#ends.push(() => target?.removeEventListener?.(event, listener));
  }
}

/** What it means that HTTP does not tell: without any answer the network is away, and whatever is newest did not come. */
function silent(error: unknown): number {
  return error instanceof LaurelError && error.code === 'NETWORK' ? Infinity : -1;
}

/** What a page's own code throws must not break the connection; it is told where uncaught errors are. */
function call(callback: () => void): void {
  try {
    callback();
  } catch (error) {
    queueMicrotask(() => {
      throw error;
    });
  }
}
