// A game session. Each update spends a token and returns the next one, so updates run one after another.
import { LaurelError } from './errors.js';
import { newIdempotencyKey } from './rest.js';
/** The active session of the logged-in user. */
export class Game {
    rest;
    login;
    actions;
    owner;
    /** Its id, `sess_…`. */
    id;
    /** When it expires (RFC 3339). */
    expiresAt;
    #completed;
    #token;
    /** True if an update with the current token got no response: the token may be spent. */
    #mayBeSpent = false;
    /** Tokens by idempotency key, except of refused updates. A repeat must send the same token to be the same request. */
    #sent = new Map();
    #queue = Promise.resolve();
    /** @internal Created by `Laurel`. */
    constructor(rest, login, actions, owner, session) {
        this.rest = rest;
        this.login = login;
        this.actions = actions;
        this.owner = owner;
        this.id = session.sessionId;
        this.expiresAt = session.expiresAt;
        this.#token = session.actionToken;
        this.#completed = session.actionsCompleted ?? 0;
    }
    /** Number of awards that this client knows of. */
    get actionsCompleted() {
        return this.#completed;
    }
    /**
     * Redeems the session's token for a finished action. Updates of one game wait for each other, and lost responses are retried with the
     * same key. If no attempt gets a response, the error is `unsure`: the award may have counted. Then repeat the call with the same
     * arguments and the error's `idempotencyKey` within ten minutes, which returns that award. Or continue with the next update, which
     * first requests the current token. After ten minutes, a repeat of an award that counted fails with `TOKEN_ALREADY_USED`. The same key
     * with other arguments fails with `IDEMPOTENCY_MISMATCH`.
     */
    update(actionType, options = {}) {
        return this.#enqueue(() => this.#update(actionType, options));
    }
    /** Ends the session and its tokens. */
    end({ signal } = {}) {
        return this.#enqueue(() => {
            this.login.requireSameUser(this.owner);
            return this.rest.enveloped('POST', '/api/game/end', { signal });
        });
    }
    async #update(actionType, options) {
        const { signal, proof } = options;
        const key = options.idempotencyKey ?? newIdempotencyKey();
        const points = options.points ?? (await this.actions.find(actionType, { signal })).points;
        const request = { actionType, points, ...(proof && { proof }) };
        const tokenBefore = this.#sent.get(key);
        if (tokenBefore !== undefined)
            return this.#send(key, tokenBefore, request, signal);
        if (this.#mayBeSpent)
            await this.#refreshToken(signal);
        try {
            return await this.#send(key, this.#token, request, signal);
        }
        catch (error) {
            // Refused when it was first sent, so it did not count: another update has spent the token. A repeat is no such case: it may be
            // refused because it counted, longer ago than the server keeps responses.
            if (!(error instanceof LaurelError && error.code === 'TOKEN_ALREADY_USED') || error.unsure)
                throw error;
            await this.#refreshToken(signal);
            return await this.#send(key, this.#token, request, signal);
        }
    }
    async #send(key, token, request, signal) {
        this.login.requireSameUser(this.owner);
        const login = this.login.token;
        const isRepeat = this.#sent.has(key);
        this.#sent.set(key, token);
        if (token === this.#token)
            this.#mayBeSpent = true;
        const options = { body: { actionToken: token, ...request }, idempotencyKey: key, signal };
        let response;
        try {
            response = await this.rest.enveloped('POST', '/api/score/update', options);
        }
        catch (error) {
            if (error instanceof LaurelError && !error.unsure && !isRepeat) {
                this.#sent.delete(key);
                this.#mayBeSpent = false;
            }
            throw error;
        }
        const { newActionToken, expiresAt: _, ...award } = response;
        // This update has spent the token. Others with the same token did not count, and may be sent with another one.
        for (const [otherKey, otherToken] of this.#sent)
            if (otherToken === token && otherKey !== key)
                this.#sent.delete(otherKey);
        // The response to a repeat of an older update has outdated values.
        if (token !== this.#token)
            return award;
        this.#mayBeSpent = false;
        this.#token = newActionToken;
        this.#completed += 1;
        this.login.updateUser(login, { score: award.newScore });
        return award;
    }
    /** Requests the current token from the server. */
    async #refreshToken(signal) {
        this.login.requireSameUser(this.owner);
        const session = await this.rest.enveloped('GET', '/api/game/session', { signal });
        if (session.sessionId !== this.id) {
            throw new LaurelError('SESSION_MISMATCH', 'another game has started since', { status: 409 });
        }
        this.#token = session.actionToken;
        this.#completed = session.actionsCompleted ?? this.#completed;
        this.#mayBeSpent = false;
    }
    #enqueue(task) {
        const result = this.#queue.then(task);
        this.#queue = result.catch(() => undefined);
        return result;
    }
}
