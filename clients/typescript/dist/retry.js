// Retries with full jitter, so that clients that failed together do not retry together.
import { LaurelError } from './errors.js';
/** A random wait in ms, up to `baseMs` doubled for each earlier attempt, and up to `capMs`. */
export function backOff(attempts, random, baseMs, capMs) {
    return random() * Math.min(capMs, baseMs * 2 ** Math.min(attempts, 30));
}
/** Waits. Throws the signal's reason when it is aborted. */
export function sleep(ms, signal) {
    return new Promise((resolve, reject) => {
        if (signal?.aborted) {
            reject(signal.reason);
            return;
        }
        const abort = () => {
            clearTimeout(timer);
            reject(signal?.reason);
        };
        const timer = setTimeout(() => {
            signal?.removeEventListener('abort', abort);
            resolve();
        }, ms);
        signal?.addEventListener('abort', abort, { once: true });
    });
}
const BASE_MS = 200;
const CAP_MS = 5_000;
/**
 * Calls until a call succeeds, fails for good, or was the last attempt. Only for requests that are safe to repeat. With an idempotency key,
 * the error's `unsure` tells if any attempt may have counted: a refusal of the last one says nothing about those before.
 */
export async function withRetries(call, { attempts, maxWaitMs, random }, signal, idempotencyKey) {
    let unsure = false;
    for (let attempt = 0;; attempt += 1) {
        try {
            return await call();
        }
        catch (error) {
            if (!(error instanceof LaurelError))
                throw error;
            unsure ||= idempotencyKey !== undefined && mayHaveCounted(error);
            const waitMs = (error.retryAfterSeconds ?? 0) * 1000;
            if (attempt + 1 >= attempts || !mayPass(error) || waitMs > maxWaitMs) {
                throw unsure ? new LaurelError(error.code, error.message, { ...error, unsure, idempotencyKey }) : error;
            }
            await sleep(waitMs + backOff(attempt, random, BASE_MS, CAP_MS), signal);
        }
    }
}
/** True unless Laurel itself refused: after a lost response, a balancer's error or an internal error, the request may have counted. */
function mayHaveCounted({ status, code }) {
    return status < 400 || status >= 500 || code === 'UNREADABLE';
}
/** True if the same request may succeed later: no response, a balancer's error, or too early. */
function mayPass(error) {
    switch (error.status) {
        case 0:
            return error.code === 'NETWORK';
        case 429:
            return error.retryAfterSeconds !== undefined;
        default:
            return [502, 503, 504].includes(error.status);
    }
}
