/** Codes of the server, and of this client: `NETWORK`, `UNREADABLE`, `PROOF_MISSING`, `LOGIN_CHANGED`. */
export type ErrorCode = 'UNAUTHORIZED' | 'INVALID_TOKEN' | 'INVALID_CREDENTIALS' | 'TOKEN_EXPIRED' | 'TOKEN_NOT_FOUND' | 'TOKEN_ALREADY_USED' | 'SESSION_MISMATCH' | 'INVALID_ACTION' | 'INVALID_POINTS' | 'PROOF_INVALID' | 'VALIDATION_ERROR' | 'RATE_LIMIT_EXCEEDED' | 'ACTION_LIMIT_REACHED' | 'USER_NOT_FOUND' | 'BOARD_NOT_FOUND' | 'PERIOD_NOT_FOUND' | 'ALREADY_EXISTS' | 'FORBIDDEN' | 'IDEMPOTENCY_MISMATCH' | 'NOT_FOUND' | 'METHOD_NOT_ALLOWED' | 'PAYLOAD_TOO_LARGE' | 'UNSUPPORTED_MEDIA_TYPE' | 'SERVICE_UNAVAILABLE' | 'INTERNAL_ERROR'
/** No response arrived: the request may have been carried out. */
 | 'NETWORK'
/** A response that is not Laurel's, such as a proxy's error page. */
 | 'UNREADABLE'
/** The action needs a proof, but none was given. Nothing was sent. */
 | 'PROOF_MISSING'
/** Another user has logged in since this started. Nothing was sent. */
 | 'LOGIN_CHANGED';
/** An invalid field of a request. */
export interface FieldProblem {
    readonly field: string;
    readonly problem: string;
}
/** What the server says about how to fix the request, by error code. */
export interface ErrorMetadata {
    /** `INVALID_ACTION`: the action types that this API accepts. */
    readonly validActionTypes?: readonly string[];
    /** `INVALID_ACTION`: when the action is open, as times of day such as `08:00`. */
    readonly openUtc?: {
        readonly from: string;
        readonly to: string;
    };
    /** `INVALID_POINTS`: the valid points of the action. */
    readonly expectedPoints?: readonly number[];
    /** `RATE_LIMIT_EXCEEDED`, `ACTION_LIMIT_REACHED`: the limit's setting, and when the limit ends (RFC 3339). */
    readonly limit?: {
        readonly name: string;
        readonly max?: number;
        readonly resetsAt: string;
    };
    /** `UNAUTHORIZED`, `INVALID_TOKEN`: what to send instead. */
    readonly expected?: string;
}
/** Details of an error. */
export interface ErrorDetails {
    readonly status?: number;
    readonly fields?: readonly FieldProblem[];
    readonly metadata?: ErrorMetadata;
    readonly retryAfterSeconds?: number | undefined;
    readonly requestId?: string | undefined;
    readonly unsure?: boolean;
    readonly idempotencyKey?: string | undefined;
}
/** The error of every failed call, except for the reason of an aborted `AbortSignal`. */
export declare class LaurelError extends Error {
    readonly name = "LaurelError";
    /** One of `ErrorCode`. A newer server may send others. */
    readonly code: ErrorCode | (string & {});
    /** HTTP status. 0 without a response. */
    readonly status: number;
    /** Invalid fields, for `VALIDATION_ERROR`. */
    readonly fields: readonly FieldProblem[];
    /** How to fix the request. A newer server may send more. */
    readonly metadata: ErrorMetadata;
    /** Seconds until a retry may succeed. */
    readonly retryAfterSeconds: number | undefined;
    /** Id of the request in the server's logs. */
    readonly requestId: string | undefined;
    /**
     * The award may have counted, whatever `code` says about the last attempt, because an attempt got no response from Laurel. Repeat the
     * same request with `idempotencyKey`: it cannot count twice.
     */
    readonly unsure: boolean;
    /** The key of an award that is `unsure`, also if the client generated it. */
    readonly idempotencyKey: string | undefined;
    constructor(code: ErrorCode | (string & {}), message: string, details?: ErrorDetails);
}
