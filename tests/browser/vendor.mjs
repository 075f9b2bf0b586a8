// The third-party files are unchanged copies.

import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { test } from 'node:test';

const folder = new URL('../../src/web/vendor/', import.meta.url);
const rows = readFileSync(new URL('README.md', folder), 'utf8').matchAll(/^\| `([^`]+)` \| (\S+) \| `([^`]+)` \| \S+ \|$/gm);

test('each file equals the one in its package, and the README lists all of them', () => {
  const listed = [];
  for (const [, file, packageName, path] of rows) {
    const published = readFileSync(new URL(`node_modules/${packageName}/${path}`, import.meta.url));
    assert.ok(readFileSync(new URL(file, folder)).equals(published), `${file} differs from ${packageName}`);
    listed.push(file);
  }
  const files = readdirSync(folder).filter((file) => file !== 'README.md');
  assert.deepEqual(listed.sort(), files.sort());
});
