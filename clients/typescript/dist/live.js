// A board that stays true: one link at a time, another when it is lost, and never a step back.
import { LaurelError } from './errors.js';
import { backOff } from './retry.js';
import { openSocket } from './socket.js';
import { openStream } from './stream.js';
/** A node that dies sends its whole crowd elsewhere. */
const BASE_MS = 2_000;
const CAP_MS = 30_000;
/** A connection that held so long was a good one, and the next failure is a first one again. */
const PROVEN_MS = 5_000;
/** Where WebSockets came through before, one failure in so many is asked about by events. */
const ASK_EVERY = 3;
/** Events that stand in for a WebSocket do so for this long, and up to twice that; then one is tried again. */
const STAND_IN_MS = 300_000;
/** The default of `silenceMs`. */
const SILENCE_MS = 10_000;
/** A check that has no answer by then shows that the connection is dead. */
const ANSWER_MS = 5_000;
/** A board that HTTP has and the connection does not bring by then shows that the connection is dead. */
const GRACE_MS = 3_000;
/** The least time between checks that the page's own events ask for. */
const CHECK_EVERY_MS = 5_000;
/** A live connection; it lives until `close`. */
export class Live {
    parts;
    options;
    #state = null;
    #link = null;
    #tries = 0;
    /** Counts what was begun, so that a step that called out sees whether it is still the newest. */
    #turn = 0;
    /** A WebSocket came through with this login. */
    #socketWorks = false;
    #shown = -1;
    #openedAt = Infinity;
    #checkedAt = -Infinity;
    /** When something last arrived, in ms since the epoch. */
    #heardAt;
    #retry;
    #silence;
    #standIn;
    #ends = [];
    /** @internal `Laurel.live` makes them. */
    constructor(parts, options) {
        this.parts = parts;
        this.options = options;
        this.#ends.push(parts.login.onChange(() => this.#restart()));
        this.#hear(globalThis, 'online', () => this.#nudge());
        this.#hear(globalThis, 'offline', () => this.#leaveNetwork());
        this.#hear(globalThis.document, 'visibilitychange', () => this.#nudge());
        this.#restart();
    }
    /** How it is. */
    get state() {
        return this.#state ?? 'connecting';
    }
    /** Ends it for good. */
    close() {
        if (this.#state === 'closed')
            return;
        for (const end of this.#ends)
            end();
        this.#drop();
        this.#tell('closed');
    }
    #restart() {
        if (this.#state === 'closed')
            return;
        this.#tries = 0;
        this.#anew('connecting');
    }
    /** Tells, then connects; unless whoever was told has closed it, or begun another turn by a login. */
    #anew(state, detail = {}) {
        this.#drop();
        this.#socketWorks = false;
        const turn = (this.#turn += 1);
        this.#tell(state, detail);
        if (turn === this.#turn)
            this.#connect();
    }
    #connect() {
        if (this.#state === 'closed')
            return;
        clearTimeout(this.#retry);
        const { base, login, fetch, WebSocket, random } = this.parts;
        const { transport = 'websocket' } = this.options;
        const token = login.token;
        const byEvents = () => {
            this.#link = openStream(fetch, base, token, this.#hooks((ending) => this.#lost(ending)));
        };
        if (transport === 'events' || token === null || WebSocket === undefined)
            return byEvents();
        const standIn = () => {
            byEvents();
            const again = () => this.#anew('reconnecting', { reason: 'a WebSocket is tried again', retryInMs: 0 });
            this.#standIn = setTimeout(again, STAND_IN_MS * (1 + random()));
        };
        // A handshake that failed does not say why; asking by events tells, or is a connection as good. Where WebSockets work it
        // most likely is a node that is away, and a crowd that asks twice each time would only be a larger one.
        const ask = () => !this.#socketWorks || this.#tries % ASK_EVERY === ASK_EVERY - 1;
        const unknown = (it) => this.#openedAt === Infinity && !it.refused && it.waitMs === undefined;
        const hooks = this.#hooks((ending) => (unknown(ending) && ask() ? standIn() : this.#lost(ending)));
        this.#link = openSocket(WebSocket, base, token, hooks);
    }
    #hooks(end) {
        return { end, alive: () => this.#alive(), event: (event) => this.#heard(event) };
    }
    #heard({ event, data, version, timestamp }) {
        const { login } = this.parts;
        if (event === 'connect_success') {
            const { userId, username } = (data ?? {});
            if (userId !== undefined && username !== undefined)
                login.learn(login.token, { uuid: userId, username });
            this.#openedAt = performance.now();
            this.#socketWorks ||= this.#link?.transport === 'websocket';
            this.#tell('open', this.#carried());
        }
        else if (event === 'leaderboard_updated' && typeof version === 'number' && version > this.#shown) {
            this.#shown = version;
            const board = { rows: data, version, timestamp: String(timestamp), stale: this.#state === 'degraded' };
            call(() => this.options.onBoard?.(board));
        }
        else if (event === 'score_personal') {
            const personal = data;
            login.learn(login.token, { score: personal.score });
            call(() => this.options.onPersonal?.(personal));
        }
        else if (event === 'status') {
            const status = data;
            const link = this.#link;
            call(() => this.options.onStatus?.(status));
            if (link === this.#link)
                this.#tell(status.degraded ? 'degraded' : 'open', this.#carried());
        }
    }
    #lost(ending) {
        if (performance.now() - this.#openedAt >= PROVEN_MS)
            this.#tries = 0;
        this.#drop();
        const { reason, code, waitMs = 0 } = ending;
        const asOf = this.#heardAt === undefined ? {} : { asOf: new Date(this.#heardAt).toISOString() };
        const detail = { reason, ...(code !== undefined && { code }), ...asOf };
        if (ending.refused)
            return this.#tell('refused', detail);
        const jitter = ending.drawn === true ? 0 : backOff(this.#tries, this.parts.random, BASE_MS, CAP_MS);
        this.#tries += 1;
        const retryInMs = Math.round(waitMs + jitter);
        this.#retry = setTimeout(() => this.#connect(), retryInMs);
        this.#tell(globalThis.navigator?.onLine === false ? 'offline' : 'reconnecting', { ...detail, retryInMs });
    }
    /** The network is back, or the page is visible again. */
    #nudge() {
        if (globalThis.document?.visibilityState === 'hidden')
            return;
        const due = performance.now() - this.#checkedAt >= CHECK_EVERY_MS;
        if (this.#openedAt !== Infinity && due)
            void this.#check();
        if (this.#link === null && this.#isRetrying())
            this.#connect();
    }
    /** No connection outlives its network. One to this same device does, and is back at the first try. */
    #leaveNetwork() {
        if (this.#link !== null || this.#isRetrying())
            this.#lost({ refused: false, reason: 'the device is offline' });
    }
    #isRetrying() {
        return this.#state === 'reconnecting' || this.#state === 'offline';
    }
    #alive() {
        this.#heardAt = Date.now();
        this.#wait();
    }
    #wait() {
        const { silenceMs = SILENCE_MS } = this.options;
        // Those who fell silent together do not ask together.
        this.#watch(silenceMs * (1 + this.parts.random() / 4), () => void this.#check());
    }
    /** Replaces what is done about silence. */
    #watch(ms, then) {
        clearTimeout(this.#silence);
        this.#silence = setTimeout(then, ms);
    }
    /** Asks for a sign of life: pages do not see the server's own pings. */
    async #check() {
        const [link, heardAt] = [this.#link, this.#heardAt];
        if (link === null)
            return;
        this.#checkedAt = performance.now();
        const dead = () => this.#lost({ refused: false, reason: 'the connection brings nothing any more' });
        if (link.ping !== undefined) {
            link.ping();
            return this.#watch(ANSWER_MS, dead);
        }
        this.#wait();
        // An event stream cannot be asked, so HTTP tells whether it missed a board.
        const newest = await this.parts.boards.glance(ANSWER_MS).then((board) => board.version, silent);
        if (link !== this.#link || heardAt !== this.#heardAt)
            return;
        if (newest === Infinity)
            return dead();
        if (newest > this.#shown)
            this.#watch(GRACE_MS, () => (newest > this.#shown ? dead() : this.#wait()));
    }
    #drop() {
        clearTimeout(this.#retry);
        clearTimeout(this.#silence);
        clearTimeout(this.#standIn);
        this.#link?.close();
        this.#link = null;
        this.#openedAt = Infinity;
    }
    #carried() {
        return this.#link === null ? {} : { transport: this.#link.transport };
    }
    #tell(state, detail = {}) {
        // Waiting for the next try is told each time; everything else when it changes.
        if (state === this.#state && !this.#isRetrying())
            return;
        this.#state = state;
        call(() => this.options.onState?.(state, detail));
    }
    #hear(target, event, listener) {
        target?.addEventListener?.(event, listener);
        this.#ends.push(() => target?.removeEventListener?.(event, listener));
    }
}
/** What it means that HTTP does not tell: without any answer the network is away, and whatever is newest did not come. */
function silent(error) {
    return error instanceof LaurelError && error.code === 'NETWORK' ? Infinity : -1;
}
/** What a page's own code throws must not break the connection; it is told where uncaught errors are. */
function call(callback) {
    try {
        callback();
    }
    catch (error) {
        queueMicrotask(() => {
            throw error;
        });
    }
}
