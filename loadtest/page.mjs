// A browser without anything kept opens the live page, again and again: `node page.mjs http://HOST:PORT`. Prints rows of a table.

import { existsSync } from 'node:fs';
import { chromium } from '../tests/browser/node_modules/playwright-core/index.mjs';

const LOADS = 20;
// 4G as the field's tools have it ("slow 4G" of Lighthouse): 150 ms there and back, 1.6 Mbit/s.
const SLOW = { offline: false, latency: 150, downloadThroughput: 1.6e6 / 8, uploadThroughput: 750e3 / 8 };

const places = [process.env.CHROMIUM, '/usr/bin/chromium', '/usr/bin/google-chrome'];
const browser = await chromium.launch({ executablePath: places.find((it) => it && existsSync(it)), args: ['--no-sandbox'] });

async function load(slow) {
  const context = await browser.newContext({ viewport: { width: 390, height: 844 } });
  const page = await context.newPage();
  const session = await context.newCDPSession(page);
  await session.send('Network.enable');
  if (slow) await session.send('Network.emulateNetworkConditions', SLOW);
  let [bytes, requests] = [0, 0];
  session.on('Network.loadingFinished', ({ encodedDataLength }) => {
    bytes += encodedDataLength;
    requests += 1;
  });
  // The hlc_us at which the frame with the first place is on the screen.
  await page.addInitScript(() => {
    new MutationObserver((_, watch) => {
      if (document.querySelector('.place .name:not(:empty)') === null) return;
      watch.disconnect();
      requestAnimationFrame(() => setTimeout(() => { globalThis.painted = performance.now(); }));
    }).observe(document, { childList: true, subtree: true, characterData: true });
  });
  await page.goto(process.argv[2]);
  const board = await page.waitForFunction(() => globalThis.painted).then((it) => it.jsonValue());
  const first = await page.evaluate(() => performance.getEntriesByName('first-contentful-paint')[0]?.startTime ?? NaN);
  await page.waitForFunction(() => document.querySelectorAll('.action').length > 0);
  const measured = { bytes, requests, first, board };
  await context.close();
  return measured;
}

for (const slow of [false, true]) {
  const all = [];
  for (let round = 0; round < LOADS; round += 1) all.push(await load(slow));
  const sorted = (name) => all.map((it) => it[name]).sort((one, other) => one - other);
  const middle = (name) => sorted(name)[LOADS / 2];
  const cells = [slow ? '150 ms, 1.6 Mbit/s' : 'loopback', middle('requests'), (middle('bytes') / 1024).toFixed(1),
    middle('first').toFixed(0), middle('board').toFixed(0), sorted('board')[LOADS - 1].toFixed(0)];
  console.log(`| ${cells.join(' | ')} |`);
}
await browser.close();
