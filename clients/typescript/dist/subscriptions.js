// The boards that callers subscribed to by name, over all connections. No caller gets an older state of a board after a newer one.
/** The state of all subscriptions of a live connection. */
export class Subscriptions {
    #all = new Set();
    #newest = new Map();
    /** The boards that anybody subscribed to. */
    get boards() {
        return [...new Set([...this.#all].flatMap(({ boards }) => [...boards]))];
    }
    /** Adds a subscription. Returns the boards that nobody had subscribed to before, and a function that ends it. */
    add(boards, handlers) {
        const known = new Set(this.boards);
        const subscription = { boards: new Set(boards), handlers };
        this.#all.add(subscription);
        const remove = () => {
            if (!this.#all.delete(subscription))
                return [];
            const left = new Set(this.boards);
            const removed = [...subscription.boards].filter((board) => !left.has(board));
            for (const board of removed)
                this.#newest.delete(board);
            return removed;
        };
        return { added: [...subscription.boards].filter((board) => !known.has(board)), remove };
    }
    /** The newest state of a board. */
    newest(board) {
        return this.#newest.get(board);
    }
    /** Handles an event of the server. Other events than those of boards are ignored. */
    onEvent(event, data, call) {
        if (event === 'board_updated') {
            const update = { stale: false, ...data };
            const known = this.#newest.get(update.board);
            // The same version comes again on a new connection, and when the board becomes stale or current.
            const isNewer = known === undefined || update.version > known.version;
            if (!isNewer && (update.version < known.version || update.stale === known.stale))
                return;
            if (!this.boards.includes(update.board))
                return;
            this.#newest.set(update.board, update);
            this.#forEach(update.board, ({ onUpdate }) => call(() => onUpdate?.(update)));
        }
        else if (event === 'board_personal') {
            const entry = data;
            this.#forEach(entry.board, ({ onOwnEntry }) => call(() => onOwnEntry?.(entry)));
        }
        else if (event === 'subscribed') {
            const { refused } = data;
            for (const { board, code } of refused)
                this.refuse(board, code, call);
        }
    }
    /** Reports that the server refused a board. */
    refuse(board, code, call) {
        this.#forEach(board, ({ onRefused }) => call(() => onRefused?.(board, code)));
    }
    #forEach(board, act) {
        for (const { boards, handlers } of [...this.#all])
            if (boards.has(board))
                act(handlers);
    }
}
