import { LaurelError } from './errors.js';
import type { Login } from './login.js';
import { type Patience } from './retry.js';
/** A request. */
export interface Ask {
    readonly body?: Readonly<Record<string, unknown>>;
    readonly headers?: Readonly<Record<string, string>>;
    /** Makes it safe to repeat: the server gives the first answer again. */
    readonly idempotencyKey?: string;
    /** Safe to repeat without a key, although it is a POST. */
    readonly repeatable?: boolean;
    /** Tried once, whatever happens. */
    readonly once?: boolean;
    /** Given up earlier than others. */
    readonly timeoutMs?: number;
    readonly signal?: AbortSignal | undefined;
}
/** An answer with a good status, or 304. */
export interface Answer {
    readonly status: number;
    readonly headers: Headers;
    readonly body: unknown;
}
export declare class Rest {
    #private;
    private readonly url;
    private readonly fetch;
    private readonly login;
    private readonly patience;
    private readonly timeoutMs;
    constructor(url: string, fetch: typeof globalThis.fetch, login: Login, patience: Patience, timeoutMs: number);
    /** An answer of `/api/v1`, which is bare. */
    bare<T>(method: 'GET' | 'POST', path: string, ask?: Ask): Promise<T>;
    /** An answer of `/api`: what its envelope holds. */
    enveloped<T>(method: 'GET' | 'POST', path: string, ask?: Ask): Promise<T>;
    /** Asks, again if that is safe. */
    answer(method: 'GET' | 'POST', path: string, ask?: Ask): Promise<Answer>;
}
/** The error that an answer tells. */
export declare function refusal(status: number, headers: Headers, body: unknown): LaurelError;
/** `Retry-After` in seconds; the form with a date is not Laurel's, and is passed over. */
export declare function retryAfter(headers: Headers): number | undefined;
/** JSON, or null for anything else. */
export declare function parse(text: string): unknown;
