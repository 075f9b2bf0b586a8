// A link over a WebSocket. Browsers do not say why a handshake failed, so whoever needs to know asks by events then.

import { OPENING_MS, untilEnd, type Hooks, type Link } from './link.js';
import { parse } from './rest.js';

/** As much of a WebSocket as is needed: a browser's, node's, or that of the package `ws`. */
export interface WebSocketLike {
  addEventListener(type: 'open' | 'error', listener: () => void): void;
  addEventListener(type: 'message', listener: (event: { readonly data: unknown }) => void): void;
  addEventListener(
    type: 'close',
    listener: (event: { readonly code: number; readonly reason: string }) => void,
  ): void;
  send(data: string): void;
  close(): void;
}

/** What makes them. */
export type WebSocketMaker = new (url: string, protocols: string[]) => WebSocketLike;

const REFUSED = 4401;
/** The server answers `{"event":"pong"}`. */
const PING = '{"event":"ping"}';

/** Opens one; the login goes as a sub-protocol, never in the URL. */
export function openSocket(make: WebSocketMaker, base: string, token: string, hooks: Hooks): Link {
  const socket = new make(socketUrl(base), ['laurel.v1', `bearer.${token}`]);
  const slow = setTimeout(() => told.end({ refused: false, reason: 'nobody took the connection' }), OPENING_MS);
  const told = untilEnd(hooks, () => {
    clearTimeout(slow);
    socket.close();
  });
  let opened = false;
  socket.addEventListener('open', () => {
    opened = true;
    clearTimeout(slow);
  });
  socket.addEventListener('message', ({ data }) => {
    told.alive();
    const event = typeof data === 'string' ? parse(data) : null;
    if (typeof event === 'object' && event !== null) told.event(event as Record<string, unknown>);
  });
  // A close follows, and says more; but not everywhere if the handshake failed, of which it would say nothing either.
  socket.addEventListener('error', () => {
    if (!opened) told.end({ refused: false, reason: 'the WebSocket could not be opened' });
  });
  socket.addEventListener('close', ({ code, reason }) => {
    const wait = /retry in (\d{1,6}) ms/.exec(reason)?.[1];
    told.end({
      refused: code === REFUSED,
      reason: reason || `the connection was closed (${code})`,
      code,
      ...(wait !== undefined && { waitMs: Number(wait), drawn: true }),
    });
  });
  return { transport: 'websocket', ping: () => socket.send(PING), close: () => told.stop() };
}

function socketUrl(base: string): string {
  const url = new URL(`${base}/api/v1/ws`, globalThis.location?.href);
  url.protocol = url.protocol.replace('http', 'ws');
  return url.href;
}
