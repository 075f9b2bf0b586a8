import type { CallOptions } from './actions.js';
import type { PageOptions } from './players.js';
import type { Rest } from './rest.js';
import type { Board, BoardDefinition, BoardEntry, BoardLookup, BoardPage, PeriodPage, Top10 } from './types.js';
/** Which entries of a board. */
export interface EntriesOptions extends CallOptions {
    /** Id of a period. The current one by default. */
    readonly period?: string;
    /** Maximum number of entries of a page, 1 to 200. Default 25. */
    readonly limit?: number;
}
/** Which page of a board. */
export interface EntriesPageOptions extends EntriesOptions {
    /** `next` or `previous` of a page. */
    readonly cursor?: string | undefined;
    /** `me` or a user's UUID: that entry is in the middle. */
    readonly around?: string;
    /** Best entries to add before the page, 0 to 100. */
    readonly top?: number;
}
export declare class Boards {
    #private;
    private readonly rest;
    constructor(rest: Rest);
    list(signal?: AbortSignal): Promise<readonly BoardDefinition[]>;
    one(id: string, signal?: AbortSignal): Promise<BoardDefinition>;
    page(id: string, { signal, ...fields }?: EntriesPageOptions): Promise<BoardPage>;
    periodsPage(id: string, { signal, ...fields }?: PageOptions): Promise<PeriodPage>;
    entries(id: string, options: EntriesOptions): AsyncGenerator<BoardEntry, void>;
    lookup(id: string, userIds: readonly string[], { period, signal }?: Omit<EntriesOptions, 'limit'>): Promise<BoardLookup>;
    leaderboard(signal?: AbortSignal): Promise<Board>;
    /** Like `leaderboard`, with one attempt: for a check whether there is a newer board. */
    poll(timeoutMs: number): Promise<Board>;
    top10(signal?: AbortSignal): Promise<Top10>;
}
