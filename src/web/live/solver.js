// Hashcash in a worker, so that the page stays as quick as before.

const WORKER = '/assets/live/worker.js';
// The page's policy lets scripts come from strings through this alone, and it knows one.
const policy = globalThis.trustedTypes?.createPolicy('laurel', { createScriptURL: () => WORKER });

/** Finds the nonce; `progress` hears which part of the work that is to be expected is done. */
export async function solve({ prefix, bits }, progress, signal) {
  signal.throwIfAborted();
  const worker = new Worker(policy?.createScriptURL('') ?? WORKER, { type: 'module' });
  const work = new Promise((found, failed) => {
    worker.onmessage = ({ data }) => {
      if (data.hashes !== undefined) progress(data.hashes / 2 ** bits);
      else found({ nonce: data.nonce });
    };
    worker.onerror = () => failed(new Error('The proof could not be computed.'));
    signal.addEventListener('abort', () => failed(signal.reason), { once: true });
    worker.postMessage({ prefix, bits });
  });
  return work.finally(() => worker.terminate());
}
