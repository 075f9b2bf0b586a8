import type { Rest } from './rest.js';
import type { Board, Top10 } from './types.js';
export declare class Boards {
    #private;
    private readonly rest;
    constructor(rest: Rest);
    leaderboard(signal?: AbortSignal): Promise<Board>;
    /** Like `leaderboard`, with one attempt: for a check whether there is a newer board. */
    poll(timeoutMs: number): Promise<Board>;
    top10(signal?: AbortSignal): Promise<Top10>;
}
