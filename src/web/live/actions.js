// The actions that can be played on this page, with a card for each.

import { ActionCard } from './actionCard.js';
import { announce } from './announce.js';
import { solve } from './hashcash.js';
import { problemOf } from './labels.js';
import { ask, NoAnswer } from './quiz.js';

/** Proofs that a browser can give. Attestations and webhooks need a game server. */
const PLAYABLE = new Set(['elapsed', 'quiz', 'hashcash']);
/** Errors that are over once the server responds again. */
const TRANSIENT = new Set(['NETWORK', 'SERVICE_UNAVAILABLE', 'INTERNAL_ERROR', 'UNREADABLE']);
const RELOAD_MS = 5_000;

export class Actions {
  #list = document.getElementById('actions');
  #hint = document.getElementById('play-hint');
  /** Null until the catalogue is loaded. */
  #cards = null;
  /** Aborted when the login changes. */
  #login = new AbortController();

  /** Calls `onAward(award, points, from)` for each award, and `onLoginNeeded()` if an action is played without a login. */
  constructor(laurel, { onAward, onLoginNeeded }) {
    Object.assign(this, { laurel, onAward, onLoginNeeded });
  }

  async load() {
    const { signal } = this.#login;
    try {
      const catalogue = await this.laurel.actions();
      const playable = catalogue.filter(({ flows, checks }) => flows.includes('actions') && checks.every((check) => PLAYABLE.has(check)));
      this.#cards = playable.map((action) => new ActionCard(action, (card) => this.#play(card)));
      this.#list.replaceChildren(...this.#cards.map((card) => card.element));
      this.#showLogin();
      if (!signal.aborted) this.#applyLimits(catalogue);
    } catch {
      setTimeout(() => this.load(), RELOAD_MS);
    }
  }

  /** The login changed: running actions and limits belonged to the player before. */
  onLoginChange() {
    this.#login.abort();
    this.#login = new AbortController();
    for (const card of this.#cards ?? []) card.reset();
    this.#showLogin();
    if (this.laurel.token !== null) void this.#loadLimits();
  }

  /** The server responds again. */
  onReachable() {
    for (const card of this.#cards ?? []) card.clearTransientProblem();
  }

  #showLogin() {
    if (this.#cards === null) return;
    const needsLogin = this.laurel.token === null;
    this.#hint.hidden = this.#cards.length > 0 && !needsLogin;
    this.#hint.textContent = this.#cards.length === 0 ? 'Play the game to earn points.' : 'Sign up or log in first.';
    for (const card of this.#cards) card.setNeedsLogin(needsLogin);
  }

  /** Loads the limits that the player has reached. */
  async #loadLimits() {
    const { signal } = this.#login;
    const catalogue = await this.laurel.actions({ signal }).catch(() => []);
    if (!signal.aborted) this.#applyLimits(catalogue);
  }

  #applyLimits(catalogue) {
    const waits = new Map(catalogue.map((action) => [action.actionType, action.availableInMs ?? 0]));
    for (const card of this.#cards ?? []) card.setLimit(waits.get(card.action.actionType) ?? 0);
  }

  async #play(card) {
    if (this.laurel.token === null) return this.onLoginNeeded();
    const { action } = card;
    const { signal } = this.#login;
    card.start();
    try {
      const before = this.laurel.user?.score ?? 0;
      const prove = (challenge, _action, started) => this.#prove(card, signal, challenge, started);
      const award = await this.laurel.play(action.actionType, { signal, prove });
      if (signal.aborted) return;
      // A quiz question's difficulty changes its points. They follow from the scores, if the score before is known.
      const points = before > 0 && action.checks.includes('quiz') ? award.newScore - before : action.points;
      card.finish();
      this.onReachable();
      this.onAward(award, points, card.button);
      const { cooldownMs, capPerHour, capPerDay } = action.limits;
      if (cooldownMs + capPerHour + capPerDay > 0) void this.#loadLimits();
    } catch (error) {
      if (!signal.aborted) this.#fail(card, error);
    }
  }

  async #prove(card, signal, challenge, started) {
    const proof = {};
    if (challenge.notBefore !== undefined) card.showWait(Date.parse(challenge.notBefore) - Date.now());
    if (challenge.question !== undefined) proof.quizResult = await ask(challenge, started.expiresIn, signal);
    if (challenge.prefix !== undefined) Object.assign(proof, await solve(challenge, (part) => card.showProgress(part), signal));
    return proof;
  }

  #fail(card, error) {
    const waitMs = (error.retryAfterSeconds ?? 0) * 1000;
    if (error.code === 'ACTION_LIMIT_REACHED' && waitMs > 0) {
      card.finish();
      card.setLimit(waitMs);
      return announce(card.status);
    }
    const text = error instanceof NoAnswer ? error.message : problemOf(error);
    announce(text);
    const isTransient = error.unsure === true || TRANSIENT.has(error.code);
    // A rate limit applies to all actions. Those that run may still succeed.
    const stopped = error.code === 'RATE_LIMIT_EXCEEDED' ? this.#cards.filter((other) => other === card || !other.isRunning) : [card];
    for (const stoppedCard of stopped) stoppedCard.fail(text, waitMs, isTransient);
  }
}
