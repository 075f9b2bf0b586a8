// SHA-256 (FIPS 180-4) of short texts. `crypto.subtle` is asynchronous, so hashcash would spend more time on promises than on hashes, and
// browsers offer it to pages with TLS only.
const K = new Int32Array(64);
const START = new Int32Array(8);
/** The first 32 bits of a root's fractional part. The constants are those of the cube and square roots of the first primes. */
function fraction(root) {
    return ((root - Math.floor(root)) * 2 ** 32) | 0;
}
for (let candidate = 2, found = 0; found < 64; candidate += 1) {
    let isPrime = true;
    for (let divisor = 2; divisor * divisor <= candidate; divisor += 1)
        isPrime &&= candidate % divisor !== 0;
    if (!isPrime)
        continue;
    if (found < 8)
        START[found] = fraction(Math.sqrt(candidate));
    K[found] = fraction(Math.cbrt(candidate));
    found += 1;
}
const words = new Int32Array(64);
/** Compresses one block of 64 bytes into the state. */
function compress(state, bytes, offset) {
    const w = words;
    for (let i = 0; i < 16; i += 1) {
        const at = offset + i * 4;
        w[i] = (bytes[at] << 24) | (bytes[at + 1] << 16) | (bytes[at + 2] << 8) | bytes[at + 3];
    }
    for (let i = 16; i < 64; i += 1) {
        const x = w[i - 15];
        const y = w[i - 2];
        const s0 = ((x >>> 7) | (x << 25)) ^ ((x >>> 18) | (x << 14)) ^ (x >>> 3);
        const s1 = ((y >>> 17) | (y << 15)) ^ ((y >>> 19) | (y << 13)) ^ (y >>> 10);
        w[i] = (w[i - 16] + s0 + w[i - 7] + s1) | 0;
    }
    let a = state[0], b = state[1], c = state[2], d = state[3];
    let e = state[4], f = state[5], g = state[6], h = state[7];
    for (let i = 0; i < 64; i += 1) {
        const s1 = ((e >>> 6) | (e << 26)) ^ ((e >>> 11) | (e << 21)) ^ ((e >>> 25) | (e << 7));
        const t1 = (h + s1 + ((e & f) ^ (~e & g)) + K[i] + w[i]) | 0;
        const s0 = ((a >>> 2) | (a << 30)) ^ ((a >>> 13) | (a << 19)) ^ ((a >>> 22) | (a << 10));
        const t2 = (s0 + ((a & b) ^ (a & c) ^ (b & c))) | 0;
        h = g;
        g = f;
        f = e;
        e = (d + t1) | 0;
        d = c;
        c = b;
        b = a;
        a = (t1 + t2) | 0;
    }
    state[0] += a;
    state[1] += b;
    state[2] += c;
    state[3] += d;
    state[4] += e;
    state[5] += f;
    state[6] += g;
    state[7] += h;
}
/** Pads a text to whole blocks. The padding depends on the length only, so the text can be changed in place. */
export function padded(bytes) {
    const blocks = new Uint8Array((((bytes.length + 8) >> 6) + 1) << 6);
    blocks.set(bytes);
    blocks[bytes.length] = 0x80;
    new DataView(blocks.buffer).setUint32(blocks.length - 4, bytes.length * 8);
    return blocks;
}
/** Hashes padded blocks. Returns eight words. */
export function sha256(blocks, hash = new Int32Array(8)) {
    hash.set(START);
    for (let offset = 0; offset < blocks.length; offset += 64)
        compress(hash, blocks, offset);
    return hash;
}
/** The number of zero bits before the first one bit. */
export function leadingZeroBits(hash) {
    let zeros = 0;
    for (const word of hash) {
        zeros += Math.clz32(word);
        if (word !== 0)
            break;
    }
    return zeros;
}
