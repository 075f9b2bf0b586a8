// The worker that solves hashcash challenges.

import { solveHashcash } from '/assets/laurel/hashcash.js';

addEventListener('message', async ({ data }) => {
  postMessage(await solveHashcash(data, { onProgress: (hashes) => postMessage({ hashes }) }));
});
