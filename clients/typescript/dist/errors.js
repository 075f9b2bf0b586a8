// What can go wrong. Nothing here may ever hold a token: errors end up in logs.
/** Every failure of a call, but for an `AbortSignal`'s own reason. */
export class LaurelError extends Error {
    name = 'LaurelError';
    /** One of `ErrorCode`; a newer server may have others. */
    code;
    /** The HTTP status; 0 if there was no answer. */
    status;
    /** What was wrong with which field, for `VALIDATION_ERROR`. */
    fields;
    /** How to get it right; a newer server may say more. */
    metadata;
    /** When it may be worth another try. */
    retryAfterSeconds;
    /** The request's id in the server's logs. */
    requestId;
    /**
     * Of an award: a try of it ended without Laurel's own word, so it may have counted, whatever `code` says of the last
     * one. Only the same request with the same `idempotencyKey` gets it without counting twice.
     */
    unsure;
    /** The key of an award that is `unsure`, also if it was made inside. */
    idempotencyKey;
    constructor(code, message, details = {}) {
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
