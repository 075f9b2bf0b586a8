// A connection over server-sent events, read with `fetch`: an `EventSource` cannot send the login in a header and does not expose the
// status of an error response.
import { OPEN_TIMEOUT_MS, untilClosed } from './connection.js';
import { errorOf, parseJson } from './rest.js';
/** The server asks for a wait this long only if the login was rejected. */
const REFUSED_WAIT_MS = 60_000;
/** Three intervals of the server's keep-alives. */
const IDLE_TIMEOUT_MS = 75_000;
/** Opens the event stream for a player, or for a spectator without a token, with these boards. */
export function openEventStream(fetch, base, token, boards, handlers) {
    const abort = new AbortController();
    let timeout;
    const active = untilClosed(handlers, () => {
        clearTimeout(timeout);
        abort.abort();
    });
    const closeAfter = (ms, reason) => {
        clearTimeout(timeout);
        timeout = setTimeout(() => active.onClose({ refused: false, reason }), ms);
    };
    closeAfter(OPEN_TIMEOUT_MS, 'the connection did not open in time');
    const read = async () => {
        const headers = { accept: 'text/event-stream' };
        if (token !== null)
            headers['authorization'] = `Bearer ${token}`;
        const request = { headers, signal: abort.signal, cache: 'no-store' };
        const query = boards.map((board, index) => `${index === 0 ? '?' : '&'}board=${encodeURIComponent(board)}`).join('');
        const response = await fetch(`${base}/api/v1/leaderboard/stream${query}`, request);
        if (response.status !== 200 || response.body === null)
            return closeInfoOf(response);
        const [reader, decoder, parser] = [response.body.getReader(), new TextDecoder(), new EventStreamParser()];
        for (;;) {
            closeAfter(IDLE_TIMEOUT_MS, 'nothing arrived for too long');
            const { done, value } = await reader.read();
            if (done)
                break;
            active.onActivity();
            for (const data of parser.push(decoder.decode(value, { stream: true }))) {
                const event = parseJson(data);
                if (typeof event === 'object' && event !== null)
                    active.onEvent(event);
            }
        }
        const waitMs = parser.retryMs ?? undefined;
        if (token !== null && waitMs !== undefined && waitMs >= REFUSED_WAIT_MS) {
            return { refused: true, reason: 'the login has expired, or the account is banned' };
        }
        return { refused: false, reason: 'the stream has ended', waitMs, isRandomized: waitMs !== undefined };
    };
    // An error of `fetch` does not tell whether the connection was refused, lost or aborted.
    const fail = () => active.onClose({ refused: false, reason: 'the connection was lost' });
    void read().then(active.onClose, fail).finally(() => clearTimeout(timeout));
    return { transport: 'events', close: () => active.stop() };
}
async function closeInfoOf(response) {
    const { status, headers } = response;
    const { message, retryAfterSeconds } = errorOf(status, headers, parseJson(await response.text()));
    const waitMs = retryAfterSeconds === undefined ? undefined : retryAfterSeconds * 1000;
    return { refused: status === 401 || status === 403, reason: message, code: status, waitMs };
}
/** Parses server-sent events (WHATWG HTML, section 9.2.6) that arrive in pieces. */
export class EventStreamParser {
    /** The last `retry` field: when to reconnect, in ms. */
    retryMs = null;
    #rest = '';
    #data = [];
    /** Adds a piece of text. Returns the data of each event that is complete. */
    push(text) {
        const lines = (this.#rest + text).split('\n');
        this.#rest = lines.pop() ?? '';
        return lines.flatMap((line) => this.#readLine(line.endsWith('\r') ? line.slice(0, -1) : line));
    }
    #readLine(line) {
        if (line === '') {
            const data = this.#data.join('\n');
            this.#data = [];
            return data === '' ? [] : [data];
        }
        const [, name, value = ''] = /^([^:]*)(?:: ?(.*))?$/.exec(line) ?? [];
        if (name === 'data')
            this.#data.push(value);
        if (name === 'retry' && /^\d{1,9}$/.test(value))
            this.retryMs = Number(value);
        return [];
    }
}
