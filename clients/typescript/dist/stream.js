// A link over server-sent events, read through fetch: an `EventSource` could neither send the login in a header nor see a
// 401, a 403 or a 503.
import { EventText } from './event-text.js';
import { OPENING_MS, untilEnd } from './link.js';
import { parse, refusal } from './rest.js';
/** So long is only said to who should not come back with the same login. */
const FOR_GOOD_MS = 60_000;
/** Three pings of the server. */
const SILENCE_MS = 75_000;
/** Opens one, for a user or, without a token, for a spectator. */
export function openStream(fetch, base, token, hooks) {
    const stop = new AbortController();
    let watch;
    const told = untilEnd(hooks, () => {
        clearTimeout(watch);
        stop.abort();
    });
    const within = (ms, reason) => {
        clearTimeout(watch);
        watch = setTimeout(() => told.end({ refused: false, reason }), ms);
    };
    within(OPENING_MS, 'nobody took the connection');
    const read = async () => {
        const headers = { accept: 'text/event-stream' };
        if (token !== null)
            headers['authorization'] = `Bearer ${token}`;
        const request = { headers, signal: stop.signal, cache: 'no-store' };
        const response = await fetch(`${base}/api/v1/leaderboard/stream`, request);
        if (response.status !== 200 || response.body === null)
            return notTaken(response);
        const [reader, decoder, text] = [response.body.getReader(), new TextDecoder(), new EventText()];
        for (;;) {
            within(SILENCE_MS, 'nothing was heard for too long');
            const { done, value } = await reader.read();
            if (done)
                break;
            told.alive();
            for (const data of text.push(decoder.decode(value, { stream: true }))) {
                const event = parse(data);
                if (typeof event === 'object' && event !== null)
                    told.event(event);
            }
        }
        const [waitMs, reason] = [text.retryMs ?? undefined, 'the stream has ended'];
        if (token !== null && waitMs !== undefined && waitMs >= FOR_GOOD_MS) {
            return { refused: true, reason: 'the login has run out, or the account is banned' };
        }
        return { refused: false, reason, waitMs, drawn: waitMs !== undefined };
    };
    // Whether it was refused, broke off or was stopped: an error of fetch says no more than that.
    const lost = () => told.end({ refused: false, reason: 'the connection was lost' });
    void read().then(told.end, lost).finally(() => clearTimeout(watch));
    return { transport: 'events', close: () => told.stop() };
}
async function notTaken(response) {
    const { status, headers } = response;
    const error = refusal(status, headers, parse(await response.text()));
    const wait = error.retryAfterSeconds;
    const waitMs = wait === undefined ? undefined : wait * 1000;
    return { refused: status === 401 || status === 403, reason: error.message, code: status, waitMs };
}
