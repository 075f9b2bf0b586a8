import { type Login } from './login.js';
import type { Rest } from './rest.js';
import type { Action, Award, Challenge, Proof, ProvenToken, Started } from './types.js';
/** How one call is made. */
export interface CallOptions {
    readonly signal?: AbortSignal | undefined;
}
/** How one award, or a verified token, is asked for. */
export interface AwardOptions extends CallOptions {
    /** The same key for the same request gets the first answer again; made anew for each call if left out. */
    readonly idempotencyKey?: string | undefined;
}
/** How an action is played. */
export interface PlayOptions extends CallOptions {
    /**
     * Gives the proof. Waiting for `elapsed` is done for it, and so is `hashcash` if it gives no `nonce`; `quiz`,
     * `signed` and `webhook` need it.
     */
    readonly prove?: ((challenge: Challenge, action: Action, started: Started) => Proof | Promise<Proof>) | undefined;
}
/** What a verified token is asked for: the type alone, or the token of `init` where the proof has a challenge. */
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
    /** An action as the catalogue has it, which is asked again for one that was not there before. */
    find(type: string, options?: CallOptions): Promise<Action>;
    /** A token that is never redeemed costs nobody anything, so a lost answer may be asked for again. */
    init(actionType: string, { signal }?: CallOptions): Promise<Started>;
    finalize(antiSpamToken: string, proof?: Proof | null, options?: AwardOptions): Promise<Award>;
    actionToken(request: TokenRequest, { idempotencyKey, signal }?: AwardOptions): Promise<ProvenToken>;
    redeem(actionToken: string, options?: AwardOptions & {
        readonly sessionId?: string;
    }): Promise<Award>;
    play(type: string, { prove, signal }?: PlayOptions): Promise<Award>;
}
