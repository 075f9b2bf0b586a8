/** The hash, as eight words. */
export declare function sha256(bytes: Uint8Array): Int32Array;
/** How many bits are zero before the first that is not. */
export declare function leadingZeroBits(hash: Int32Array): number;
