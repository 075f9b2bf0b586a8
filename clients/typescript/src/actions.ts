// The actions API (init, prove, finalize) and the verified-token API.

import { LaurelError } from './errors.js';
import { solveHashcash } from './hashcash.js';
import { payload, type Login } from './login.js';
import { newIdempotencyKey, type Rest } from './rest.js';
import { sleep } from './retry.js';
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
  readonly prove?:
    | ((challenge: Challenge, action: Action, started: StartedAction) => Proof | Promise<Proof>)
    | undefined;
}

/** A request for a verified token: an action, or the token of `init` if the proof has a challenge. */
export interface TokenRequest {
  readonly actionType?: string;
  readonly actionId?: number;
  readonly antiSpamToken?: string;
  readonly sessionId?: string;
  readonly proof?: Proof;
}

export class Actions {
  #catalogue: readonly Action[] | null = null;

  constructor(
    private readonly rest: Rest,
    private readonly login: Login,
  ) {}

  async list({ signal }: CallOptions = {}): Promise<readonly Action[]> {
    const { actions } = await this.rest.bare<{ actions: Action[] }>('GET', '/api/v1/actions', { signal });
    this.#catalogue = actions;
    return actions;
  }

  /** An action of the catalogue, which is loaded again if it does not have the action. */
  async find(type: string, options: CallOptions = {}): Promise<Action> {
    const hasType = (action: Action) => action.actionType === type;
    const action = this.#catalogue?.find(hasType) ?? (await this.list(options)).find(hasType);
    if (action === undefined) throw new LaurelError('INVALID_ACTION', 'the catalogue has no such action');
    return action;
  }

  /** A repeat is safe: a token that is never used costs nothing. */
  init(actionType: string, { signal }: CallOptions = {}): Promise<StartedAction> {
    return this.rest.bare('POST', '/api/v1/actions/init', { body: { actionType }, repeatable: true, signal });
  }

  finalize(antiSpamToken: string, proof?: Proof | null, options: AwardOptions = {}): Promise<Award> {
    return this.#award('/api/v1/actions/finalize', { antiSpamToken, ...(proof && { proof }) }, options);
  }

  actionToken(request: TokenRequest, options: AwardOptions = {}): Promise<ActionToken> {
    const { idempotencyKey = newIdempotencyKey(), signal } = options;
    return this.rest.bare('POST', '/api/v1/action-tokens', { body: { ...request }, idempotencyKey, signal });
  }

  redeem(actionToken: string, options: AwardOptions & { readonly sessionId?: string } = {}): Promise<Award> {
    const { sessionId } = options;
    return this.#award('/api/v1/scores', { actionToken, ...(sessionId && { sessionId }) }, options);
  }

  async play(type: string, { prove, signal }: PlayOptions = {}): Promise<Award> {
    const token = this.login.token;
    const action = await this.find(type, { signal });
    this.login.requireSameUser(token);
    const started = await this.init(type, { signal });
    const earliest = performance.now() + minWaitMs(started);
    const proof = await completeProof(action, started, prove, signal);
    const waitMs = earliest - performance.now();
    if (waitMs > 0) await sleep(waitMs, signal);
    // A token that is sent with another user's login makes that user a suspect.
    this.login.requireSameUser(token);
    return this.finalize(started.antiSpamToken, proof, { signal });
  }

  async #award(path: string, body: Record<string, unknown>, options: AwardOptions): Promise<Award> {
    const token = this.login.token;
    const { idempotencyKey = newIdempotencyKey(), signal } = options;
    const award = await this.rest.bare<Award>('POST', path, { body, idempotencyKey, signal });
    this.login.updateUser(token, { score: award.newScore });
    return award;
  }
}

/** The wait of an `elapsed` action, in ms. Both ends are on the server's clock, because this device's may be wrong. */
function minWaitMs({ antiSpamToken, challenge }: StartedAction): number {
  if (challenge?.notBefore === undefined) return 0;
  const issuedAt = payload(antiSpamToken)?.['iat'];
  return typeof issuedAt === 'number' ? Date.parse(challenge.notBefore) - issuedAt * 1000 : 0;
}

/** Calls `prove`, and solves `hashcash`. Throws if a proof is missing: sending an incomplete one would spend the token. */
async function completeProof(
  action: Action,
  started: StartedAction,
  prove: PlayOptions['prove'],
  signal?: AbortSignal,
): Promise<Proof | null> {
  const challenge = started.challenge ?? {};
  let proof: Proof | null = prove ? await prove(challenge, action, started) : null;
  const { prefix, bits } = challenge;
  if (prefix !== undefined && bits !== undefined && proof?.['nonce'] === undefined) {
    proof = { ...proof, ...(await solveHashcash({ prefix, bits }, { signal })) };
  }
  const isMissing = (action.checks.includes('quiz') && proof?.['quizResult'] === undefined)
    || (action.checks.includes('signed') && proof?.['attestation'] === undefined)
    || (action.checks.includes('webhook') && proof === null);
  if (isMissing) throw new LaurelError('PROOF_MISSING', `${action.actionType} needs a proof: pass \`prove\``);
  return proof;
}
