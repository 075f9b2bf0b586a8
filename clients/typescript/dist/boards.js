// The boards as HTTP gives them: asked by tag, kept, and never older than what was given before.
/** One address whose answer is kept. */
class Kept {
    path;
    read;
    #tag = null;
    #board = null;
    constructor(path, read) {
        this.path = path;
        this.read = read;
    }
    async ask(rest, ask) {
        const headers = this.#tag === null ? {} : { 'if-none-match': this.#tag };
        const answer = await rest.answer('GET', this.path, { ...ask, headers });
        if (answer.status !== 304 || this.#board === null) {
            const tag = answer.headers.get('etag');
            const board = this.read(answer.body, Number(/\d+/.exec(tag ?? '')?.[0] ?? 0));
            // An answer is what its node knows, which may be some milliseconds behind another's.
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
    #leaderboard = new Kept('/api/v1/scores/leaderboard', (body) => {
        const { leaderboard, version, stale } = body;
        return { rows: leaderboard, version, timestamp: momentOf(version), stale: stale === true };
    });
    #top10 = new Kept('/api/scoreboard/top10', (body, version) => {
        const { data, metadata } = body;
        return { rows: data, version, stale: metadata.stale === true };
    });
    constructor(rest) {
        this.rest = rest;
    }
    leaderboard(signal) {
        return this.#leaderboard.ask(this.rest, { signal });
    }
    /** Tried once, for whoever only wants to know whether there is a newer one. */
    glance(timeoutMs) {
        return this.#leaderboard.ask(this.rest, { once: true, timeoutMs });
    }
    top10(signal) {
        return this.#top10.ask(this.rest, { signal });
    }
}
/** A version is the moment of the change in µs. */
function momentOf(version) {
    return new Date(version / 1000).toISOString();
}
