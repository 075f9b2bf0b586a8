// One HTTP request: the login, the key, the time-out, the answer in its envelope or bare, and the error.
import { LaurelError } from './errors.js';
import { retried } from './retry.js';
const KEY = /^[\x21-\x7e]{1,64}$/;
export class Rest {
    url;
    fetch;
    login;
    patience;
    timeoutMs;
    constructor(url, fetch, login, patience, timeoutMs) {
        this.url = url;
        this.fetch = fetch;
        this.login = login;
        this.patience = patience;
        this.timeoutMs = timeoutMs;
    }
    /** An answer of `/api/v1`, which is bare. */
    async bare(method, path, ask = {}) {
        return (await this.answer(method, path, ask)).body;
    }
    /** An answer of `/api`: what its envelope holds. */
    async enveloped(method, path, ask = {}) {
        return (await this.answer(method, path, ask)).body.data;
    }
    /** Asks, again if that is safe. */
    async answer(method, path, ask = {}) {
        if (ask.idempotencyKey !== undefined && !KEY.test(ask.idempotencyKey)) {
            throw new TypeError('an idempotency key is 1 to 64 visible ASCII characters');
        }
        // One login for all tries: another user's must not repeat this one's request.
        const token = this.login.token;
        const call = () => this.#try(method, path, ask, token);
        const safe = method === 'GET' || ask.idempotencyKey !== undefined || ask.repeatable === true;
        return safe && ask.once !== true ? retried(call, this.patience, ask.signal, ask.idempotencyKey) : call();
    }
    async #try(method, path, ask, token) {
        ask.signal?.throwIfAborted();
        const headers = { accept: 'application/json', ...ask.headers };
        if (token !== null)
            headers['authorization'] = `Bearer ${token}`;
        if (ask.idempotencyKey !== undefined)
            headers['idempotency-key'] = ask.idempotencyKey;
        const request = { method, headers };
        if (ask.body !== undefined) {
            headers['content-type'] = 'application/json';
            request.body = JSON.stringify(ask.body);
        }
        const stop = new AbortController();
        const timer = setTimeout(() => stop.abort(), ask.timeoutMs ?? this.timeoutMs);
        const passOn = () => stop.abort();
        ask.signal?.addEventListener('abort', passOn, { once: true });
        try {
            const response = await this.fetch(this.url + path, { ...request, signal: stop.signal });
            return read(response, await response.text());
        }
        catch (error) {
            if (error instanceof LaurelError)
                throw error;
            ask.signal?.throwIfAborted();
            throw new LaurelError('NETWORK', `${method} ${path} got no answer`);
        }
        finally {
            clearTimeout(timer);
            ask.signal?.removeEventListener('abort', passOn);
        }
    }
}
function read({ ok, status, headers }, text) {
    const body = status === 304 ? null : parse(text);
    if (status === 304 || (ok && typeof body === 'object' && body !== null))
        return { status, headers, body };
    throw refusal(status, headers, body);
}
/** The error that an answer tells. */
export function refusal(status, headers, body) {
    const told = (body ?? {});
    const code = told.metadata?.['errorCode'];
    const fields = told.metadata?.['fields'];
    const details = {
        status,
        retryAfterSeconds: retryAfter(headers),
        requestId: headers.get('x-request-id') ?? undefined,
        fields: Array.isArray(fields) ? fields : [],
        metadata: told.metadata ?? {},
    };
    return typeof code === 'string' && typeof told.message === 'string'
        ? new LaurelError(code, told.message, details)
        : new LaurelError('UNREADABLE', `an answer with status ${status} that is not Laurel's`, details);
}
/** `Retry-After` in seconds; the form with a date is not Laurel's, and is passed over. */
export function retryAfter(headers) {
    const told = headers.get('retry-after');
    return told !== null && /^\d{1,9}$/.test(told) ? Number(told) : undefined;
}
/** JSON, or null for anything else. */
export function parse(text) {
    try {
        return JSON.parse(text);
    }
    catch {
        return null;
    }
}
