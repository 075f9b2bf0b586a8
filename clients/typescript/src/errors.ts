// What can go wrong. Nothing here may ever hold a token: errors end up in logs.

/** The server's codes, and this client's own: `NETWORK`, `UNREADABLE`, `PROOF_MISSING`, `LOGIN_CHANGED`. */
export type ErrorCode =
  | 'UNAUTHORIZED'
  | 'INVALID_TOKEN'
  | 'INVALID_CREDENTIALS'
  | 'TOKEN_EXPIRED'
  | 'TOKEN_NOT_FOUND'
  | 'TOKEN_ALREADY_USED'
  | 'SESSION_MISMATCH'
  | 'INVALID_ACTION'
  | 'INVALID_POINTS'
  | 'PROOF_INVALID'
  | 'VALIDATION_ERROR'
  | 'RATE_LIMIT_EXCEEDED'
  | 'ACTION_LIMIT_REACHED'
  | 'USER_NOT_FOUND'
  | 'ALREADY_EXISTS'
  | 'FORBIDDEN'
  | 'IDEMPOTENCY_MISMATCH'
  | 'NOT_FOUND'
  | 'METHOD_NOT_ALLOWED'
  | 'PAYLOAD_TOO_LARGE'
  | 'UNSUPPORTED_MEDIA_TYPE'
  | 'SERVICE_UNAVAILABLE'
  | 'INTERNAL_ERROR'
  /** No answer came: whether the request was carried out is not known. */
  | 'NETWORK'
  /** An answer that is not Laurel's, such as a proxy's page. */
  | 'UNREADABLE'
  /** The action needs a proof that nobody gave; nothing was sent. */
  | 'PROOF_MISSING'
  /** The login is another user's than when this began; nothing was sent. */
  | 'LOGIN_CHANGED';

/** A field of a body that was wrong. */
export interface FieldProblem {
  readonly field: string;
  readonly problem: string;
}

/** What the server says of how to get it right, by the code. */
export interface ErrorMetadata {
  /** `INVALID_ACTION`: the types that are open there. */
  readonly validActionTypes?: readonly string[];
  /** `INVALID_ACTION`: when an action is open that is closed at this time of day, such as `08:00`. */
  readonly openUtc?: { readonly from: string; readonly to: string };
  /** `INVALID_POINTS`: what the action can be worth. */
  readonly expectedPoints?: readonly number[];
  /** `RATE_LIMIT_EXCEEDED`, `ACTION_LIMIT_REACHED`: the setting whose limit was reached, and when it is over (RFC 3339). */
  readonly limit?: { readonly name: string; readonly max?: number; readonly resetsAt: string };
  /** `UNAUTHORIZED`, `INVALID_TOKEN`: what to send instead. */
  readonly expected?: string;
}

/** What an error knows beside its code and its words. */
export interface ErrorDetails {
  readonly status?: number;
  readonly fields?: readonly FieldProblem[];
  readonly metadata?: ErrorMetadata;
  readonly retryAfterSeconds?: number | undefined;
  readonly requestId?: string | undefined;
  readonly unsure?: boolean;
  readonly idempotencyKey?: string | undefined;
}

/** Every failure of a call, but for an `AbortSignal`'s own reason. */
export class LaurelError extends Error {
  override readonly name = 'LaurelError';
  /** One of `ErrorCode`; a newer server may have others. */
  readonly code: ErrorCode | (string & {});
  /** The HTTP status; 0 if there was no answer. */
  readonly status: number;
  /** What was wrong with which field, for `VALIDATION_ERROR`. */
  readonly fields: readonly FieldProblem[];
  /** How to get it right; a newer server may say more. */
  readonly metadata: ErrorMetadata;
  /** When it may be worth another try. */
  readonly retryAfterSeconds: number | undefined;
  /** The request's id in the server's logs. */
  readonly requestId: string | undefined;
  /**
   * Of an award: a try of it ended without Laurel's own word, so it may have counted, whatever `code` says of the last
   * one. Only the same request with the same `idempotencyKey` gets it without counting twice.
   */
  readonly unsure: boolean;
  /** The key of an award that is `unsure`, also if it was made inside. */
  readonly idempotencyKey: string | undefined;

  constructor(code: ErrorCode | (string & {}), message: string, details: ErrorDetails = {}) {
    super(message);
    this.code = code;
    this.status = details.status ?? 0;
    this.fields = details.fields ?? [];
    this.metadata = details.metadata ?? {};
    this.retryAfterSeconds = details.retryAfterSeconds;
    this.requestId = details.requestId;
    this.unsure = details.unsure ?? false;
    this.idempotencyKey = details.idempotencyKey;
  }
}
