// Hashcash and SHA-256, compared with Node's own.

import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { test } from 'node:test';

import { solveHashcash } from '../dist/index.js';
import { leadingZeroBits, padded, sha256 } from '../dist/sha256.js';

const hex = (words) => Array.from(words, (word) => (word >>> 0).toString(16).padStart(8, '0')).join('');

test('texts of every length up to three blocks are hashed correctly', () => {
  for (let length = 0; length <= 192; length += 1) {
    const bytes = Uint8Array.from({ length }, (_, i) => (i * 37 + length) & 0xff);
    assert.equal(hex(sha256(padded(bytes))), createHash('sha256').update(bytes).digest('hex'), `${length} bytes`);
  }
});

test('zero bits are counted across words', () => {
  assert.equal(leadingZeroBits(Int32Array.of(-1)), 0);
  assert.equal(leadingZeroBits(Int32Array.of(0, 1)), 63);
  assert.equal(leadingZeroBits(Int32Array.of(0, 0)), 64);
});

test('a valid nonce is found, and progress is reported', async () => {
  let hashes = 0;
  const { nonce } = await solveHashcash({ prefix: '01920000-0000:', bits: 17 }, { onProgress: (count) => (hashes = count) });
  const hash = createHash('sha256').update(`01920000-0000:${nonce}`).digest();
  assert.equal(hash.readUInt32BE() >>> 15, 0);
  assert.equal(hashes, Number(nonce) + 1);
});

test('solving can be aborted with a reason', async () => {
  const reason = new Error('enough');
  const abort = new AbortController();
  const solution = solveHashcash({ prefix: 'x', bits: 40 }, { signal: abort.signal });
  abort.abort(reason);
  await assert.rejects(solution, reason);
});
