// What both transports, WebSocket and server-sent events, have in common.
/** A connection that is not open after this time is given up. */
export const OPEN_TIMEOUT_MS = 15_000;
/** Handlers that stop at the first `onClose` or at `stop`, and then call `cleanUp` once. */
export function untilClosed(handlers, cleanUp) {
    let isClosed = false;
    const stop = () => {
        isClosed = true;
        cleanUp();
    };
    return {
        stop,
        onActivity: () => isClosed || handlers.onActivity(),
        onEvent: (event) => isClosed || handlers.onEvent(event),
        onClose(info) {
            if (isClosed)
                return;
            stop();
            handlers.onClose(info);
        },
    };
}
