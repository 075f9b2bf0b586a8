import type { Boards } from './boards.js';
import type { Login } from './login.js';
import { type WebSocketMaker } from './socket.js';
import type { Board, Personal, Status } from './types.js';
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
/** A live connection; it lives until `close`. */
export declare class Live {
    #private;
    private readonly parts;
    private readonly options;
    /** @internal `Laurel.live` makes them. */
    constructor(parts: LiveParts, options: LiveOptions);
    /** How it is. */
    get state(): LiveState;
    /** Ends it for good. */
    close(): void;
}
