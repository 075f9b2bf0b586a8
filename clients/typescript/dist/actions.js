// The actions API (init, prove, finalize) and the verified-token API.
import { LaurelError } from './errors.js';
import { solveHashcash } from './hashcash.js';
import { payload } from './login.js';
import { newIdempotencyKey } from './rest.js';
import { sleep } from './retry.js';
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
    /** An action of the catalogue, which is loaded again if it does not have the action. */
    async find(type, options = {}) {
        const hasType = (action) => action.actionType === type;
        const action = this.#catalogue?.find(hasType) ?? (await this.list(options)).find(hasType);
        if (action === undefined)
            throw new LaurelError('INVALID_ACTION', 'the catalogue has no such action');
        return action;
    }
    /** A repeat is safe: a token that is never used costs nothing. */
    init(actionType, { signal } = {}) {
        return this.rest.bare('POST', '/api/v1/actions/init', { body: { actionType }, repeatable: true, signal });
    }
    finalize(antiSpamToken, proof, options = {}) {
        return this.#award('/api/v1/actions/finalize', { antiSpamToken, ...(proof && { proof }) }, options);
    }
    actionToken(request, options = {}) {
        const { idempotencyKey = newIdempotencyKey(), signal } = options;
        return this.rest.bare('POST', '/api/v1/action-tokens', { body: { ...request }, idempotencyKey, signal });
    }
    redeem(actionToken, options = {}) {
        const { sessionId } = options;
        return this.#award('/api/v1/scores', { actionToken, ...(sessionId && { sessionId }) }, options);
    }
    async play(type, { prove, signal } = {}) {
        const token = this.login.token;
        const action = await this.find(type, { signal });
        this.login.requireSameUser(token);
        const started = await this.init(type, { signal });
        const earliest = performance.now() + minWaitMs(started);
        const proof = await completeProof(action, started, prove, signal);
        const waitMs = earliest - performance.now();
        if (waitMs > 0)
            await sleep(waitMs, signal);
        // A token that is sent with another user's login makes that user a suspect.
        this.login.requireSameUser(token);
        return this.finalize(started.antiSpamToken, proof, { signal });
    }
    async #award(path, body, options) {
        const token = this.login.token;
        const { idempotencyKey = newIdempotencyKey(), signal } = options;
        const award = await this.rest.bare('POST', path, { body, idempotencyKey, signal });
        this.login.updateUser(token, { score: award.newScore });
        return award;
    }
}
/** The wait of an `elapsed` action, in ms. Both ends are on the server's clock, because this device's may be wrong. */
function minWaitMs({ antiSpamToken, challenge }) {
    if (challenge?.notBefore === undefined)
        return 0;
    const issuedAt = payload(antiSpamToken)?.['iat'];
    return typeof issuedAt === 'number' ? Date.parse(challenge.notBefore) - issuedAt * 1000 : 0;
}
/** Calls `prove`, and solves `hashcash`. Throws if a proof is missing: sending an incomplete one would spend the token. */
async function completeProof(action, started, prove, signal) {
    const challenge = started.challenge ?? {};
    let proof = prove ? await prove(challenge, action, started) : null;
    const { prefix, bits } = challenge;
    if (prefix !== undefined && bits !== undefined && proof?.['nonce'] === undefined) {
        proof = { ...proof, ...(await solveHashcash({ prefix, bits }, { signal })) };
    }
    const isMissing = (action.checks.includes('quiz') && proof?.['quizResult'] === undefined)
        || (action.checks.includes('signed') && proof?.['attestation'] === undefined)
        || (action.checks.includes('webhook') && proof === null);
    if (isMissing)
        throw new LaurelError('PROOF_MISSING', `${action.actionType} needs a proof: pass \`prove\``);
    return proof;
}
