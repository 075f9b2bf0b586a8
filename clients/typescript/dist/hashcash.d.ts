/** The challenge of a `hashcash` action. */
export interface HashcashChallenge {
    readonly prefix: string;
    readonly bits: number;
}
/** Options of `solveHashcash`. */
export interface HashcashOptions {
    readonly signal?: AbortSignal | undefined;
    /** Receives the number of hashes so far, every 12 ms and at the end. About `2 ** bits` are needed. */
    readonly onProgress?: ((hashes: number) => void) | undefined;
}
/**
 * Finds a nonce so that SHA-256(prefix + nonce) starts with `bits` zero bits. Other work gets a turn every 12 ms. Use a worker for more than
 * about 16 bits.
 */
export declare function solveHashcash({ prefix, bits }: HashcashChallenge, { signal, onProgress }?: HashcashOptions): Promise<{
    nonce: string;
}>;
