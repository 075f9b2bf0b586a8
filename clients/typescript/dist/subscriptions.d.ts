import type { BoardEntryUpdate, BoardUpdate } from './types.js';
/** Callbacks of a subscription to boards. */
export interface BoardHandlers {
    /** Receives the newest state of each board at once, and each newer one. */
    readonly onUpdate?: (update: BoardUpdate) => void;
    /** Receives the user's own entry when it changes. */
    readonly onOwnEntry?: (entry: BoardEntryUpdate) => void;
    /** The server refused a board, with one of its error codes: `BOARD_NOT_FOUND`, or `VALIDATION_ERROR` beyond 8 boards. */
    readonly onRefused?: (board: string, code: string) => void;
}
/** The state of all subscriptions of a live connection. */
export declare class Subscriptions {
    #private;
    /** The boards that anybody subscribed to. */
    get boards(): readonly string[];
    /** Adds a subscription. Returns the boards that nobody had subscribed to before, and a function that ends it. */
    add(boards: readonly string[], handlers: BoardHandlers): {
        added: readonly string[];
        remove: () => readonly string[];
    };
    /** The newest state of a board. */
    newest(board: string): BoardUpdate | undefined;
    /** Handles an event of the server. Other events than those of boards are ignored. */
    onEvent(event: unknown, data: unknown, call: (callback: () => void) => void): void;
    /** Reports that the server refused a board. */
    refuse(board: string, code: string, call: (callback: () => void) => void): void;
}
