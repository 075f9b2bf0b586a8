import type { Boards } from './boards.js';
import type { Login } from './login.js';
import { type BoardHandlers } from './subscriptions.js';
import type { Board, PersonalUpdate, ServerStatus } from './types.js';
import { type WebSocketConstructor } from './websocket.js';
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
/** A live connection. It stays until `close`. */
export declare class Live {
    #private;
    private readonly context;
    private readonly options;
    /** @internal Created by `Laurel.live`. */
    constructor(context: LiveContext, options: LiveOptions);
    /** The current state. */
    get state(): LiveState;
    /**
     * Subscribes to boards, such as `weekly` or `weekly@DE`, for as long as this connection lives. At most 8 over all calls.
     *
     * @returns ends this subscription.
     */
    subscribe(boards: readonly string[], handlers: BoardHandlers): () => void;
    /** Closes the connection for good. */
    close(): void;
}
