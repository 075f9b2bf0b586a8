// The actions that a page can play: a card each, which shows what it does and what came of it.

import { say } from './say.js';
import { Card } from './card.js';
import { problemOf } from './words.js';
import { ask, NoAnswer } from './quiz.js';
import { solve } from './solver.js';

/** What can be proven here; attestations and webhooks are a game server's. */
const PLAYABLE = new Set(['elapsed', 'quiz', 'hashcash']);
/** Refusals that say nothing once the server answers again. */
const PASSING = new Set(['NETWORK', 'SERVICE_UNAVAILABLE', 'INTERNAL_ERROR', 'UNREADABLE']);
const RELOAD_MS = 5_000;

export class Actions {
  #list = document.getElementById('actions');
  #about = document.getElementById('play-about');
  /** Null until the catalogue is there. */
  #cards = null;
  #login = new AbortController();

  /** `won(award, points, from)` hears of points, `needsLogin()` of somebody without a login. */
  constructor(laurel, { won, needsLogin }) {
    Object.assign(this, { laurel, won, needsLogin });
  }

  async load() {
    const { signal } = this.#login;
    try {
      const all = await this.laurel.actions();
      const open = all.filter(({ flows, checks }) => flows.includes('actions') && checks.every((it) => PLAYABLE.has(it)));
      this.#cards = open.map((action) => new Card(action, (card) => this.#play(card)));
      this.#list.replaceChildren(...this.#cards.map((it) => it.element));
      this.#showLogin();
      if (!signal.aborted) this.#limit(all);
    } catch {
      setTimeout(() => this.load(), RELOAD_MS);
    }
  }

  /** Another login, or none: what is under way was its player's alone, and so were the limits. */
  changeLogin() {
    this.#login.abort();
    this.#login = new AbortController();
    for (const card of this.#cards ?? []) card.reset();
    this.#showLogin();
    if (this.laurel.token !== null) void this.#learnLimits();
  }

  /** The server answers: what it could not do before may work now. */
  reachable() {
    for (const card of this.#cards ?? []) card.forget();
  }

  #showLogin() {
    if (this.#cards === null) return;
    const needsLogin = this.laurel.token === null;
    this.#about.hidden = this.#cards.length > 0 && !needsLogin;
    this.#about.textContent = this.#cards.length === 0 ? 'Points are earned in the game.' : 'Log in or register first.';
    for (const card of this.#cards) card.needsLogin(needsLogin);
  }

  /** Asks which limits the player has reached. */
  async #learnLimits() {
    const { signal } = this.#login;
    const all = await this.laurel.actions({ signal }).catch(() => []);
    if (!signal.aborted) this.#limit(all);
  }

  #limit(all) {
    const waits = new Map(all.map((it) => [it.actionType, it.availableInMs ?? 0]));
    for (const card of this.#cards ?? []) card.limit(waits.get(card.action.actionType) ?? 0);
  }

  async #play(card) {
    if (this.laurel.token === null) return this.needsLogin();
    const { action } = card;
    const { signal } = this.#login;
    card.run();
    try {
      const before = this.laurel.user?.score ?? 0;
      const award = await this.laurel.play(action.actionType, { signal, prove: (...given) => this.#prove(card, signal, ...given) });
      if (signal.aborted) return;
      // What a difficulty made of the points the total tells, if it is known.
      const points = before > 0 && action.checks.includes('quiz') ? award.newScore - before : action.points;
      card.rest();
      this.reachable();
      this.won(award, points, card.button);
      const { cooldownMs, capPerHour, capPerDay } = action.limits;
      if (cooldownMs + capPerHour + capPerDay > 0) void this.#learnLimits();
    } catch (error) {
      if (!signal.aborted) this.#failed(card, error);
    }
  }

  async #prove(card, signal, challenge, _action, started) {
    const proof = {};
    if (challenge.notBefore !== undefined) card.wait(Date.parse(challenge.notBefore) - Date.now());
    if (challenge.question !== undefined) proof.quizResult = await ask(challenge, started.expiresIn, signal);
    if (challenge.prefix !== undefined) Object.assign(proof, await solve(challenge, (part) => card.progress(part), signal));
    return proof;
  }

  #failed(card, error) {
    const waitMs = (error.retryAfterSeconds ?? 0) * 1000;
    if (error.code === 'ACTION_LIMIT_REACHED' && waitMs > 0) {
      card.rest();
      card.limit(waitMs);
      return say(card.about);
    }
    const text = error instanceof NoAnswer ? error.message : problemOf(error);
    say(text);
    const passing = error.unsure === true || PASSING.has(error.code);
    // A player's own pace stops every action that is not under way.
    const stopped = error.code === 'RATE_LIMIT_EXCEEDED' ? this.#cards.filter((it) => it === card || !it.running) : [card];
    for (const it of stopped) it.stop(text, waitMs, passing);
  }
}
