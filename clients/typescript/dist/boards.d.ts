import type { Rest } from './rest.js';
import type { Board, Top10 } from './types.js';
export declare class Boards {
    #private;
    private readonly rest;
    constructor(rest: Rest);
    leaderboard(signal?: AbortSignal): Promise<Board>;
    /** Tried once, for whoever only wants to know whether there is a newer one. */
    glance(timeoutMs: number): Promise<Board>;
    top10(signal?: AbortSignal): Promise<Top10>;
}
