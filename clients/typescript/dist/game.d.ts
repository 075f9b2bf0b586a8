import type { Login } from './login.js';
import type { Actions, AwardOptions, CallOptions } from './play.js';
import type { Rest } from './rest.js';
import type { GameAward, GameEnd, Proof } from './types.js';
/** How an update is asked for. */
export interface UpdateOptions extends AwardOptions {
    /** What the catalogue says that the action is worth; looked up there if left out. */
    readonly points?: number;
    readonly proof?: Proof;
}
/** A session as the server tells of it. */
export interface SessionAnswer {
    readonly sessionId: string;
    readonly actionToken: string | null;
    readonly expiresAt: string;
    readonly actionsCompleted?: number;
}
/** The live session of the logged-in user. */
export declare class Game {
    #private;
    private readonly rest;
    private readonly login;
    private readonly actions;
    private readonly owner;
    /** Its id, `sess_…`. */
    readonly id: string;
    /** When it runs out (RFC 3339). */
    readonly expiresAt: string;
    /** @internal `Laurel` makes them. */
    constructor(rest: Rest, login: Login, actions: Actions, owner: string | null, session: SessionAnswer);
    /** Awards that this client knows of. */
    get actionsCompleted(): number;
    /**
     * Redeems the session's token for a finished action. Updates of one game wait for each other, and a lost answer is
     * asked for again under the same key. If even that fails, the error is `unsure`, and nobody knows whether it counted:
     * call again with the same arguments and the error's `idempotencyKey` within ten minutes for that very award, or go on
     * with the next, which first asks for the current token. After that time `TOKEN_ALREADY_USED` is all that is said of an
     * award that counted. The same key with other arguments is an `IDEMPOTENCY_MISMATCH`.
     */
    update(actionType: string, options?: UpdateOptions): Promise<GameAward>;
    /** Ends the session and its tokens. */
    end({ signal }?: CallOptions): Promise<GameEnd>;
}
