// Hashcash in a worker, so that the page stays as quick as before.

const WORKER = '/assets/live/worker.js';
// The page's policy lets scripts come from strings through this alone, and it knows one.
const policy = globalThis.trustedTypes?.createPolicy('laurel', { createScriptURL: () => WORKER });

/** Finds the nonce; `progress` hears which part of the work that is to be expected is done. */
export function solve({ prefix, bits }, progress) {
  const worker = new Worker(policy?.createScriptURL('') ?? WORKER, { type: 'module' });
  return new Promise((found, failed) => {
    worker.onmessage = ({ data }) => {
      if (data.hashes !== undefined) return progress(data.hashes / 2 ** bits);
      worker.terminate();
      found({ nonce: data.nonce });
    };
    worker.onerror = () => {
      worker.terminate();
      failed(new Error('The proof could not be computed.'));
    };
    worker.postMessage({ prefix, bits });
  });
}
