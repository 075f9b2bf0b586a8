// A connection over WebSocket. Browsers do not tell why a handshake failed; the event stream does.

import { OPEN_TIMEOUT_MS, untilClosed, type Connection, type ConnectionHandlers } from './connection.js';
import { parseJson } from './rest.js';

/** The part of a WebSocket that the client uses: a browser's, Node's, or that of the package `ws`. */
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

/** A WebSocket class. */
export type WebSocketConstructor = new (url: string, protocols: string[]) => WebSocketLike;

/** Close code: the login was rejected. */
const UNAUTHORIZED = 4401;
/** The server responds with `{"event":"pong"}`. */
const PING = '{"event":"ping"}';

/** Opens a WebSocket. The login is a subprotocol, never part of the URL. */
export function openWebSocket(
  WebSocket: WebSocketConstructor,
  base: string,
  token: string,
  handlers: ConnectionHandlers,
): Connection {
  const socket = new WebSocket(webSocketUrl(base), ['laurel.v1', `bearer.${token}`]);
  const timeout = setTimeout(() => active.onClose({ refused: false, reason: 'the connection did not open in time' }), OPEN_TIMEOUT_MS);
  const active = untilClosed(handlers, () => {
    clearTimeout(timeout);
    socket.close();
  });
  let isOpen = false;
  socket.addEventListener('open', () => {
    isOpen = true;
    clearTimeout(timeout);
  });
  socket.addEventListener('message', ({ data }) => {
    active.onActivity();
    const event = typeof data === 'string' ? parseJson(data) : null;
    if (typeof event === 'object' && event !== null) active.onEvent(event as Record<string, unknown>);
  });
  // After a failed handshake, some platforms send no close event. Otherwise one follows, which has the reason.
  socket.addEventListener('error', () => {
    if (!isOpen) active.onClose({ refused: false, reason: 'the WebSocket could not be opened' });
  });
  socket.addEventListener('close', ({ code, reason }) => {
    const wait = /retry in (\d{1,6}) ms/.exec(reason)?.[1];
    active.onClose({
      refused: code === UNAUTHORIZED,
      reason: reason || `the connection was closed (${code})`,
      code,
      ...(wait !== undefined && { waitMs: Number(wait), isRandomized: true }),
    });
  });
  const send = (event: string, data: unknown) => socket.send(JSON.stringify({ event, data }));
  return { transport: 'websocket', ping: () => socket.send(PING), send, close: () => active.stop() };
}

function webSocketUrl(base: string): string {
  const url = new URL(`${base}/api/v1/ws`, globalThis.location?.href);
  url.protocol = url.protocol.replace('http', 'ws');
  return url.href;
}
