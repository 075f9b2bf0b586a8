import { type Connection, type ConnectionHandlers } from './connection.js';
/** The part of a WebSocket that the client uses: a browser's, Node's, or that of the package `ws`. */
export interface WebSocketLike {
    addEventListener(type: 'open' | 'error', listener: () => void): void;
    addEventListener(type: 'message', listener: (event: {
        readonly data: unknown;
    }) => void): void;
    addEventListener(type: 'close', listener: (event: {
        readonly code: number;
        readonly reason: string;
    }) => void): void;
    send(data: string): void;
    close(): void;
}
/** A WebSocket class. */
export type WebSocketConstructor = new (url: string, protocols: string[]) => WebSocketLike;
/** Opens a WebSocket. The login is a subprotocol, never part of the URL. */
export declare function openWebSocket(WebSocket: WebSocketConstructor, base: string, token: string, handlers: ConnectionHandlers): Connection;
