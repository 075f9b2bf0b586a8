import { type AwardOptions, type CallOptions, type PlayOptions, type TokenRequest } from './actions.js';
import { type EntriesOptions, type EntriesPageOptions } from './boards.js';
import { Game } from './game.js';
import { Live, type LiveOptions } from './live.js';
import { type PageOptions } from './players.js';
import type { RetryOptions } from './retry.js';
import type { Action, ActionToken, Award, AwardHistoryEntry, AwardHistoryPage, Board, BoardDefinition, BoardEntry, BoardLookup, BoardPage, BoardPlaces, OwnProfile, PeriodPage, Profile, Proof, Standing, StartedAction, Top10, User } from './types.js';
import type { WebSocketConstructor } from './websocket.js';
/** Options of a client. */
export interface LaurelOptions {
    /** Where Laurel is, without a trailing slash. '' is the page's own origin. */
    readonly url?: string;
    /** A stored login. */
    readonly token?: string | null;
    /** Called at every change of the login, to store it. */
    readonly onToken?: (token: string | null) => void;
    readonly retry?: RetryOptions;
    /** Time until a request without a response fails. Default 15,000. */
    readonly timeoutMs?: number;
    readonly fetch?: typeof globalThis.fetch;
    /** The platform's own by default. Node has one since version 22. */
    readonly WebSocket?: WebSocketConstructor;
    /** Random numbers from 0 to 1, for jitter. */
    readonly random?: () => number;
}
/** A client of one Laurel server, for one user or a spectator. */
export declare class Laurel {
    #private;
    constructor(options?: LaurelOptions);
    /** The login, or null. Setting it, for example to a token of your identity provider, reconnects live connections. */
    get token(): string | null;
    set token(token: string | null);
    /** The logged-in user, as far as known. */
    get user(): User | null;
    /** Creates a user and logs in. */
    register(user: {
        username: string;
        email: string;
        password: string;
    }, options?: CallOptions): Promise<User>;
    login(user: {
        username: string;
        password: string;
    }, options?: CallOptions): Promise<User>;
    /** Forgets the login. */
    logout(): void;
    /** The catalogue: actions with their points, proofs and limits. */
    actions(options?: CallOptions): Promise<readonly Action[]>;
    /**
     * Starts an action, proves it and earns its points. Lost responses are retried and never count twice. `hashcash` is solved and `elapsed`
     * waited for; other proofs come from `prove`.
     */
    play(actionType: string, options?: PlayOptions): Promise<Award>;
    /** Starts an action. Returns a single-use token, and the challenge if the action has one. */
    init(actionType: string, options?: CallOptions): Promise<StartedAction>;
    /** Sends the proof and earns the points. */
    finalize(antiSpamToken: string, proof?: Proof | null, options?: AwardOptions): Promise<Award>;
    /** Proves an action now. The returned token is redeemed later. */
    actionToken(request: TokenRequest, options?: AwardOptions): Promise<ActionToken>;
    /** Redeems a token of `actionToken`. */
    redeem(actionToken: string, options?: AwardOptions & {
        readonly sessionId?: string;
    }): Promise<Award>;
    /** Starts a game session, which ends an earlier one. */
    startGame({ signal }?: CallOptions): Promise<Game>;
    /** The active session, for example after a reload. Null if there is none. */
    resumeGame({ signal }?: CallOptions): Promise<Game | null>;
    /** The boards that the user may see, `global` first, with their current periods. */
    boards({ signal }?: CallOptions): Promise<readonly BoardDefinition[]>;
    /** One of them. `weekly@DE` is the board of one value of the tag that `weekly` is split by. */
    board(id: string, { signal }?: CallOptions): Promise<BoardDefinition>;
    /** The entries of a board, best first. Requests a page of `limit` entries when it is needed. */
    entries(id: string, options?: EntriesOptions): AsyncGenerator<BoardEntry, void>;
    /** One page of a board, best first. */
    entriesPage(id: string, options?: EntriesPageOptions): Promise<BoardPage>;
    /** One page of a board's periods, newest first. */
    periodsPage(id: string, options?: PageOptions): Promise<PeriodPage>;
    /** The entries of up to 200 users, such as friends, by UUID. */
    lookup(id: string, userIds: readonly string[], options?: Omit<EntriesOptions, 'limit'>): Promise<BoardLookup>;
    /** The top 10. Never older than a board that it returned before. */
    leaderboard({ signal }?: CallOptions): Promise<Board>;
    /** The top 10 of the game API, with user numbers. */
    top10({ signal }?: CallOptions): Promise<Top10>;
    /** Score and rank of a user, by number or UUID. */
    standing(userId: number | string, { signal }?: CallOptions): Promise<Standing>;
    /** The caller's own profile. */
    me({ signal }?: CallOptions): Promise<OwnProfile>;
    /** A player's public profile, by number or UUID. */
    profile(userId: number | string, { signal }?: CallOptions): Promise<Profile>;
    /** A player's awards, newest first. Requests a page of `limit` entries when it is needed. */
    history(userId: number | string, options?: Omit<PageOptions, 'cursor'>): AsyncGenerator<AwardHistoryEntry, void>;
    /** One page of a player's awards, newest first. */
    historyPage(userId: number | string, options?: PageOptions): Promise<AwardHistoryPage>;
    /** A player's current and best places on the boards that the user may see. */
    places(userId: number | string, { signal }?: CallOptions): Promise<readonly BoardPlaces[]>;
    /** Opens a live connection: boards, and the user's own awards. Reconnects until it is closed. */
    live(options?: LiveOptions): Live;
}
