/** How often, and how long, a call is tried again. */
export interface RetryOptions {
    /** All tries, the first one included; 1: none but that. Default 5. */
    readonly attempts?: number;
    /** A `Retry-After` beyond this is not waited for: the error is thrown, and says it. Default 10. */
    readonly maxWaitSeconds?: number;
}
/** Anything from 0 to the least of `capMs` and `baseMs` doubled for each earlier try. */
export declare function backOff(tries: number, random: () => number, baseMs: number, capMs: number): number;
/** Waits; throws the signal's reason as soon as it is aborted. */
export declare function pause(ms: number, signal?: AbortSignal): Promise<void>;
/** What `retried` needs to know. */
export interface Patience {
    readonly attempts: number;
    readonly maxWaitMs: number;
    readonly random: () => number;
}
/**
 * Calls until it succeeds, fails for good, or was tried often enough. Only for what may be repeated. With the key of an
 * award the error tells whether any try may have counted: a refusal of the last one says nothing about those before.
 */
export declare function retried<T>(call: () => Promise<T>, { attempts, maxWaitMs, random }: Patience, signal?: AbortSignal, idempotencyKey?: string): Promise<T>;
