// The boards that callers subscribed to by name, over all connections. No caller gets an older state of a board after a newer one.

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

interface Subscription {
  readonly boards: ReadonlySet<string>;
  readonly handlers: BoardHandlers;
}

/** The state of all subscriptions of a live connection. */
export class Subscriptions {
  readonly #all = new Set<Subscription>();
  readonly #newest = new Map<string, BoardUpdate>();

  /** The boards that anybody subscribed to. */
  get boards(): readonly string[] {
    return [...new Set([...this.#all].flatMap(({ boards }) => [...boards]))];
  }

  /** Adds a subscription. Returns the boards that nobody had subscribed to before, and a function that ends it. */
  add(boards: readonly string[], handlers: BoardHandlers): { added: readonly string[]; remove: () => readonly string[] } {
    const known = new Set(this.boards);
    const subscription = { boards: new Set(boards), handlers };
    this.#all.add(subscription);
    const remove = () => {
      if (!this.#all.delete(subscription)) return [];
      const left = new Set(this.boards);
      const removed = [...subscription.boards].filter((board) => !left.has(board));
      for (const board of removed) this.#newest.delete(board);
      return removed;
    };
    return { added: [...subscription.boards].filter((board) => !known.has(board)), remove };
  }

  /** The newest state of a board. */
  newest(board: string): BoardUpdate | undefined {
    return this.#newest.get(board);
  }

  /** Handles an event of the server. Other events than those of boards are ignored. */
  onEvent(event: unknown, data: unknown, call: (callback: () => void) => void): void {
    if (event === 'board_updated') {
      const update = { stale: false, ...(data as Omit<BoardUpdate, 'stale'>) } as BoardUpdate;
      const known = this.#newest.get(update.board);
      // The same version comes again on a new connection, and when the board becomes stale or current.
      const isNewer = known === undefined || update.version > known.version;
      if (!isNewer && (update.version < known.version || update.stale === known.stale)) return;
      if (!this.boards.includes(update.board)) return;
      this.#newest.set(update.board, update);
      this.#forEach(update.board, ({ onUpdate }) => call(() => onUpdate?.(update)));
    } else if (event === 'board_personal') {
      const entry = data as BoardEntryUpdate;
      this.#forEach(entry.board, ({ onOwnEntry }) => call(() => onOwnEntry?.(entry)));
    } else if (event === 'subscribed') {
      const { refused } = data as { refused: readonly { board: string; code: string }[] };
      for (const { board, code } of refused) this.refuse(board, code, call);
    }
  }

  /** Reports that the server refused a board. */
  refuse(board: string, code: string, call: (callback: () => void) => void): void {
    this.#forEach(board, ({ onRefused }) => call(() => onRefused?.(board, code)));
  }

  #forEach(board: string, act: (handlers: BoardHandlers) => void): void {
    for (const { boards, handlers } of [...this.#all]) if (boards.has(board)) act(handlers);
  }
}
