// The actions API: start, prove, finalize.
import { LaurelError } from './errors.js';
import { newKey } from './keys.js';
import { payload } from './login.js';
import { solveHashcash } from './proofs.js';
import { pause } from './retry.js';
export class Actions {
    rest;
    login;
    #catalogue = null;
    constructor(rest, login) {
        this.rest = rest;
        this.login = login;
    }
    async list({ signal } = {}) {
        const { actions } = await this.rest.bare('GET', '/api/v1/actions', { signal });
        this.#catalogue = actions;
        return actions;
    }
    /** An action as the catalogue has it, which is asked again for one that was not there before. */
    async find(type, options = {}) {
        const named = (it) => it.actionType === type;
        const action = this.#catalogue?.find(named) ?? (await this.list(options)).find(named);
        if (action === undefined)
            throw new LaurelError('INVALID_ACTION', 'the catalogue has no such action');
        return action;
    }
    /** A token that is never redeemed costs nobody anything, so a lost answer may be asked for again. */
    init(actionType, { signal } = {}) {
        return this.rest.bare('POST', '/api/v1/actions/init', { body: { actionType }, repeatable: true, signal });
    }
    finalize(antiSpamToken, proof, options = {}) {
        return this.#award('/api/v1/actions/finalize', { antiSpamToken, ...(proof && { proof }) }, options);
    }
    actionToken(request, { idempotencyKey = newKey(), signal } = {}) {
        return this.rest.bare('POST', '/api/v1/action-tokens', { body: { ...request }, idempotencyKey, signal });
    }
    redeem(actionToken, options = {}) {
        const { sessionId } = options;
        return this.#award('/api/v1/scores', { actionToken, ...(sessionId && { sessionId }) }, options);
    }
    async play(type, { prove, signal } = {}) {
        const login = this.login.token;
        const action = await this.find(type, { signal });
        this.login.stillOf(login);
        const started = await this.init(type, { signal });
        const mayEnd = performance.now() + leastWaitMs(started);
        const proof = await complete(action, started, prove, signal);
        const wait = mayEnd - performance.now();
        if (wait > 0)
            await pause(wait, signal);
        // A token that comes with another user's login marks that user as a suspect.
        this.login.stillOf(login);
        return this.finalize(started.antiSpamToken, proof, { signal });
    }
    async #award(path, body, options) {
        const token = this.login.token;
        const idempotencyKey = options.idempotencyKey ?? newKey();
        const award = await this.rest.bare('POST', path, { body, idempotencyKey, signal: options.signal });
        this.login.learn(token, { score: award.newScore });
        return award;
    }
}
/** How long an `elapsed` action has to wait from now on. Both ends are by the server's clock: ours may be wrong. */
function leastWaitMs({ antiSpamToken, challenge }) {
    if (challenge?.notBefore === undefined)
        return 0;
    const issued = payload(antiSpamToken)?.['iat'];
    return typeof issued === 'number' ? Date.parse(challenge.notBefore) - issued * 1000 : 0;
}
/** What was proven, and what can be proven without anybody. A proof that lacks something is not sent: it would spend the token. */
async function complete(action, started, prove, signal) {
    const challenge = started.challenge ?? {};
    let proof = prove ? await prove(challenge, action, started) : null;
    const { prefix, bits } = challenge;
    if (prefix !== undefined && bits !== undefined && proof?.['nonce'] === undefined) {
        proof = { ...proof, ...(await solveHashcash({ prefix, bits }, { signal })) };
    }
    const missing = (action.checks.includes('quiz') && proof?.['quizResult'] === undefined)
        || (action.checks.includes('signed') && proof?.['attestation'] === undefined)
        || (action.checks.includes('webhook') && proof === null);
    if (missing)
        throw new LaurelError('PROOF_MISSING', `${action.actionType} needs a proof: give \`prove\``);
    return proof;
}
