// A board that stays true: one link at a time, another when it is lost, and never a step back.

import type { Boards } from './boards.js';
import { LaurelError } from './errors.js';
import type { Ending, Hooks, Link } from './link.js';
import type { Login } from './login.js';
import { backOff } from './retry.js';
import { openSocket, type WebSocketMaker } from './socket.js';
import { openStream } from './stream.js';
import type { Board, Personal, Row, Status } from './types.js';

/** How a live connection is. `degraded` is open, but the server itself may not know the newest board. */
export type LiveState = 'connecting' | 'open' | 'degraded' | 'reconnecting' | 'closed' | 'refused';

/** What is known beside the state. */
export interface StateDetail {
  /** Why the last connection is no more, for people. */
  readonly reason?: string;
  /** The HTTP status or the close code. */
  readonly code?: number;
  /** When it tries again. */
  readonly retryInMs?: number;
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
  /** A connection that is silent for so long is looked after. Default 75,000: three pings of the server. */
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
/** A board that HTTP has and the connection does not bring by then shows that the connection is dead. */
const GRACE_MS = 3_000;
/** The least time between looks that the page's own events ask for. */
const LOOK_EVERY_MS = 5_000;

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
  #lookedAt = -Infinity;
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
    this.#hear(globalThis, 'online');
    this.#hear(globalThis.document, 'visibilitychange');
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
    const { transport = 'websocket', silenceMs = 75_000 } = this.options;
    const token = login.token;
    const byEvents = () => {
      this.#link = openStream(fetch, base, token, silenceMs, this.#hooks((ending) => this.#lost(ending)));
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
    return { end, alive: () => this.#wait(), event: (event) => this.#heard(event) };
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
    const detail = { reason, ...(code !== undefined && { code }) };
    if (ending.refused) return this.#tell('refused', detail);
    const jitter = ending.drawn === true ? 0 : backOff(this.#tries, this.parts.random, BASE_MS, CAP_MS);
    this.#tries += 1;
    const retryInMs = Math.round(waitMs + jitter);
    this.#retry = setTimeout(() => this.#connect(), retryInMs);
    this.#tell('reconnecting', { ...detail, retryInMs });
  }

  /** The network is back, or somebody looks again. */
  #nudge(): void {
    if (globalThis.document?.visibilityState === 'hidden') return;
    const due = performance.now() - this.#lookedAt >= LOOK_EVERY_MS;
    if (this.#openedAt !== Infinity && due) void this.#look();
    if (this.#link === null && this.#state === 'reconnecting') this.#connect();
  }

  #wait(): void {
    clearTimeout(this.#silence);
    const { silenceMs = 75_000 } = this.options;
    // Those who fell silent together do not ask together.
    this.#silence = setTimeout(() => void this.#look(), silenceMs * (1 + this.parts.random() / 4));
  }

  /** Pings of a WebSocket are not told to pages, so silence is no sign; a board that it did not bring is one. */
  async #look(): Promise<void> {
    const link = this.#link;
    this.#lookedAt = performance.now();
    this.#wait();
    const newest = await this.parts.boards.glance().then((it) => it.version, silent);
    const behind = () => link !== null && link === this.#link && newest > this.#shown;
    if (!behind()) return;
    clearTimeout(this.#silence);
    this.#silence = setTimeout(() => {
      if (behind()) this.#lost({ refused: false, reason: 'the connection brings nothing any more' });
      else if (link === this.#link) this.#wait();
    }, GRACE_MS);
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
    if (state === this.#state && state !== 'reconnecting') return;
    this.#state = state;
    call(() => this.options.onState?.(state, detail));
  }

  #hear(target: EventTarget | undefined, event: string): void {
    const nudge = () => this.#nudge();
    target?.addEventListener?.(event, nudge);
    this.#ends.push(() => target?.removeEventListener?.(event, nudge));
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
