// The live connection: boards and the user's own awards. It reconnects by itself and never delivers an older board after a newer one.

import type { Boards } from './boards.js';
import type { CloseInfo, Connection, ConnectionHandlers } from './connection.js';
import { LaurelError } from './errors.js';
import { openEventStream } from './event-stream.js';
import type { Login } from './login.js';
import { backOff } from './retry.js';
import { Subscriptions, type BoardHandlers } from './subscriptions.js';
import type { Board, PersonalUpdate, Row, ServerStatus } from './types.js';
import { openWebSocket, type WebSocketConstructor } from './websocket.js';

/**
 * The state of a live connection. `degraded` is open, but the server itself may not have the newest board. `offline` is `reconnecting` on
 * a device that reports no network.
 */
export type LiveState = 'connecting' | 'open' | 'degraded' | 'reconnecting' | 'offline' | 'closed' | 'refused';

/** Details of a state. */
export interface StateDetail {
  /** Why the last connection closed, for people. */
  readonly reason?: string;
  /** HTTP status or close code. */
  readonly code?: number;
  /** Time until the next attempt. */
  readonly retryInMs?: number;
  /** When something last arrived, on this device's clock (RFC 3339): the board is as of then. */
  readonly asOf?: string;
  /** The transport of an open connection. */
  readonly transport?: 'websocket' | 'events';
}

/** Options of a live connection. */
export interface LiveOptions {
  /**
   * `websocket` (the default) needs a login and a `WebSocket`. Without either, `events` is used, which also works for spectators. If
   * WebSockets fail, `events` takes over, and a WebSocket is tried again every five to ten minutes.
   */
  readonly transport?: 'websocket' | 'events';
  /** A connection is checked after this silence, and replaced if no response arrives within 5,000. Default 10,000. */
  readonly silenceMs?: number;
  /** Receives each newer board. */
  readonly onBoard?: (board: Board) => void;
  /** Receives the user's own awards, from every device. */
  readonly onPersonal?: (personal: PersonalUpdate) => void;
  readonly onStatus?: (status: ServerStatus) => void;
  readonly onState?: (state: LiveState, detail: StateDetail) => void;
}

/** What a live connection needs from the client. */
export interface LiveContext {
  readonly base: string;
  readonly login: Login;
  readonly boards: Boards;
  readonly fetch: typeof globalThis.fetch;
  readonly WebSocket: WebSocketConstructor | undefined;
  readonly random: () => number;
}

/** When a node dies, all of its clients reconnect to others: waits spread them. */
const BASE_MS = 2_000;
const CAP_MS = 30_000;
/** After a connection of this length, the back-off starts from the beginning. */
const STABLE_MS = 5_000;
/** If WebSockets worked before, the event stream is asked for the reason of every third failure only. */
const ASK_EVERY = 3;
/** The event stream replaces a WebSocket for this time, up to twice as long. */
const FALLBACK_MS = 300_000;
/** Default of `silenceMs`. */
const SILENCE_MS = 10_000;
/** A check without a response within this time means that the connection is dead. */
const CHECK_TIMEOUT_MS = 5_000;
/** If HTTP has a newer board, the connection must deliver it within this time. */
const GRACE_MS = 3_000;
/** Minimum time between checks that are caused by events of the page. */
const MIN_CHECK_INTERVAL_MS = 5_000;

/** A live connection. It stays until `close`. */
export class Live {
  #state: LiveState | null = null;
  #connection: Connection | null = null;
  #failures = 0;
  /** Number of restarts: after a callback, shows if the callback has caused another one. */
  #restarts = 0;
  /** True if a WebSocket was open with this login. */
  #webSocketWorks = false;
  #newestVersion = -1;
  #openedAt = Infinity;
  #checkedAt = -Infinity;
  /** When something last arrived, in ms since the Unix epoch. */
  #lastActivityAt: number | undefined;
  #retryTimer: ReturnType<typeof setTimeout> | undefined;
  #silenceTimer: ReturnType<typeof setTimeout> | undefined;
  #fallbackTimer: ReturnType<typeof setTimeout> | undefined;
  readonly #subscriptions = new Subscriptions();
  /** The boards of the event stream's URL. They cannot change while it is open. */
  #streamed: readonly string[] = [];
  /** Boards of streams that were refused: the next one goes without them. */
  readonly #notStreamed = new Set<string>();
  readonly #cleanUps: (() => void)[] = [];

  /** @internal Created by `Laurel.live`. */
  constructor(
    private readonly context: LiveContext,
    private readonly options: LiveOptions,
  ) {
    this.#cleanUps.push(context.login.onChange(() => this.#startOver()));
    this.#listen(globalThis, 'online', () => this.#onWake());
    this.#listen(globalThis, 'offline', () => this.#onOffline());
    this.#listen(globalThis.document, 'visibilitychange', () => this.#onWake());
    this.#startOver();
  }

  /** The current state. */
  get state(): LiveState {
    return this.#state ?? 'connecting';
  }

  /**
   * Subscribes to boards, such as `weekly` or `weekly@DE`, for as long as this connection lives. At most 8 over all calls.
   *
   * @returns ends this subscription.
   */
  subscribe(boards: readonly string[], handlers: BoardHandlers): () => void {
    const { added, remove } = this.#subscriptions.add(boards, handlers);
    for (const board of new Set(boards)) {
      const newest = this.#subscriptions.newest(board);
      if (newest !== undefined) call(() => handlers.onUpdate?.(newest));
    }
    this.#request('subscribe', added);
    return () => this.#request('unsubscribe', remove());
  }

  /** Closes the connection for good. */
  close(): void {
    if (this.#state === 'closed') return;
    for (const cleanUp of this.#cleanUps) cleanUp();
    this.#disconnect();
    this.#setState('closed');
  }

  #startOver(): void {
    if (this.#state === 'closed') return;
    this.#failures = 0;
    this.#notStreamed.clear();
    this.#restart('connecting');
  }

  /** Sets the state, then connects, unless a callback has closed this connection or changed the login. */
  #restart(state: LiveState, detail: StateDetail = {}): void {
    this.#disconnect();
    this.#webSocketWorks = false;
    const restart = (this.#restarts += 1);
    this.#setState(state, detail);
    if (restart === this.#restarts) this.#connect();
  }

  #connect(): void {
    if (this.#state === 'closed') return;
    clearTimeout(this.#retryTimer);
    const { base, login, fetch, WebSocket, random } = this.context;
    const { transport = 'websocket' } = this.options;
    const token = login.token;
    const openStream = () => {
      this.#streamed = this.#boardsToStream();
      const handlers = this.#handlers((info) => this.#onStreamLost(info));
      this.#connection = openEventStream(fetch, base, token, this.#streamed, handlers);
    };
    if (transport === 'events' || token === null || WebSocket === undefined) return openStream();
    const fallBack = () => {
      openStream();
      const retry = () => this.#restart('reconnecting', { reason: 'trying a WebSocket again', retryInMs: 0 });
      this.#fallbackTimer = setTimeout(retry, FALLBACK_MS * (1 + random()));
    };
    // A failed handshake has no reason. The event stream has one, or works as a fallback. If WebSockets worked before, most likely the
    // node is down, and asking each time would double the load of the reconnecting clients.
    const mayFallBack = () => !this.#webSocketWorks || this.#failures % ASK_EVERY === ASK_EVERY - 1;
    const isUnexplained = (info: CloseInfo) => this.#openedAt === Infinity && !info.refused && info.waitMs === undefined;
    const onClose = (info: CloseInfo) => (isUnexplained(info) && mayFallBack() ? fallBack() : this.#onLost(info));
    this.#connection = openWebSocket(WebSocket, base, token, this.#handlers(onClose));
  }

  #handlers(onClose: (info: CloseInfo) => void): ConnectionHandlers {
    return { onClose, onActivity: () => this.#onActivity(), onEvent: (event) => this.#onEvent(event) };
  }

  #onEvent({ event, data, version, timestamp }: Readonly<Record<string, unknown>>): void {
    const { login } = this.context;
    if (event === 'connect_success') {
      const { userId, username } = (data ?? {}) as { userId?: string; username?: string };
      if (userId !== undefined && username !== undefined) login.updateUser(login.token, { uuid: userId, username });
      this.#openedAt = performance.now();
      this.#webSocketWorks ||= this.#connection?.transport === 'websocket';
      if (this.#connection?.send !== undefined) this.#request('subscribe', this.#subscriptions.boards);
      this.#setState('open', this.#transportDetail());
    } else if (event === 'leaderboard_updated' && typeof version === 'number' && version > this.#newestVersion) {
      this.#newestVersion = version;
      const board = { rows: data as Row[], version, timestamp: String(timestamp), stale: this.#state === 'degraded' };
      call(() => this.options.onBoard?.(board));
    } else if (event === 'score_personal') {
      const personal = data as PersonalUpdate;
      login.updateUser(login.token, { score: personal.score });
      call(() => this.options.onPersonal?.(personal));
    } else if (event === 'status') {
      const status = data as ServerStatus;
      const connection = this.#connection;
      call(() => this.options.onStatus?.(status));
      if (connection === this.#connection) this.#setState(status.degraded ? 'degraded' : 'open', this.#transportDetail());
    } else {
      this.#subscriptions.onEvent(event, data, call);
    }
  }

  /** Asks the server for boards, or for no more of them. A connection that is not open yet asks for all of them when it is. */
  #request(event: 'subscribe' | 'unsubscribe', boards: readonly string[]): void {
    const connection = this.#connection;
    if (boards.length === 0 || connection === null) return;
    if (connection.send === undefined) {
      // Calls of the same turn share one new stream.
      queueMicrotask(() => {
        if (connection !== this.#connection || sameSet(this.#streamed, this.#boardsToStream())) return;
        if (this.#openedAt !== Infinity) return this.#restart('reconnecting', { reason: 'the boards have changed', retryInMs: 0 });
        this.#disconnect();
        this.#connect();
      });
    } else if (this.#openedAt !== Infinity) {
      connection.send(event, { boards });
    }
  }

  #boardsToStream(): readonly string[] {
    return this.#subscriptions.boards.filter((board) => !this.#notStreamed.has(board));
  }

  /** A stream is refused as a whole if one of its boards is. */
  #onStreamLost(info: CloseInfo): void {
    const refused = info.code === 404 || info.code === 400 ? this.#streamed : [];
    for (const board of refused) this.#notStreamed.add(board);
    this.#onLost(info);
    const code = info.code === 404 ? 'BOARD_NOT_FOUND' : 'VALIDATION_ERROR';
    for (const board of refused) this.#subscriptions.refuse(board, code, call);
  }

  #onLost(info: CloseInfo): void {
    if (performance.now() - this.#openedAt >= STABLE_MS) this.#failures = 0;
    this.#disconnect();
    const { reason, code, waitMs = 0 } = info;
    const asOf = this.#lastActivityAt === undefined ? {} : { asOf: new Date(this.#lastActivityAt).toISOString() };
    const detail = { reason, ...(code !== undefined && { code }), ...asOf };
    if (info.refused) return this.#setState('refused', detail);
    const jitter = info.isRandomized === true ? 0 : backOff(this.#failures, this.context.random, BASE_MS, CAP_MS);
    this.#failures += 1;
    const retryInMs = Math.round(waitMs + jitter);
    this.#retryTimer = setTimeout(() => this.#connect(), retryInMs);
    this.#setState(globalThis.navigator?.onLine === false ? 'offline' : 'reconnecting', { ...detail, retryInMs });
  }

  /** The network is back, or the page is visible again. */
  #onWake(): void {
    if (globalThis.document?.visibilityState === 'hidden') return;
    const isDue = performance.now() - this.#checkedAt >= MIN_CHECK_INTERVAL_MS;
    if (this.#openedAt !== Infinity && isDue) void this.#check();
    if (this.#connection === null && this.#isRetrying()) this.#connect();
  }

  /** Connections do not survive a change of the network. One to this same device does, and reconnects at the first attempt. */
  #onOffline(): void {
    if (this.#connection !== null || this.#isRetrying()) this.#onLost({ refused: false, reason: 'the device is offline' });
  }

  #isRetrying(): boolean {
    return this.#state === 'reconnecting' || this.#state === 'offline';
  }

  #onActivity(): void {
    this.#lastActivityAt = Date.now();
    this.#scheduleCheck();
  }

  #scheduleCheck(): void {
    const { silenceMs = SILENCE_MS } = this.options;
    // Jitter: clients of a silent server must not check together.
    this.#afterSilence(silenceMs * (1 + this.context.random() / 4), () => void this.#check());
  }

  /** Sets what happens if nothing arrives for `ms`. */
  #afterSilence(ms: number, action: () => void): void {
    clearTimeout(this.#silenceTimer);
    this.#silenceTimer = setTimeout(action, ms);
  }

  /** Checks if the connection is alive. Scripts do not see the server's WebSocket pings. */
  async #check(): Promise<void> {
    const [connection, lastActivityAt] = [this.#connection, this.#lastActivityAt];
    if (connection === null) return;
    this.#checkedAt = performance.now();
    const onDead = () => this.#onLost({ refused: false, reason: 'the connection is dead' });
    if (connection.ping !== undefined) {
      connection.ping();
      return this.#afterSilence(CHECK_TIMEOUT_MS, onDead);
    }
    this.#scheduleCheck();
    // An event stream cannot be pinged. HTTP shows if it has missed a board.
    const newest = await this.context.boards.poll(CHECK_TIMEOUT_MS).then((board) => board.version, versionOfFailedPoll);
    if (connection !== this.#connection || lastActivityAt !== this.#lastActivityAt) return;
    if (newest === Infinity) return onDead();
    if (newest > this.#newestVersion) {
      this.#afterSilence(GRACE_MS, () => (newest > this.#newestVersion ? onDead() : this.#scheduleCheck()));
    }
  }

  #disconnect(): void {
    clearTimeout(this.#retryTimer);
    clearTimeout(this.#silenceTimer);
    clearTimeout(this.#fallbackTimer);
    this.#connection?.close();
    this.#connection = null;
    this.#openedAt = Infinity;
  }

  #transportDetail(): StateDetail {
    return this.#connection === null ? {} : { transport: this.#connection.transport };
  }

  #setState(state: LiveState, detail: StateDetail = {}): void {
    // Each wait for a retry is reported, other states only when they change.
    if (state === this.#state && !this.#isRetrying()) return;
    this.#state = state;
    call(() => this.options.onState?.(state, detail));
  }

  #listen(target: EventTarget | undefined, event: string, listener: () => void): void {
    target?.addEventListener?.(event, listener);
    this.#cleanUps.push(() => target?.removeEventListener?.(event, listener));
  }
}

/** Without any response the network is down, as if HTTP had a board that the connection can never deliver. Other errors say nothing. */
function versionOfFailedPoll(error: unknown): number {
  return error instanceof LaurelError && error.code === 'NETWORK' ? Infinity : -1;
}

function sameSet(one: readonly string[], other: readonly string[]): boolean {
  return one.length === other.length && one.every((item) => other.includes(item));
}

/** Calls a callback of the page. Its errors are reported as uncaught and do not break the connection. */
function call(callback: () => void): void {
  try {
    callback();
  } catch (error) {
    queueMicrotask(() => {
      throw error;
    });
  }
}
