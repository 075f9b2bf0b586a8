import { type Hooks, type Link } from './link.js';
/** As much of a WebSocket as is needed: a browser's, node's, or that of the package `ws`. */
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
/** What makes them. */
export type WebSocketMaker = new (url: string, protocols: string[]) => WebSocketLike;
/** Opens one; the login goes as a sub-protocol, never in the URL. */
export declare function openSocket(make: WebSocketMaker, base: string, token: string, hooks: Hooks): Link;
