// The proof that is work.
import { pause } from './retry.js';
import { leadingZeroBits, sha256 } from './sha256.js';
/** Longer turns would be felt as a page that does not answer. */
const TURN_MS = 12;
const LOOK_AT_CLOCK_EVERY = 256;
/**
 * Finds a nonce such that SHA-256(prefix + nonce) begins with so many zero bits. It gives way to other work every
 * 12 ms; for more than some 16 bits a worker is the better place.
 */
export async function solveHashcash({ prefix, bits }, { signal, onProgress } = {}) {
    const encoder = new TextEncoder();
    const start = encoder.encode(prefix);
    const bytes = new Uint8Array(start.length + 16);
    bytes.set(start);
    let until = performance.now() + TURN_MS;
    for (let tried = 0;; tried += 1) {
        if (tried % LOOK_AT_CLOCK_EVERY === 0 && performance.now() >= until) {
            onProgress?.(tried);
            await pause(0, signal);
            until = performance.now() + TURN_MS;
        }
        signal?.throwIfAborted();
        const nonce = tried.toString(36);
        const { written } = encoder.encodeInto(nonce, bytes.subarray(start.length));
        if (leadingZeroBits(sha256(bytes.subarray(0, start.length + written))) >= bits) {
            onProgress?.(tried + 1);
            return { nonce };
        }
    }
}
