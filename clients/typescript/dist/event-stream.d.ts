import { type Connection, type ConnectionHandlers } from './connection.js';
/** Opens the event stream for a player, or for a spectator without a token, with these boards. */
export declare function openEventStream(fetch: typeof globalThis.fetch, base: string, token: string | null, boards: readonly string[], handlers: ConnectionHandlers): Connection;
/** Parses server-sent events (WHATWG HTML, section 9.2.6) that arrive in pieces. */
export declare class EventStreamParser {
    #private;
    /** The last `retry` field: when to reconnect, in ms. */
    retryMs: number | null;
    /** Adds a piece of text. Returns the data of each event that is complete. */
    push(text: string): string[];
}
