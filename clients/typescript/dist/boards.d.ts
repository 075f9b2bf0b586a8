import type { Rest } from './rest.js';
import type { Board, BoardDefinition, Top10 } from './types.js';
export declare class Boards {
    #private;
    private readonly rest;
    constructor(rest: Rest);
    list(signal?: AbortSignal): Promise<readonly BoardDefinition[]>;
    one(id: string, signal?: AbortSignal): Promise<BoardDefinition>;
    leaderboard(signal?: AbortSignal): Promise<Board>;
    /** Like `leaderboard`, with one attempt: for a check whether there is a newer board. */
    poll(timeoutMs: number): Promise<Board>;
    top10(signal?: AbortSignal): Promise<Top10>;
}
