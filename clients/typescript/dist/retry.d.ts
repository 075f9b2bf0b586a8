/** How often and how long requests are retried. */
export interface RetryOptions {
    /** Maximum number of attempts, the first one included. 1 disables retries. Default 5. */
    readonly attempts?: number;
    /** A longer `Retry-After` is not waited for: the error is thrown, and has it. Default 10. */
    readonly maxWaitSeconds?: number;
}
/** A random wait in ms, up to `baseMs` doubled for each earlier attempt, and up to `capMs`. */
export declare function backOff(attempts: number, random: () => number, baseMs: number, capMs: number): number;
/** Waits. Throws the signal's reason when it is aborted. */
export declare function sleep(ms: number, signal?: AbortSignal): Promise<void>;
/** The settings of `withRetries`. */
export interface RetryPolicy {
    readonly attempts: number;
    readonly maxWaitMs: number;
    readonly random: () => number;
}
/**
 * Calls until a call succeeds, fails for good, or was the last attempt. Only for requests that are safe to repeat. With an idempotency key,
 * the error's `unsure` tells if any attempt may have counted: a refusal of the last one says nothing about those before.
 */
export declare function withRetries<T>(call: () => Promise<T>, { attempts, maxWaitMs, random }: RetryPolicy, signal?: AbortSignal, idempotencyKey?: string): Promise<T>;
