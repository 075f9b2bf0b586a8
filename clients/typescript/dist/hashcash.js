// Solves hashcash challenges.
import { sleep } from './retry.js';
import { leadingZeroBits, padded, sha256 } from './sha256.js';
/** Time in ms until other work gets a turn. A longer one would make a page feel frozen. */
const TURN_MS = 12;
const HASHES_PER_CLOCK_CHECK = 256;
/** A fixed length, so that only the digits change between attempts. */
const NONCE_LENGTH = 16;
const ZERO = 0x30;
const NINE = 0x39;
/**
 * Finds a nonce so that SHA-256(prefix + nonce) starts with `bits` zero bits. Other work gets a turn every 12 ms. Use a worker for more than
 * about 16 bits.
 */
export async function solveHashcash({ prefix, bits }, { signal, onProgress } = {}) {
    signal?.throwIfAborted();
    const start = new TextEncoder().encode(prefix);
    const text = padded(Uint8Array.of(...start, ...new Uint8Array(NONCE_LENGTH).fill(ZERO)));
    const nonce = text.subarray(start.length, start.length + NONCE_LENGTH);
    const hash = new Int32Array(8);
    let turnEnd = performance.now() + TURN_MS;
    for (let hashes = 1;; hashes += 1) {
        if (leadingZeroBits(sha256(text, hash)) >= bits) {
            onProgress?.(hashes);
            return { nonce: new TextDecoder().decode(nonce) };
        }
        increment(nonce);
        if (hashes % HASHES_PER_CLOCK_CHECK === 0 && performance.now() >= turnEnd) {
            onProgress?.(hashes);
            await sleep(0, signal);
            turnEnd = performance.now() + TURN_MS;
        }
    }
}
/** Increments a number of decimal digits in place. */
function increment(digits) {
    for (let index = digits.length - 1; index >= 0; index -= 1) {
        if (digits[index] !== NINE) {
            digits[index] += 1;
            return;
        }
        digits[index] = ZERO;
    }
}
