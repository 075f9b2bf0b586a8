import { type Login } from './login.js';
import { type Rest } from './rest.js';
import type { Action, ActionToken, Award, Challenge, Proof, StartedAction } from './types.js';
/** Options of every call. */
export interface CallOptions {
    readonly signal?: AbortSignal | undefined;
}
/** Options of an award or a verified token. */
export interface AwardOptions extends CallOptions {
    /** The same key with the same request returns the first response again. Random by default. */
    readonly idempotencyKey?: string | undefined;
}
/** Options of `play`. */
export interface PlayOptions extends CallOptions {
    /**
     * Returns the proof. Required for `quiz`, `signed` and `webhook`. The wait of `elapsed` follows automatically, and `hashcash` is solved
     * unless the proof has a `nonce`.
     */
    readonly prove?: ((challenge: Challenge, action: Action, started: StartedAction) => Proof | Promise<Proof>) | undefined;
}
/** A request for a verified token: an action, or the token of `init` if the proof has a challenge. */
export interface TokenRequest {
    readonly actionType?: string;
    readonly actionId?: number;
    readonly antiSpamToken?: string;
    readonly sessionId?: string;
    readonly proof?: Proof;
}
export declare class Actions {
    #private;
    private readonly rest;
    private readonly login;
    constructor(rest: Rest, login: Login);
    list({ signal }?: CallOptions): Promise<readonly Action[]>;
    /** An action of the catalogue, which is loaded again if it does not have the action. */
    find(type: string, options?: CallOptions): Promise<Action>;
    /** A repeat is safe: a token that is never used costs nothing. */
    init(actionType: string, { signal }?: CallOptions): Promise<StartedAction>;
    finalize(antiSpamToken: string, proof?: Proof | null, options?: AwardOptions): Promise<Award>;
    actionToken(request: TokenRequest, options?: AwardOptions): Promise<ActionToken>;
    redeem(actionToken: string, options?: AwardOptions & {
        readonly sessionId?: string;
    }): Promise<Award>;
    play(type: string, { prove, signal }?: PlayOptions): Promise<Award>;
}
