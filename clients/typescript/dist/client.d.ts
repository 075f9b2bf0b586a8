import { Game } from './game.js';
import { Live, type LiveOptions } from './live.js';
import { type AwardOptions, type CallOptions, type PlayOptions, type TokenRequest } from './play.js';
import type { RetryOptions } from './retry.js';
import type { WebSocketMaker } from './socket.js';
import type { Action, Award, Board, Proof, ProvenToken, Standing, Started, Top10, User } from './types.js';
/** How a client is made. */
export interface LaurelOptions {
    /** Where Laurel is, without a slash at the end; '' is the page's own origin. */
    readonly url?: string;
    /** A login that was kept. */
    readonly token?: string | null;
    /** Hears every change of the login, to keep it. */
    readonly onToken?: (token: string | null) => void;
    readonly retry?: RetryOptions;
    /** A request without an answer for so long is given up. Default 15,000. */
    readonly timeoutMs?: number;
    readonly fetch?: typeof globalThis.fetch;
    /** The platform's own by default; node has one from 22 on. */
    readonly WebSocket?: WebSocketMaker;
    /** From 0 to 1, for jitter. */
    readonly random?: () => number;
}
/** A client of one Laurel for one user, or for nobody yet. */
export declare class Laurel {
    #private;
    constructor(options?: LaurelOptions);
    /** The login, or null. Setting it, say to one of your identity provider, re-opens live connections. */
    get token(): string | null;
    set token(token: string | null);
    /** Who is logged in, as far as it is known. */
    get user(): User | null;
    /** Makes a user, who is logged in then. */
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
    /** The catalogue: what can be done, what it is worth, and what proof it needs. */
    actions(options?: CallOptions): Promise<readonly Action[]>;
    /**
     * Starts an action, proves it, and wins its points; retried where an answer is lost, and never counted twice.
     * What can be proven without anybody is: `hashcash` is solved, `elapsed` is waited for.
     */
    play(actionType: string, options?: PlayOptions): Promise<Award>;
    /** Starts an action: a token that works once, and what has to be shown with it. */
    init(actionType: string, options?: CallOptions): Promise<Started>;
    /** Shows the proof, and wins the points. */
    finalize(antiSpamToken: string, proof?: Proof | null, options?: AwardOptions): Promise<Award>;
    /** Proves an action now; the token is redeemed later. */
    actionToken(request: TokenRequest, options?: AwardOptions): Promise<ProvenToken>;
    /** Redeems a token of `actionToken`. */
    redeem(actionToken: string, options?: AwardOptions & {
        readonly sessionId?: string;
    }): Promise<Award>;
    /** Starts a game session; an earlier one ends. */
    startGame({ signal }?: CallOptions): Promise<Game>;
    /** The live session, so that a reloaded page goes on; null if there is none that can. */
    resumeGame({ signal }?: CallOptions): Promise<Game | null>;
    /** The ten best; never an older board than it gave before. */
    leaderboard({ signal }?: CallOptions): Promise<Board>;
    /** The ten best as the game API shows them, by user number. */
    top10({ signal }?: CallOptions): Promise<Top10>;
    /** Where a user stands, by number or UUID. */
    standing(userId: number | string, { signal }?: CallOptions): Promise<Standing>;
    /** Listens, until it is closed: the board as it changes, and one's own awards. */
    live(options?: LiveOptions): Live;
}
