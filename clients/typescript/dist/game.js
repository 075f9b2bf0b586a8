// A game session: each update spends a token and brings the next, so updates go one after another.
import { LaurelError } from './errors.js';
import { newKey } from './keys.js';
/** The live session of the logged-in user. */
export class Game {
    rest;
    login;
    actions;
    owner;
    /** Its id, `sess_…`. */
    id;
    /** When it runs out (RFC 3339). */
    expiresAt;
    #completed;
    #token;
    /** The answer to an update never came: the token may be spent or not. */
    #doubtful = false;
    /** The token that each key went with, but for those that were refused: with it a repeat is the same request. */
    #sent = new Map();
    #queue = Promise.resolve();
    /** @internal `Laurel` makes them. */
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
    /** Awards that this client knows of. */
    get actionsCompleted() {
        return this.#completed;
    }
    /**
     * Redeems the session's token for a finished action. Updates of one game wait for each other, and a lost answer is
     * asked for again under the same key. If even that fails, the error is `unsure`, and nobody knows whether it counted:
     * call again with the same arguments and the error's `idempotencyKey` within ten minutes for that very award, or go on
     * with the next, which first asks for the current token. After that time `TOKEN_ALREADY_USED` is all that is said of an
     * award that counted. The same key with other arguments is an `IDEMPOTENCY_MISMATCH`.
     */
    update(actionType, options = {}) {
        return this.#inTurn(() => this.#update(actionType, options));
    }
    /** Ends the session and its tokens. */
    end({ signal } = {}) {
        return this.#inTurn(() => {
            this.login.stillOf(this.owner);
            return this.rest.enveloped('POST', '/api/game/end', { signal });
        });
    }
    async #update(actionType, options) {
        const { signal, proof } = options;
        const key = options.idempotencyKey ?? newKey();
        const points = options.points ?? (await this.actions.find(actionType, { signal })).points;
        const asked = { actionType, points, ...(proof && { proof }) };
        const before = this.#sent.get(key);
        if (before !== undefined)
            return this.#send(key, before, asked, signal);
        if (this.#doubtful)
            await this.#refresh(signal);
        try {
            return await this.#send(key, this.#token, asked, signal);
        }
        catch (error) {
            // Refused at its first sending, so it did not count: another update spent the token. A repeat may be refused just
            // because it did count, longer ago than its answer was kept.
            if (!(error instanceof LaurelError && error.code === 'TOKEN_ALREADY_USED') || error.unsure)
                throw error;
            await this.#refresh(signal);
            return await this.#send(key, this.#token, asked, signal);
        }
    }
    async #send(key, token, asked, signal) {
        this.login.stillOf(this.owner);
        const login = this.login.token;
        const repeated = this.#sent.has(key);
        this.#sent.set(key, token);
        if (token === this.#token)
            this.#doubtful = true;
        const ask = { body: { actionToken: token, ...asked }, idempotencyKey: key, signal };
        let answer;
        try {
            answer = await this.rest.enveloped('POST', '/api/score/update', ask);
        }
        catch (error) {
            if (error instanceof LaurelError && !error.unsure && !repeated) {
                this.#sent.delete(key);
                this.#doubtful = false;
            }
            throw error;
        }
        const { newActionToken, expiresAt: _, ...award } = answer;
        // One update spends a token: others that went with it did not count, and may be sent anew.
        for (const [other, spent] of this.#sent)
            if (spent === token && other !== key)
                this.#sent.delete(other);
        // The answer to an update before the newest says nothing of how it stands now.
        if (token !== this.#token)
            return award;
        this.#doubtful = false;
        this.#token = newActionToken;
        this.#completed += 1;
        this.login.learn(login, { score: award.newScore });
        return award;
    }
    /** Takes the current token, which only the server knows now. */
    async #refresh(signal) {
        this.login.stillOf(this.owner);
        const session = await this.rest.enveloped('GET', '/api/game/session', { signal });
        if (session.sessionId !== this.id) {
            throw new LaurelError('SESSION_MISMATCH', 'another game was started since', { status: 409 });
        }
        this.#token = session.actionToken;
        this.#completed = session.actionsCompleted ?? this.#completed;
        this.#doubtful = false;
    }
    #inTurn(task) {
        const turn = this.#queue.then(task);
        this.#queue = turn.catch(() => undefined);
        return turn;
    }
}
