// Profiles and award histories.
export class Players {
    rest;
    constructor(rest) {
        this.rest = rest;
    }
    me(signal) {
        return this.rest.bare('GET', '/api/v1/me', { signal });
    }
    profile(userId, signal) {
        return this.rest.bare('GET', pathOf(userId), { signal });
    }
    historyPage(userId, { limit = 25, cursor, signal } = {}) {
        const query = new URLSearchParams({ limit: String(limit) });
        if (cursor !== undefined)
            query.set('cursor', cursor);
        return this.rest.bare('GET', `${pathOf(userId)}/history?${query}`, { signal });
    }
    async places(userId, signal) {
        const { places } = await this.rest.bare('GET', `${pathOf(userId)}/places`, { signal });
        return places;
    }
    async *history(userId, options) {
        let cursor;
        do {
            const page = await this.historyPage(userId, { ...options, cursor });
            yield* page.entries;
            cursor = page.next;
        } while (cursor !== undefined);
    }
}
function pathOf(userId) {
    return `/api/v1/users/${encodeURIComponent(userId)}`;
}
