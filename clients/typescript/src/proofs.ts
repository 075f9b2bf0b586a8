// The proof that is work.

import { pause } from './retry.js';
import { leadingZeroBits, padded, sha256 } from './sha256.js';

/** What `hashcash` asks. */
export interface HashcashChallenge {
  readonly prefix: string;
  readonly bits: number;
}

/** How the work is watched and stopped. */
export interface HashcashOptions {
  readonly signal?: AbortSignal | undefined;
  /** Hears now and then how many hashes were made; `2 ** bits` are to be expected. */
  readonly onProgress?: ((hashes: number) => void) | undefined;
}

/** Longer turns would be felt as a page that does not answer. */
const TURN_MS = 12;
const LOOK_AT_CLOCK_EVERY = 256;
/** Always as many digits, so that nothing but they change from try to try. */
const NONCE_LENGTH = 16;
const ZERO = 0x30;
const NINE = 0x39;

/**
 * Finds a nonce such that SHA-256(prefix + nonce) begins with so many zero bits. It gives way to other work every
 * 12 ms; for more than some 16 bits a worker is the better place.
 */
export async function solveHashcash(
  { prefix, bits }: HashcashChallenge,
  { signal, onProgress }: HashcashOptions = {},
): Promise<{ nonce: string }> {
  signal?.throwIfAborted();
  const start = new TextEncoder().encode(prefix);
  const text = padded(Uint8Array.of(...start, ...new Uint8Array(NONCE_LENGTH).fill(ZERO)));
  const nonce = text.subarray(start.length, start.length + NONCE_LENGTH);
  const hash = new Int32Array(8);
  let until = performance.now() + TURN_MS;
  for (let tried = 1; ; tried += 1) {
    if (leadingZeroBits(sha256(text, hash)) >= bits) {
      onProgress?.(tried);
      return { nonce: new TextDecoder().decode(nonce) };
    }
    count(nonce);
    if (tried % LOOK_AT_CLOCK_EVERY === 0 && performance.now() >= until) {
      onProgress?.(tried);
      await pause(0, signal);
      until = performance.now() + TURN_MS;
    }
  }
}

/** The next number, in decimal digits. */
function count(digits: Uint8Array): void {
  for (let at = digits.length - 1; at >= 0; at -= 1) {
    if (digits[at] !== NINE) {
      digits[at]! += 1;
      return;
    }
    digits[at] = ZERO;
  }
}
