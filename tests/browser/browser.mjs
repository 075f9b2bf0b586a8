// A real Chromium for the tests of pages. A page fails its test if it logs an error, throws, or sends a request to another host.

import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { after, afterEach, before } from 'node:test';
import { chromium } from 'playwright-core';

const AXE = createRequire(import.meta.url).resolve('axe-core/axe.min.js');
// The headless shell has the same engine and needs half the CPU time of `chromium`. A separate process for graphics needs a third more.
const EXECUTABLES = [process.env.CHROMIUM, '/usr/bin/chromium-headless-shell', '/usr/bin/chromium', '/usr/bin/google-chrome'];

const contexts = [];
let browser;

before(async () => {
  const executablePath = EXECUTABLES.find((candidate) => candidate && existsSync(candidate));
  assert.ok(executablePath, 'make test-deps installs chromium-headless-shell');
  browser = await chromium.launch({ executablePath, args: ['--no-sandbox', '--disable-dev-shm-usage', '--in-process-gpu'] });
});
// A page that stays open goes on to poll and to draw.
afterEach(() => Promise.all(contexts.splice(0).map((context) => context.close())));
after(() => browser.close());

/** Opens a page. Motion is reduced by default, because each frame is expensive without a graphics card. `assertQuiet` fails if the page did what it must not. */
export async function open(url, options = {}) {
  const context = await browser.newContext({ viewport: { width: 1280, height: 900 }, reducedMotion: 'reduce', ...options });
  contexts.push(context);
  // A busy machine is slow, which is no failure.
  context.setDefaultTimeout(300_000);
  const page = await context.newPage();
  const problems = [];
  const ownHost = new URL(url).host;
  page.on('pageerror', (error) => problems.push(`threw: ${error.message}`));
  page.on('console', (line) => {
    // The browser itself logs error responses. Tests check what the page shows for them.
    const isResponse = line.text().startsWith('Failed to load resource') || line.text().includes('WebSocket connection to');
    if (['error', 'warning'].includes(line.type()) && !isResponse) problems.push(`logged: ${line.text()}`);
  });
  page.on('request', (request) => {
    const { protocol, host } = new URL(request.url());
    if (!['data:', 'blob:'].includes(protocol) && host !== ownHost) problems.push(`requested ${request.url()}`);
  });
  await page.goto(url);
  return { page, context, problems, assertQuiet: () => assert.deepEqual(problems, []) };
}

/** Takes a screenshot and runs axe, which must find nothing serious. */
export async function inspect(page, name) {
  // Colors and positions of running animations are not the final ones.
  await page.evaluate(() => Promise.allSettled(document.getAnimations()
    .filter((animation) => Number.isFinite(animation.effect.getComputedTiming().endTime)).map((animation) => animation.finished)));
  const folder = process.env.SCREENSHOTS;
  if (folder) {
    mkdirSync(folder, { recursive: true });
    await page.screenshot({ path: path.join(folder, `${name}.png`) });
  }
  // Not as a script tag, which the page's Content-Security-Policy forbids.
  await page.evaluate(readFileSync(AXE, 'utf8'));
  const { violations } = await page.evaluate(() => globalThis.axe.run(document, { resultTypes: ['violations'] }));
  const serious = violations.filter(({ impact }) => ['serious', 'critical'].includes(impact));
  const messages = serious.map(({ id, nodes }) => `${id}: ${nodes.map((node) => node.html.slice(0, 160)).join(' | ')}`);
  assert.deepEqual(messages, [], `${name}: serious violations`);
}
