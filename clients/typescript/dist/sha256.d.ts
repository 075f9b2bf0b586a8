/** A text with room for its padding, which depends on its length alone: so the text may change in place. */
export declare function padded(bytes: Uint8Array): Uint8Array;
/** The hash of a padded text, as eight words. */
export declare function sha256(whole: Uint8Array, hash?: Int32Array<ArrayBuffer>): Int32Array;
/** How many bits are zero before the first that is not. */
export declare function leadingZeroBits(hash: Int32Array): number;
