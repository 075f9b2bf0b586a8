// Errors. They must never contain a token, because errors end up in logs.
/** The error of every failed call, except for the reason of an aborted `AbortSignal`. */
export class LaurelError extends Error {
    name = 'LaurelError';
    /** One of `ErrorCode`. A newer server may send others. */
    code;
    /** HTTP status. 0 without a response. */
    status;
    /** Invalid fields, for `VALIDATION_ERROR`. */
    fields;
    /** How to fix the request. A newer server may send more. */
    metadata;
    /** Seconds until a retry may succeed. */
    retryAfterSeconds;
    /** Id of the request in the server's logs. */
    requestId;
    /**
     * The award may have counted, whatever `code` says about the last attempt, because an attempt got no response from Laurel. Repeat the
     * same request with `idempotencyKey`: it cannot count twice.
     */
    unsure;
    /** The key of an award that is `unsure`, also if the client generated it. */
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
