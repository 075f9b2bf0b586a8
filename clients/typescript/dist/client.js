// The client: everything that a player's program asks of Laurel.
import { Boards } from './boards.js';
import { LaurelError } from './errors.js';
import { Game } from './game.js';
import { Live } from './live.js';
import { Login } from './login.js';
import { Actions } from './play.js';
import { Rest } from './rest.js';
/** A client of one Laurel for one user, or for nobody yet. */
export class Laurel {
    #login = new Login();
    #rest;
    #boards;
    #actions;
    #live;
    constructor(options = {}) {
        const { url = '', token, onToken, retry = {}, timeoutMs = 15_000, random = Math.random } = options;
        const base = url.replace(/\/+$/, '');
        // Bound when it is called: a browser's own fetch wants to be called on its window.
        const fetch = options.fetch ?? ((input, init) => globalThis.fetch(input, init));
        const patience = { attempts: retry.attempts ?? 5, maxWaitMs: (retry.maxWaitSeconds ?? 10) * 1000, random };
        if (token)
            this.#login.set(token);
        if (onToken)
            this.#login.onChange(onToken);
        const login = this.#login;
        this.#rest = new Rest(base, fetch, login, patience, timeoutMs);
        const boards = (this.#boards = new Boards(this.#rest));
        this.#actions = new Actions(this.#rest, login);
        const WebSocket = options.WebSocket ?? globalThis.WebSocket;
        this.#live = (live) => new Live({ base, login, boards, fetch, WebSocket, random }, live);
    }
    /** The login, or null. Setting it, say to one of your identity provider, re-opens live connections. */
    get token() {
        return this.#login.token;
    }
    set token(token) {
        this.#login.set(token);
    }
    /** Who is logged in, as far as it is known. */
    get user() {
        return this.#login.user;
    }
    /** Makes a user, who is logged in then. */
    register(user, options) {
        return this.#logIn('/api/auth/register', user, options);
    }
    login(user, options) {
        return this.#logIn('/api/auth/login', user, options);
    }
    /** Forgets the login. */
    logout() {
        this.#login.set(null);
    }
    /** The catalogue: what can be done, what it is worth, and what proof it needs. */
    actions(options) {
        return this.#actions.list(options);
    }
    /**
     * Starts an action, proves it, and wins its points; retried where an answer is lost, and never counted twice.
     * What can be proven without anybody is: `hashcash` is solved, `elapsed` is waited for.
     */
    play(actionType, options) {
        return this.#actions.play(actionType, options);
    }
    /** Starts an action: a token that works once, and what has to be shown with it. */
    init(actionType, options) {
        return this.#actions.init(actionType, options);
    }
    /** Shows the proof, and wins the points. */
    finalize(antiSpamToken, proof, options) {
        return this.#actions.finalize(antiSpamToken, proof, options);
    }
    /** Proves an action now; the token is redeemed later. */
    actionToken(request, options) {
        return this.#actions.actionToken(request, options);
    }
    /** Redeems a token of `actionToken`. */
    redeem(actionToken, options) {
        return this.#actions.redeem(actionToken, options);
    }
    /** Starts a game session; an earlier one ends. */
    async startGame({ signal } = {}) {
        const owner = this.token;
        return this.#game(owner, await this.#rest.enveloped('POST', '/api/game/start', { signal }));
    }
    /** The live session, so that a reloaded page goes on; null if there is none that can. */
    async resumeGame({ signal } = {}) {
        const owner = this.token;
        try {
            const session = await this.#rest.enveloped('GET', '/api/game/session', { signal });
            return session.actionToken === null ? null : this.#game(owner, session);
        }
        catch (error) {
            const none = error instanceof LaurelError && ['TOKEN_NOT_FOUND', 'TOKEN_EXPIRED'].includes(error.code);
            if (none)
                return null;
            throw error;
        }
    }
    /** The ten best; never an older board than it gave before. */
    leaderboard({ signal } = {}) {
        return this.#boards.leaderboard(signal);
    }
    /** The ten best as the game API shows them, by user number. */
    top10({ signal } = {}) {
        return this.#boards.top10(signal);
    }
    /** Where a user stands, by number or UUID. */
    standing(userId, { signal } = {}) {
        return this.#rest.enveloped('GET', `/api/scoreboard/user/${encodeURIComponent(userId)}`, { signal });
    }
    /** Listens, until it is closed: the board as it changes, and one's own awards. */
    live(options = {}) {
        return this.#live(options);
    }
    #game(owner, session) {
        return new Game(this.#rest, this.#login, this.#actions, owner, session);
    }
    async #logIn(path, body, { signal } = {}) {
        const { token, user } = await this.#rest.enveloped('POST', path, { body: { ...body }, signal });
        this.#login.set(token, { id: user.id, uuid: user.uuid, username: user.username, score: user.score });
        return this.#login.user;
    }
}
