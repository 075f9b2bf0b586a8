// When to try again: full jitter, so that those who failed together do not come back together.
import { LaurelError } from './errors.js';
/** Anything from 0 to the least of `capMs` and `baseMs` doubled for each earlier try. */
export function backOff(tries, random, baseMs, capMs) {
    return random() * Math.min(capMs, baseMs * 2 ** Math.min(tries, 30));
}
/** Waits; throws the signal's reason as soon as it is aborted. */
export function pause(ms, signal) {
    return new Promise((resolve, reject) => {
        if (signal?.aborted) {
            reject(signal.reason);
            return;
        }
        const stop = () => {
            clearTimeout(timer);
            reject(signal?.reason);
        };
        const timer = setTimeout(() => {
            signal?.removeEventListener('abort', stop);
            resolve();
        }, ms);
        signal?.addEventListener('abort', stop, { once: true });
    });
}
const BASE_MS = 200;
const CAP_MS = 5_000;
/**
 * Calls until it succeeds, fails for good, or was tried often enough. Only for what may be repeated. With the key of an
 * award the error tells whether any try may have counted: a refusal of the last one says nothing about those before.
 */
export async function retried(call, { attempts, maxWaitMs, random }, signal, idempotencyKey) {
    let unsure = false;
    for (let tries = 0;; tries += 1) {
        try {
            return await call();
        }
        catch (error) {
            if (!(error instanceof LaurelError))
                throw error;
            unsure ||= idempotencyKey !== undefined && mayHaveCounted(error);
            const told = (error.retryAfterSeconds ?? 0) * 1000;
            if (tries + 1 >= attempts || !mayPass(error) || told > maxWaitMs) {
                throw unsure ? new LaurelError(error.code, error.message, { ...error, unsure, idempotencyKey }) : error;
            }
            await pause(told + backOff(tries, random, BASE_MS, CAP_MS), signal);
        }
    }
}
/** Only Laurel's own refusal is sure that nothing was done: a lost answer, a balancer's page and a fault are not. */
function mayHaveCounted({ status, code }) {
    return status < 400 || status >= 500 || code === 'UNREADABLE';
}
/** Whether the same request may succeed later: nobody answered, a balancer did, or it was too early. */
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
