// Other people's files are as they published them.

import assert from 'node:assert/strict';
import { readFileSync, readdirSync } from 'node:fs';
import { test } from 'node:test';

const folder = new URL('../../src/web/vendor/', import.meta.url);
const rows = readFileSync(new URL('README.md', folder), 'utf8').matchAll(/^\| `([^`]+)` \| (\S+) \| `([^`]+)` \| \S+ \|$/gm);

test('each file is its package’s, and each is named', () => {
  const named = [];
  for (const [, file, from, inside] of rows) {
    const published = readFileSync(new URL(`node_modules/${from}/${inside}`, import.meta.url));
    assert.ok(readFileSync(new URL(file, folder)).equals(published), `${file} is not as in ${from}`);
    named.push(file);
  }
  const there = readdirSync(folder).filter((it) => it !== 'README.md');
  assert.deepEqual(named.sort(), there.sort());
});
