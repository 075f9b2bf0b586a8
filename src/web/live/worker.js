// The worker that proves work.

import { solveHashcash } from '/assets/laurel/proofs.js';

addEventListener('message', async ({ data }) => {
  postMessage(await solveHashcash(data, { onProgress: (hashes) => postMessage({ hashes }) }));
});
