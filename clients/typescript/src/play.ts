// The actions API: start, prove, finalize.

import { LaurelError } from './errors.js';
import { newKey } from './keys.js';
import { payload, type Login } from './login.js';
import { solveHashcash } from './proofs.js';
import type { Rest } from './rest.js';
import { pause } from './retry.js';
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

  /** An action as the catalogue has it, which is asked again for one that was not there before. */
  async find(type: string, options: CallOptions = {}): Promise<Action> {
    const named = (it: Action) => it.actionType === type;
    const action = this.#catalogue?.find(named) ?? (await this.list(options)).find(named);
    if (action === undefined) throw new LaurelError('INVALID_ACTION', 'the catalogue has no such action');
    return action;
  }

  /** A token that is never redeemed costs nobody anything, so a lost answer may be asked for again. */
  init(actionType: string, { signal }: CallOptions = {}): Promise<Started> {
    return this.rest.bare('POST', '/api/v1/actions/init', { body: { actionType }, repeatable: true, signal });
  }

  finalize(antiSpamToken: string, proof?: Proof | null, options: AwardOptions = {}): Promise<Award> {
    return this.#award('/api/v1/actions/finalize', { antiSpamToken, ...(proof && { proof }) }, options);
  }

  actionToken(request: TokenRequest, { idempotencyKey = newKey(), signal }: AwardOptions = {}): Promise<ProvenToken> {
    return this.rest.bare('POST', '/api/v1/action-tokens', { body: { ...request }, idempotencyKey, signal });
  }

  redeem(actionToken: string, options: AwardOptions & { readonly sessionId?: string } = {}): Promise<Award> {
    const { sessionId } = options;
    return this.#award('/api/v1/scores', { actionToken, ...(sessionId && { sessionId }) }, options);
  }

  async play(type: string, { prove, signal }: PlayOptions = {}): Promise<Award> {
    const login = this.login.token;
    const action = await this.find(type, { signal });
    this.login.stillOf(login);
    const started = await this.init(type, { signal });
    const mayEnd = performance.now() + leastWaitMs(started);
    const proof = await complete(action, started, prove, signal);
    const wait = mayEnd - performance.now();
    if (wait > 0) await pause(wait, signal);
    // A token that comes with another user's login marks that user as a suspect.
    this.login.stillOf(login);
    return this.finalize(started.antiSpamToken, proof, { signal });
  }

  async #award(path: string, body: Record<string, unknown>, options: AwardOptions): Promise<Award> {
    const token = this.login.token;
    const idempotencyKey = options.idempotencyKey ?? newKey();
    const award = await this.rest.bare<Award>('POST', path, { body, idempotencyKey, signal: options.signal });
    this.login.learn(token, { score: award.newScore });
    return award;
  }
}

/** How long an `elapsed` action has to wait from now on. Both ends are by the server's clock: ours may be wrong. */
function leastWaitMs({ antiSpamToken, challenge }: Started): number {
  if (challenge?.notBefore === undefined) return 0;
  const issued = payload(antiSpamToken)?.['iat'];
  return typeof issued === 'number' ? Date.parse(challenge.notBefore) - issued * 1000 : 0;
}

/** What was proven, and what can be proven without anybody. A proof that lacks something is not sent: it would spend the token. */
async function complete(
  action: Action,
  started: Started,
  prove: PlayOptions['prove'],
  signal?: AbortSignal,
): Promise<Proof | null> {
  const challenge = started.challenge ?? {};
  let proof: Proof | null = prove ? await prove(challenge, action, started) : null;
  const { prefix, bits } = challenge;
  if (prefix !== undefined && bits !== undefined && proof?.['nonce'] === undefined) {
    proof = { ...proof, ...(await solveHashcash({ prefix, bits }, { signal })) };
  }
  const missing = (action.checks.includes('quiz') && proof?.['quizResult'] === undefined)
    || (action.checks.includes('signed') && proof?.['attestation'] === undefined)
    || (action.checks.includes('webhook') && proof === null);
  if (missing) throw new LaurelError('PROOF_MISSING', `${action.actionType} needs a proof: give \`prove\``);
  return proof;
}
