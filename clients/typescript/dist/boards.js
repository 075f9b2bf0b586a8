// Boards over HTTP: requested with an entity tag, cached, and never older than one that was returned before.
/** A board URL and its newest response. */
class CachedBoard {
    path;
    parse;
    #tag = null;
    #board = null;
    constructor(path, parse) {
        this.path = path;
        this.parse = parse;
    }
    async get(rest, options) {
        const headers = this.#tag === null ? {} : { 'if-none-match': this.#tag };
        const response = await rest.request('GET', this.path, { ...options, headers });
        if (response.status !== 304 || this.#board === null) {
            const tag = response.headers.get('etag');
            const board = this.parse(response.body, Number(/\d+/.exec(tag ?? '')?.[0] ?? 0));
            // Another node may be some milliseconds behind the one that responded before.
            if (this.#board === null || board.version >= this.#board.version) {
                this.#board = board;
                this.#tag = tag;
            }
        }
        return this.#board;
    }
}
export class Boards {
    rest;
    #leaderboard = new CachedBoard('/api/v1/scores/leaderboard', (body) => {
        const { leaderboard, version, stale } = body;
        return { rows: leaderboard, version, timestamp: timestampOf(version), stale: stale === true };
    });
    #top10 = new CachedBoard('/api/scoreboard/top10', (body, version) => {
        const { data, metadata } = body;
        return { rows: data, version, stale: metadata.stale === true };
    });
    constructor(rest) {
        this.rest = rest;
    }
    async list(signal) {
        return (await this.rest.bare('GET', '/api/v1/boards', { signal })).boards;
    }
    one(id, signal) {
        return this.rest.bare('GET', pathOf(id), { signal });
    }
    page(id, { signal, ...fields } = {}) {
        return this.rest.bare('GET', `${pathOf(id)}/entries?${queryOf(fields)}`, { signal });
    }
    periodsPage(id, { signal, ...fields } = {}) {
        return this.rest.bare('GET', `${pathOf(id)}/periods?${queryOf(fields)}`, { signal });
    }
    async *entries(id, options) {
        let cursor;
        do {
            const page = await this.page(id, { ...options, cursor });
            yield* page.entries;
            cursor = page.next;
        } while (cursor !== undefined);
    }
    lookup(id, userIds, { period, signal } = {}) {
        const body = period === undefined ? { userIds } : { userIds, period };
        return this.rest.bare('POST', `${pathOf(id)}/entries/lookup`, { body, signal, repeatable: true });
    }
    leaderboard(signal) {
        return this.#leaderboard.get(this.rest, { signal });
    }
    /** Like `leaderboard`, with one attempt: for a check whether there is a newer board. */
    poll(timeoutMs) {
        return this.#leaderboard.get(this.rest, { once: true, timeoutMs });
    }
    top10(signal) {
        return this.#top10.get(this.rest, { signal });
    }
}
function pathOf(id) {
    return `/api/v1/boards/${encodeURIComponent(id)}`;
}
function queryOf(fields) {
    const query = new URLSearchParams();
    for (const [name, value] of Object.entries(fields)) {
        if (value !== undefined)
            query.set(name, String(value));
    }
    return query;
}
/** A version is the time of the change, in µs since the Unix epoch. */
function timestampOf(version) {
    return new Date(version / 1000).toISOString();
}
