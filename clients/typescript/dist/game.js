// A game session: each update spends a token and brings the next, so updates go one after another.
import { LaurelError } from './errors.js';
import { newKey } from './keys.js';
/** The live session of the logged-in user. */
export class Game {
    rest;
    login;
    actions;
    /** Its id, `sess_…`. */
    id;
    /** When it runs out (RFC 3339). */
    expiresAt;
    #completed;
    #token;
    /** An update whose answer never came: its token may be spent or not. */
    #unanswered = null;
    #queue = Promise.resolve();
    /** @internal `Laurel` makes them. */
    constructor(rest, login, actions, session) {
        this.rest = rest;
        this.login = login;
        this.actions = actions;
        this.id = session.sessionId;
        this.expiresAt = session.expiresAt;
        this.#token = session.actionToken;
        this.#completed = session.actionsCompleted ?? 0;
    }
    /** Awards that this client knows of. */
    get actionsCompleted() {
        return this.#completed;
    }
    /**
     * Redeems the session's token for a finished action. Updates of one game wait for each other, and a lost answer is
     * asked for again under the same key. If even that fails (`NETWORK`), nobody knows whether it counted: call again with
     * the same `idempotencyKey` for that very award, or go on with the next, which first asks for the current token.
     */
    update(actionType, options = {}) {
        return this.#inTurn(() => this.#update(actionType, options));
    }
    /** Ends the session and its tokens. */
    end({ signal } = {}) {
        return this.#inTurn(() => this.rest.enveloped('POST', '/api/game/end', { signal }));
    }
    async #update(actionType, options) {
        const { signal, proof } = options;
        const key = options.idempotencyKey ?? newKey();
        let update = this.#unanswered;
        if (update?.key !== key) {
            const points = options.points ?? (await this.actions.find(actionType, { signal })).points;
            if (this.#unanswered !== null)
                await this.#refresh(signal);
            update = { key, body: { actionToken: this.#token, actionType, points, ...(proof && { proof }) } };
        }
        try {
            return await this.#send(update, signal);
        }
        catch (error) {
            // Refused, so it did not count: an earlier update did whose answer never came.
            if (!(error instanceof LaurelError && error.code === 'TOKEN_ALREADY_USED'))
                throw error;
            await this.#refresh(signal);
            return await this.#send({ key, body: { ...update.body, actionToken: this.#token } }, signal);
        }
    }
    async #send(update, signal) {
        const { key: idempotencyKey, body } = update;
        const login = this.login.token;
        this.#unanswered = update;
        let answer;
        try {
            answer = await this.rest.enveloped('POST', '/api/score/update', { body, idempotencyKey, signal });
        }
        catch (error) {
            if (error instanceof LaurelError && error.status >= 400 && error.status < 500)
                this.#unanswered = null;
            throw error;
        }
        const { newActionToken, expiresAt: _, ...award } = answer;
        this.#unanswered = null;
        this.#token = newActionToken;
        this.#completed += 1;
        this.login.learn(login, { score: award.newScore });
        return award;
    }
    /** Takes the current token, which only the server knows now. */
    async #refresh(signal) {
        const session = await this.rest.enveloped('GET', '/api/game/session', { signal });
        if (session.sessionId !== this.id) {
            throw new LaurelError('SESSION_MISMATCH', 'another game was started since', { status: 409 });
        }
        this.#token = session.actionToken;
        this.#completed = session.actionsCompleted ?? this.#completed;
        this.#unanswered = null;
    }
    #inTurn(task) {
        const turn = this.#queue.then(task);
        this.#queue = turn.catch(() => undefined);
        return turn;
    }
}
