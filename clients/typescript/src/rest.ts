// HTTP requests: login, idempotency key, timeout, retries, and responses with or without an envelope.

import { LaurelError, type FieldProblem } from './errors.js';
import type { Login } from './login.js';
import { withRetries, type RetryPolicy } from './retry.js';

/** Options of a request. */
export interface RequestOptions {
  readonly body?: Readonly<Record<string, unknown>>;
  readonly headers?: Readonly<Record<string, string>>;
  /** Makes a request safe to repeat: the server returns the first response again. */
  readonly idempotencyKey?: string;
  /** A POST that is safe to repeat without a key. */
  readonly repeatable?: boolean;
  /** Never retried. */
  readonly once?: boolean;
  /** Overrides the client's timeout. */
  readonly timeoutMs?: number;
  readonly signal?: AbortSignal | undefined;
}

/** A successful response, or 304. */
export interface HttpResponse {
  readonly status: number;
  readonly headers: Headers;
  readonly body: unknown;
}

const KEY = /^[\x21-\x7e]{1,64}$/;

/** A random idempotency key of 128 bits. Browsers offer `randomUUID` to pages with TLS only. */
export function newIdempotencyKey(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
}

export class Rest {
  constructor(
    private readonly url: string,
    private readonly fetch: typeof globalThis.fetch,
    private readonly login: Login,
    private readonly policy: RetryPolicy,
    private readonly timeoutMs: number,
  ) {}

  /** The body of a response of `/api/v1`, which has no envelope. */
  async bare<T>(method: 'GET' | 'POST', path: string, options: RequestOptions = {}): Promise<T> {
    return (await this.request(method, path, options)).body as T;
  }

  /** The `data` of a response of `/api`, which has an envelope. */
  async enveloped<T>(method: 'GET' | 'POST', path: string, options: RequestOptions = {}): Promise<T> {
    return ((await this.request(method, path, options)).body as { data: T }).data;
  }

  /** Sends a request, and retries it if that is safe. */
  async request(method: 'GET' | 'POST', path: string, options: RequestOptions = {}): Promise<HttpResponse> {
    const { idempotencyKey, signal } = options;
    if (idempotencyKey !== undefined && !KEY.test(idempotencyKey)) {
      throw new TypeError('an idempotency key has 1 to 64 visible ASCII characters');
    }
    // All attempts use the same login: another user's must not repeat this user's request.
    const token = this.login.token;
    const send = () => this.#send(method, path, options, token);
    const isSafe = method === 'GET' || idempotencyKey !== undefined || options.repeatable === true;
    return isSafe && options.once !== true ? withRetries(send, this.policy, signal, idempotencyKey) : send();
  }

  async #send(method: string, path: string, options: RequestOptions, token: string | null): Promise<HttpResponse> {
    const { body, idempotencyKey, signal } = options;
    signal?.throwIfAborted();
    const headers: Record<string, string> = { accept: 'application/json', ...options.headers };
    if (token !== null) headers['authorization'] = `Bearer ${token}`;
    if (idempotencyKey !== undefined) headers['idempotency-key'] = idempotencyKey;
    const request: RequestInit = { method, headers };
    if (body !== undefined) {
      headers['content-type'] = 'application/json';
      request.body = JSON.stringify(body);
    }
    const abort = new AbortController();
    const timer = setTimeout(() => abort.abort(), options.timeoutMs ?? this.timeoutMs);
    const onAbort = () => abort.abort();
    signal?.addEventListener('abort', onAbort, { once: true });
    try {
      const response = await this.fetch(this.url + path, { ...request, signal: abort.signal });
      return checked(response, await response.text());
    } catch (error) {
      if (error instanceof LaurelError) throw error;
      signal?.throwIfAborted();
      throw new LaurelError('NETWORK', `${method} ${path} got no response`);
    } finally {
      clearTimeout(timer);
      signal?.removeEventListener('abort', onAbort);
    }
  }
}

function checked({ ok, status, headers }: Response, text: string): HttpResponse {
  const body = status === 304 ? null : parseJson(text);
  if (status === 304 || (ok && typeof body === 'object' && body !== null)) return { status, headers, body };
  throw errorOf(status, headers, body);
}

/** The error of a response. */
export function errorOf(status: number, headers: Headers, body: unknown): LaurelError {
  const { message, metadata } = (body ?? {}) as { message?: unknown; metadata?: Record<string, unknown> | null };
  const code = metadata?.['errorCode'];
  const fields = metadata?.['fields'];
  const details = {
    status,
    retryAfterSeconds: retryAfter(headers),
    requestId: headers.get('x-request-id') ?? undefined,
    fields: Array.isArray(fields) ? (fields as FieldProblem[]) : [],
    metadata: metadata ?? {},
  };
  return typeof code === 'string' && typeof message === 'string'
    ? new LaurelError(code, message, details)
    : new LaurelError('UNREADABLE', `a response with status ${status} that is not Laurel's`, details);
}

/** `Retry-After` in seconds. Laurel never sends the form with a date. */
function retryAfter(headers: Headers): number | undefined {
  const value = headers.get('retry-after');
  return value !== null && /^\d{1,9}$/.test(value) ? Number(value) : undefined;
}

/** Parses JSON. Returns null for anything else. */
export function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}
