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
/**
 * Finds a nonce such that SHA-256(prefix + nonce) begins with so many zero bits. It gives way to other work every
 * 12 ms; for more than some 16 bits a worker is the better place.
 */
export declare function solveHashcash({ prefix, bits }: HashcashChallenge, { signal, onProgress }?: HashcashOptions): Promise<{
    nonce: string;
}>;
