import { type Hooks, type Link } from './link.js';
/** Opens one, for a user or, without a token, for a spectator. */
export declare function openStream(fetch: typeof globalThis.fetch, base: string, token: string | null, hooks: Hooks): Link;
