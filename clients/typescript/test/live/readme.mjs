// Compiles and runs the examples of README.md.

import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { promisify } from 'node:util';

import { nodes, quiz } from './fixtures.mjs';

const root = fileURLToPath(new URL('../..', import.meta.url));

/** The functions that the examples leave to the reader. */
const READER = `
import type { BoardUpdate, Row } from '${root}dist/index.js';
declare global {
  function save(token: string | null): void;
  function ask(question?: string, choices?: readonly string[]): Promise<string>;
  function showBoard(rows: readonly Row[]): void;
  function celebrate(points: number, rank: number | null, before: number | null): void;
  function showEntries(board: string, period: string, entries: BoardUpdate['entries']): void;
  function showRank(board: string, rank: number | null): void;
  function showState(state: string, retryInMs?: number): void;
}
`;

test('the examples work', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'laurel-readme'));
  try {
    const text = await readFile(join(root, 'README.md'), 'utf8');
    const blocks = [...text.matchAll(/```ts\n(.*?)```/gs)].map(([, block]) => block);
    assert.equal(blocks.length, 5);
    const code = blocks.join('\n').replace("'laurel-client'", `'${root}dist/index.js'`);
    await writeFile(join(folder, 'package.json'), '{"type":"module"}');
    await writeFile(join(folder, 'reader.ts'), READER);
    await writeFile(join(folder, 'example.ts'), code.replace('https://game.example', nodes[0].url));
    const strict = ['--strict', '--exactOptionalPropertyTypes', '--noUncheckedIndexedAccess', '--target', 'ES2022'];
    const files = [join(folder, 'example.ts'), join(folder, 'reader.ts')];
    const tsc = join(root, 'node_modules/.bin/tsc');
    await promisify(execFile)(tsc, [...strict, '--module', 'nodenext', ...files]).catch((error) => assert.fail(error.stdout));

    const [tokens, lines] = [[], []];
    Object.assign(globalThis, { save: (token) => tokens.push(token), showBoard() {}, celebrate() {}, showState() {} });
    Object.assign(globalThis, { showEntries() {}, showRank() {} });
    globalThis.ask = async (question) => quiz({ question }).quizResult;
    const log = console.log;
    console.log = (...values) => lines.push(values);
    await import(pathToFileURL(join(folder, 'example.js'))).finally(() => (console.log = log));
    assert.deepEqual(lines[0], [10, 1, 'ada']);
    assert.equal(lines.length, 9, 'the award, seven actions, one error');
    assert.deepEqual(lines.at(-1).slice(0, 2), ['ACTION_LIMIT_REACHED', 429]);
    assert.equal(tokens.length, 1);
  } finally {
    await rm(folder, { recursive: true });
  }
});
