/** Pads a text to whole blocks. The padding depends on the length only, so the text can be changed in place. */
export declare function padded(bytes: Uint8Array): Uint8Array;
/** Hashes padded blocks. Returns eight words. */
export declare function sha256(blocks: Uint8Array, hash?: Int32Array<ArrayBuffer>): Int32Array;
/** The number of zero bits before the first one bit. */
export declare function leadingZeroBits(hash: Int32Array): number;
