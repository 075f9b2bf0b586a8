// The live page: what a player sees, on a phone and on a desktop, over two nodes.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { launch, look, open } from './browser.mjs';

const { ONE } = process.env;
let browser;
before(async () => { browser = await launch(); });
after(() => browser.close());

test('the page opens', async () => {
  const { page, assertQuiet } = await open(browser, ONE);
  assert.equal(await page.title(), 'Laurel');
  await look(page, 'live-desktop');
  assertQuiet();
});
