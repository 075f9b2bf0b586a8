import { LaurelError } from './errors.js';
import type { Login } from './login.js';
import { type RetryPolicy } from './retry.js';
/** Options of a request. */
export interface RequestOptions {
    readonly body?: Readonly<Record<string, unknown>>;
    readonly headers?: Readonly<Record<string, string>>;
    /** Makes a request safe to repeat: the server returns the first response again. */
    readonly idempotencyKey?: string;
    /** A POST that is safe to repeat without a key. */
    readonly repeatable?: boolean;
    /** Never retried. */
    readonly once?: boolean;
    /** Overrides the client's timeout. */
    readonly timeoutMs?: number;
    readonly signal?: AbortSignal | undefined;
}
/** A successful response, or 304. */
export interface HttpResponse {
    readonly status: number;
    readonly headers: Headers;
    readonly body: unknown;
}
/** A random idempotency key of 128 bits. Browsers offer `randomUUID` to pages with TLS only. */
export declare function newIdempotencyKey(): string;
export declare class Rest {
    #private;
    private readonly url;
    private readonly fetch;
    private readonly login;
    private readonly policy;
    private readonly timeoutMs;
    constructor(url: string, fetch: typeof globalThis.fetch, login: Login, policy: RetryPolicy, timeoutMs: number);
    /** The body of a response of `/api/v1`, which has no envelope. */
    bare<T>(method: 'GET' | 'POST', path: string, options?: RequestOptions): Promise<T>;
    /** The `data` of a response of `/api`, which has an envelope. */
    enveloped<T>(method: 'GET' | 'POST', path: string, options?: RequestOptions): Promise<T>;
    /** Sends a request, and retries it if that is safe. */
    request(method: 'GET' | 'POST', path: string, options?: RequestOptions): Promise<HttpResponse>;
}
/** The error of a response. */
export declare function errorOf(status: number, headers: Headers, body: unknown): LaurelError;
/** Parses JSON. Returns null for anything else. */
export declare function parseJson(text: string): unknown;
