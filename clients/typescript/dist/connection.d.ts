/** Why a connection closed, and what to do next. */
export interface CloseInfo {
    /** The login or the origin was rejected. Reconnecting with the same one fails again. */
    readonly refused: boolean;
    /** A text for people. It never contains a token. */
    readonly reason: string;
    /** HTTP status or close code, if there was one. */
    readonly code?: number;
    /** When to reconnect, as the server asked, in ms. */
    readonly waitMs?: number | undefined;
    /** True if the server chose `waitMs` at random for this client, so that no jitter is needed. */
    readonly isRandomized?: boolean;
}
/** Callbacks of a connection. None is called after `onClose`, or after the connection was closed from this side. */
export interface ConnectionHandlers {
    /** Bytes arrived, so the connection is alive. */
    onActivity(): void;
    onEvent(event: Readonly<Record<string, unknown>>): void;
    onClose(info: CloseInfo): void;
}
/** A connection, which may still be opening. */
export interface Connection {
    readonly transport: 'websocket' | 'events';
    /** Asks the server for a pong, if the transport can. */
    ping?(): void;
    /** Sends an event, if the transport can. */
    send?(event: string, data: unknown): void;
    close(): void;
}
/** A connection that is not open after this time is given up. */
export declare const OPEN_TIMEOUT_MS = 15000;
/** Handlers that stop at the first `onClose` or at `stop`, and then call `cleanUp` once. */
export declare function untilClosed(handlers: ConnectionHandlers, cleanUp: () => void): ConnectionHandlers & {
    stop(): void;
};
