// Solves hashcash challenges in a worker, which keeps the page responsive.

const WORKER = '/assets/live/hashcashWorker.js';
// The Content-Security-Policy accepts script URLs from this Trusted Types policy only. The policy returns this one URL.
const policy = globalThis.trustedTypes?.createPolicy('laurel', { createScriptURL: () => WORKER });

/** Finds the nonce. `onProgress` receives the hashes tried, divided by the hashes expected: it can exceed 1. */
export async function solve({ prefix, bits }, onProgress, signal) {
  signal.throwIfAborted();
  const worker = new Worker(policy?.createScriptURL('') ?? WORKER, { type: 'module' });
  const solution = new Promise((resolve, reject) => {
    worker.onmessage = ({ data }) => {
      if (data.hashes !== undefined) onProgress(data.hashes / 2 ** bits);
      else resolve({ nonce: data.nonce });
    };
    worker.onerror = () => reject(new Error('The proof could not be computed.'));
    signal.addEventListener('abort', () => reject(signal.reason), { once: true });
    worker.postMessage({ prefix, bits });
  });
  return solution.finally(() => worker.terminate());
}
