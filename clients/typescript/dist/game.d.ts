import type { Actions, AwardOptions, CallOptions } from './actions.js';
import type { Login } from './login.js';
import { type Rest } from './rest.js';
import type { GameAward, GameEnd, Proof } from './types.js';
/** Options of `update`. */
export interface UpdateOptions extends AwardOptions {
    /** Points of the action. Looked up in the catalogue by default. */
    readonly points?: number;
    readonly proof?: Proof;
}
/** A session in a response. */
export interface SessionResponse {
    readonly sessionId: string;
    readonly actionToken: string | null;
    readonly expiresAt: string;
    readonly actionsCompleted?: number;
}
/** The active session of the logged-in user. */
export declare class Game {
    #private;
    private readonly rest;
    private readonly login;
    private readonly actions;
    private readonly owner;
    /** Its id, `sess_…`. */
    readonly id: string;
    /** When it expires (RFC 3339). */
    readonly expiresAt: string;
    /** @internal Created by `Laurel`. */
    constructor(rest: Rest, login: Login, actions: Actions, owner: string | null, session: SessionResponse);
    /** Number of awards that this client knows of. */
    get actionsCompleted(): number;
    /**
     * Redeems the session's token for a finished action. Updates of one game wait for each other, and lost responses are retried with the
     * same key. If no attempt gets a response, the error is `unsure`: the award may have counted. Then repeat the call with the same
     * arguments and the error's `idempotencyKey` within ten minutes, which returns that award. Or continue with the next update, which
     * first requests the current token. After ten minutes, a repeat of an award that counted fails with `TOKEN_ALREADY_USED`. The same key
     * with other arguments fails with `IDEMPOTENCY_MISMATCH`.
     */
    update(actionType: string, options?: UpdateOptions): Promise<GameAward>;
    /** Ends the session and its tokens. */
    end({ signal }?: CallOptions): Promise<GameEnd>;
}
