// A connection over WebSocket. Browsers do not tell why a handshake failed; the event stream does.
import { OPEN_TIMEOUT_MS, untilClosed } from './connection.js';
import { parseJson } from './rest.js';
/** Close code: the login was rejected. */
const UNAUTHORIZED = 4401;
/** The server responds with `{"event":"pong"}`. */
const PING = '{"event":"ping"}';
/** Opens a WebSocket. The login is a subprotocol, never part of the URL. */
export function openWebSocket(WebSocket, base, token, handlers) {
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
        if (typeof event === 'object' && event !== null)
            active.onEvent(event);
    });
    // After a failed handshake, some platforms send no close event. Otherwise one follows, which has the reason.
    socket.addEventListener('error', () => {
        if (!isOpen)
            active.onClose({ refused: false, reason: 'the WebSocket could not be opened' });
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
    const send = (event, data) => socket.send(JSON.stringify({ event, data }));
    return { transport: 'websocket', ping: () => socket.send(PING), send, close: () => active.stop() };
}
function webSocketUrl(base) {
    const url = new URL(`${base}/api/v1/ws`, globalThis.location?.href);
    url.protocol = url.protocol.replace('http', 'ws');
    return url.href;
}
