// A real Chromium for the tests of a page: what it says in its console and what it asks of others are failures.

import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { after, afterEach, before } from 'node:test';
import path from 'node:path';
import { chromium } from 'playwright-core';

const AXE = createRequire(import.meta.url).resolve('axe-core/axe.min.js');
// The shell is the same engine without a browser's windows: half the CPU of `chromium`. A process for graphics takes a third more.
const places = [process.env.CHROMIUM, '/usr/bin/chromium-headless-shell', '/usr/bin/chromium', '/usr/bin/google-chrome'];

const opened = [];
let browser;

before(async () => {
  const executablePath = places.find((it) => it && existsSync(it));
  assert.ok(executablePath, 'make test installs chromium-headless-shell');
  browser = await chromium.launch({ executablePath, args: ['--no-sandbox', '--disable-dev-shm-usage', '--in-process-gpu'] });
});
// A page that is left open goes on to ask and to draw.
afterEach(() => Promise.all(opened.splice(0).map((it) => it.close())));
after(() => browser.close());

/** A page that fails its test if it complains, throws, breaks its own policy, or asks anybody else. Nothing moves unless it is wanted: without a graphics card each frame costs. */
export async function open(url, options = {}) {
  const context = await browser.newContext({ viewport: { width: 1280, height: 900 }, reducedMotion: 'reduce', ...options });
  opened.push(context);
  // A busy machine is slow, and has not failed.
  context.setDefaultTimeout(300_000);
  const page = await context.newPage();
  const wrong = [];
  const own = new URL(url).host;
  page.on('pageerror', (error) => wrong.push(`threw: ${error.message}`));
  // A refusal of the API is logged by the browser itself; a test looks for what the page makes of it.
  page.on('console', (line) => {
    const refused = line.text().startsWith('Failed to load resource') || line.text().includes('WebSocket connection to');
    if (['error', 'warning'].includes(line.type()) && !refused) wrong.push(`said: ${line.text()}`);
  });
  page.on('request', (request) => {
    const asked = new URL(request.url());
    if (!['data:', 'blob:'].includes(asked.protocol) && asked.host !== own) wrong.push(`asked ${request.url()}`);
  });
  await page.goto(url);
  return { page, context, wrong, assertQuiet: () => assert.deepEqual(wrong, []) };
}

/** A picture for people, and what axe finds: nothing serious may be among it. */
export async function look(page, name) {
  // What still moves is neither seen nor measured as it will be.
  await page.evaluate(() => Promise.allSettled(document.getAnimations()
    .filter((it) => Number.isFinite(it.effect.getComputedTiming().endTime)).map((it) => it.finished)));
  const folder = process.env.SCREENSHOTS;
  if (folder) {
    mkdirSync(folder, { recursive: true });
    await page.screenshot({ path: path.join(folder, `${name}.png`) });
  }
  // Not as a script tag: the page's policy forbids that, as it should.
  await page.evaluate(readFileSync(AXE, 'utf8'));
  const found = await page.evaluate(() => globalThis.axe.run(document, { resultTypes: ['violations'] }));
  const serious = found.violations.filter((it) => ['serious', 'critical'].includes(it.impact));
  const told = serious.map((it) => `${it.id}: ${it.nodes.map((node) => node.html.slice(0, 160)).join(' | ')}`);
  assert.deepEqual(told, [], `${name}: what axe calls serious`);
}
