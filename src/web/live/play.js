// The actions that a page can play: a card each, which shows what it does and what came of it.

import { say } from './say.js';
import { nameOf, aboutOf, problemOf } from './words.js';
import { ask, GaveUp } from './quiz.js';
import { solve } from './solver.js';

/** What can be proven here; attestations and webhooks are a game server's. */
const PLAYABLE = new Set(['elapsed', 'quiz', 'hashcash']);
const RELOAD_MS = 5_000;

export class Actions {
  #list = document.getElementById('actions');
  #cards = [];
  #login = new AbortController();

  /** `won(award, points, from)` hears of points, `needsLogin()` of somebody without a login. */
  constructor(laurel, { won, needsLogin }) {
    Object.assign(this, { laurel, won, needsLogin });
  }

  async load() {
    try {
      const all = await this.laurel.actions();
      const open = all.filter(({ doors, checks }) => doors.includes('actions') && checks.every((it) => PLAYABLE.has(it)));
      this.#cards = open.map((action) => new Card(action, (card) => this.#play(card)));
      this.#list.replaceChildren(...this.#cards.map((it) => it.element));
    } catch {
      setTimeout(() => this.load(), RELOAD_MS);
    }
  }

  /** Another login, or none: what is under way was its player's alone, and so were the limits. */
  leave() {
    this.#login.abort();
    this.#login = new AbortController();
    for (const card of this.#cards) card.rest();
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
      this.won(award, points, card.button);
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
    if (error instanceof GaveUp) return card.rest();
    const wait = error.retryAfterSeconds ?? 0;
    const text = problemOf(error);
    say(text);
    // A player's own pace stops every action that is not under way; an action's limit stops that one.
    const stopped = error.code === 'RATE_LIMIT_EXCEEDED' ? this.#cards.filter((it) => it === card || !it.running) : [card];
    for (const it of stopped) it.stop(text, wait);
  }
}

class Card {
  element = document.createElement('li');
  button = document.createElement('button');
  running = false;
  #about = document.createElement('p');
  #bar = document.createElement('progress');
  #clock = 0;

  constructor(action, play) {
    this.action = action;
    const name = document.createElement('h3');
    name.textContent = nameOf(action.actionType);
    this.element.className = 'action';
    this.#about.className = 'about';
    this.#bar.hidden = true;
    this.#bar.setAttribute('aria-label', `${name.textContent}: progress`);
    this.button.type = 'button';
    this.button.className = 'primary';
    this.button.addEventListener('click', () => {
      if (this.button.ariaDisabled !== 'true') play(this);
    });
    this.element.append(name, this.#about, this.button, this.#bar);
    this.rest();
  }

  /** Ready to be played. */
  rest() {
    this.running = false;
    clearInterval(this.#clock);
    this.#tell(aboutOf(this.action), false);
    this.#label(`+${this.action.points}`, `${nameOf(this.action.actionType)}, for ${this.action.points} points`, false);
    this.#bar.hidden = true;
  }

  run() {
    this.running = true;
    this.#tell(aboutOf(this.action), false);
    this.#label('…', `${nameOf(this.action.actionType)} is under way`, true);
  }

  /** How much is done, from 0 to 1. */
  progress(part) {
    this.#bar.hidden = false;
    this.#bar.value = Math.min(1, part);
  }

  /** The server wants some time to pass. */
  wait(ms) {
    const began = performance.now();
    clearInterval(this.#clock);
    this.#clock = setInterval(() => this.progress((performance.now() - began) / ms), 60);
  }

  /** Says what is wrong, and counts down to when it may be tried again. */
  stop(text, seconds) {
    this.running = false;
    clearInterval(this.#clock);
    this.#bar.hidden = true;
    this.#tell(text, true);
    if (seconds === 0) return this.#label(`+${this.action.points}`, `Try again, for ${this.action.points} points`, false);
    const until = performance.now() + seconds * 1000;
    const tick = () => {
      const left = Math.ceil((until - performance.now()) / 1000);
      if (left <= 0) this.rest();
      else this.#label(inWords(left), `Can be played again in ${inWords(left)}`, true);
    };
    tick();
    this.#clock = setInterval(tick, 500);
  }

  #tell(text, bad) {
    this.#about.textContent = text;
    this.#about.classList.toggle('bad', bad);
  }

  #label(text, spoken, busy) {
    this.button.textContent = text;
    this.button.setAttribute('aria-label', spoken);
    // A disabled button would lose the focus of whoever pressed it.
    this.button.ariaDisabled = busy;
  }
}

function inWords(seconds) {
  if (seconds < 100) return `${seconds} s`;
  return seconds < 6000 ? `${Math.ceil(seconds / 60)} min` : `${Math.ceil(seconds / 3600)} h`;
}
