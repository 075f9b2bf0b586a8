import type { CallOptions } from './actions.js';
import type { Rest } from './rest.js';
import type { AwardHistoryEntry, AwardHistoryPage, BoardPlaces, OwnProfile, Profile } from './types.js';
/** Which page of a history. */
export interface PageOptions extends CallOptions {
    /** Maximum number of entries, 1 to 200. Default 25. */
    readonly limit?: number;
    /** `next` of the previous page. */
    readonly cursor?: string | undefined;
}
export declare class Players {
    private readonly rest;
    constructor(rest: Rest);
    me(signal?: AbortSignal): Promise<OwnProfile>;
    profile(userId: number | string, signal?: AbortSignal): Promise<Profile>;
    historyPage(userId: number | string, { limit, cursor, signal }?: PageOptions): Promise<AwardHistoryPage>;
    places(userId: number | string, signal?: AbortSignal): Promise<readonly BoardPlaces[]>;
    history(userId: number | string, options: Omit<PageOptions, 'cursor'>): AsyncGenerator<AwardHistoryEntry, void>;
}
