// The client: every call of a player's program.
import { Actions } from './actions.js';
import { Boards } from './boards.js';
import { LaurelError } from './errors.js';
import { Game } from './game.js';
import { Live } from './live.js';
import { Login } from './login.js';
import { Players } from './players.js';
import { Rest } from './rest.js';
/** A client of one Laurel server, for one user or a spectator. */
export class Laurel {
    #login = new Login();
    #rest;
    #boards;
    #players;
    #actions;
    #live;
    constructor(options = {}) {
        const { url = '', token, onToken, retry = {}, timeoutMs = 15_000, random = Math.random } = options;
        const base = url.replace(/\/+$/, '');
        // A browser's `fetch` must be called on its window.
        const fetch = options.fetch ?? ((input, init) => globalThis.fetch(input, init));
        const policy = { attempts: retry.attempts ?? 5, maxWaitMs: (retry.maxWaitSeconds ?? 10) * 1000, random };
        if (token)
            this.#login.set(token);
        if (onToken)
            this.#login.onChange(onToken);
        const login = this.#login;
        this.#rest = new Rest(base, fetch, login, policy, timeoutMs);
        const boards = (this.#boards = new Boards(this.#rest));
        this.#players = new Players(this.#rest);
        this.#actions = new Actions(this.#rest, login);
        const WebSocket = options.WebSocket ?? globalThis.WebSocket;
        this.#live = (liveOptions) => new Live({ base, login, boards, fetch, WebSocket, random }, liveOptions);
    }
    /** The login, or null. Setting it, for example to a token of your identity provider, reconnects live connections. */
    get token() {
        return this.#login.token;
    }
    set token(token) {
        this.#login.set(token);
    }
    /** The logged-in user, as far as known. */
    get user() {
        return this.#login.user;
    }
    /** Creates a user and logs in. */
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
    /** The catalogue: actions with their points, proofs and limits. */
    actions(options) {
        return this.#actions.list(options);
    }
    /**
     * Starts an action, proves it and earns its points. Lost responses are retried and never count twice. `hashcash` is solved and `elapsed`
     * waited for; other proofs come from `prove`.
     */
    play(actionType, options) {
        return this.#actions.play(actionType, options);
    }
    /** Starts an action. Returns a single-use token, and the challenge if the action has one. */
    init(actionType, options) {
        return this.#actions.init(actionType, options);
    }
    /** Sends the proof and earns the points. */
    finalize(antiSpamToken, proof, options) {
        return this.#actions.finalize(antiSpamToken, proof, options);
    }
    /** Proves an action now. The returned token is redeemed later. */
    actionToken(request, options) {
        return this.#actions.actionToken(request, options);
    }
    /** Redeems a token of `actionToken`. */
    redeem(actionToken, options) {
        return this.#actions.redeem(actionToken, options);
    }
    /** Starts a game session, which ends an earlier one. */
    async startGame({ signal } = {}) {
        const owner = this.token;
        return this.#game(owner, await this.#rest.enveloped('POST', '/api/game/start', { signal }));
    }
    /** The active session, for example after a reload. Null if there is none. */
    async resumeGame({ signal } = {}) {
        const owner = this.token;
        try {
            const session = await this.#rest.enveloped('GET', '/api/game/session', { signal });
            return session.actionToken === null ? null : this.#game(owner, session);
        }
        catch (error) {
            const hasNone = error instanceof LaurelError && ['TOKEN_NOT_FOUND', 'TOKEN_EXPIRED'].includes(error.code);
            if (hasNone)
                return null;
            throw error;
        }
    }
    /** The boards that the user may see, `global` first, with their current periods. */
    boards({ signal } = {}) {
        return this.#boards.list(signal);
    }
    /** One of them. `weekly@DE` is the board of one value of the tag that `weekly` is split by. */
    board(id, { signal } = {}) {
        return this.#boards.one(id, signal);
    }
    /** The entries of a board, best first. Requests a page of `limit` entries when it is needed. */
    entries(id, options = {}) {
        return this.#boards.entries(id, options);
    }
    /** One page of a board, best first. */
    entriesPage(id, options) {
        return this.#boards.page(id, options);
    }
    /** One page of a board's periods, newest first. */
    periodsPage(id, options) {
        return this.#boards.periodsPage(id, options);
    }
    /** The entries of up to 200 users, such as friends, by UUID. */
    lookup(id, userIds, options) {
        return this.#boards.lookup(id, userIds, options);
    }
    /** The top 10. Never older than a board that it returned before. */
    leaderboard({ signal } = {}) {
        return this.#boards.leaderboard(signal);
    }
    /** The top 10 of the game API, with user numbers. */
    top10({ signal } = {}) {
        return this.#boards.top10(signal);
    }
    /** Score and rank of a user, by number or UUID. */
    standing(userId, { signal } = {}) {
        return this.#rest.enveloped('GET', `/api/scoreboard/user/${encodeURIComponent(userId)}`, { signal });
    }
    /** The caller's own profile. */
    me({ signal } = {}) {
        return this.#players.me(signal);
    }
    /** A player's public profile, by number or UUID. */
    profile(userId, { signal } = {}) {
        return this.#players.profile(userId, signal);
    }
    /** A player's awards, newest first. Requests a page of `limit` entries when it is needed. */
    history(userId, options = {}) {
        return this.#players.history(userId, options);
    }
    /** One page of a player's awards, newest first. */
    historyPage(userId, options) {
        return this.#players.historyPage(userId, options);
    }
    /** A player's current and best places on the boards that the user may see. */
    places(userId, { signal } = {}) {
        return this.#players.places(userId, signal);
    }
    /** Opens a live connection: boards, and the user's own awards. Reconnects until it is closed. */
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
