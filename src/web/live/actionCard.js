// The card of an action: its points, its progress, why it failed, and when it can be played again.

import { describeAction, describeLimit, nameOf } from './labels.js';

const noLimit = () => ({ text: '', until: 0 });

export class ActionCard {
  element = document.createElement('li');
  button = document.createElement('button');
  isRunning = false;
  #status = document.createElement('p');
  #bar = document.createElement('progress');
  #timer = 0;
  #needsLogin = false;
  /** The last error: its text, when it ends (`performance.now()`), and whether it is over once the server responds again. */
  #problem = null;
  /** The action's own limit. */
  #limit = noLimit();

  constructor(action, play) {
    this.action = action;
    this.name = nameOf(action.actionType);
    const title = document.createElement('h3');
    title.textContent = this.name;
    this.element.className = 'action';
    this.#status.className = 'status';
    this.#bar.setAttribute('aria-label', `${this.name}: progress`);
    this.button.type = 'button';
    this.button.addEventListener('click', () => {
      if (this.button.ariaDisabled !== 'true') play(this);
    });
    this.element.append(title, this.#status, this.button, this.#bar);
    this.finish();
  }

  /** The text below the name. */
  get status() {
    return this.#status.textContent;
  }

  start() {
    this.isRunning = true;
    this.#problem = null;
    this.#draw();
  }

  /** Ends a run without an error. */
  finish() {
    this.isRunning = false;
    this.#problem = null;
    this.#draw();
  }

  /** Ends a run with an error, and counts down until the action may be played again. */
  fail(text, waitMs, isTransient) {
    this.isRunning = false;
    this.#problem = { text, until: performance.now() + waitMs, isTransient };
    this.#draw();
  }

  /** Drops an error that is over once the server responds again. */
  clearTransientProblem() {
    if (this.#problem?.isTransient !== true) return;
    this.#problem = null;
    this.#draw();
  }

  /** Drops what belongs to the player who logged out. */
  reset() {
    this.#limit = noLimit();
    this.finish();
  }

  setNeedsLogin(needsLogin) {
    this.#needsLogin = needsLogin;
    this.#draw();
  }

  /** Shows the part that is done, from 0 to 1. */
  showProgress(part) {
    this.#bar.hidden = false;
    this.#bar.value = Math.min(1, part);
  }

  /** Shows the progress of a wait. */
  showWait(ms) {
    const start = performance.now();
    clearInterval(this.#timer);
    this.#timer = setInterval(() => this.showProgress((performance.now() - start) / ms), 60);
  }

  /** Sets the action's own limit. A limit only ends with time, so an older response cannot shorten it. */
  setLimit(ms) {
    const until = performance.now() + ms;
    if (ms <= 0 || until <= this.#limit.until) return;
    this.#limit = { text: describeLimit(this.action, ms), until };
    if (!this.isRunning) this.#draw();
  }

  #draw() {
    clearInterval(this.#timer);
    this.#bar.hidden = true;
    this.button.classList.toggle('primary', !this.#needsLogin);
    if (this.isRunning) {
      this.#setStatus(describeAction(this.action), false);
      return this.#setButton('…', `${this.name} in progress`, true);
    }
    const now = performance.now();
    const until = Math.max(this.#limit.until, this.#problem?.until ?? 0);
    if (this.#limit.until > now) this.#setStatus(this.#limit.text, false);
    else this.#setStatus(this.#problem?.text ?? describeAction(this.action), this.#problem !== null);
    if (until <= now) {
      const points = `+${this.action.points.toLocaleString('en')}`;
      const [text, label] = this.action.points > 0 ? [points, `${points} points`] : ['Play', 'Play'];
      const login = this.#needsLogin ? ', after you log in' : '';
      return this.#setButton(text, `${label}: ${this.name}${login}`, false);
    }
    const tick = () => {
      const seconds = Math.ceil((until - performance.now()) / 1000);
      const wait = durationOf(seconds);
      if (seconds <= 0) this.finish();
      else this.#setButton(wait, `${wait} until you can play ${this.name} again`, true);
    };
    tick();
    this.#timer = setInterval(tick, 500);
  }

  #setStatus(text, isProblem) {
    this.#status.textContent = text;
    this.#status.classList.toggle('bad', isProblem);
  }

  #setButton(text, label, isDisabled) {
    this.button.textContent = text;
    this.button.setAttribute('aria-label', label);
    // A button with `disabled` would lose the focus.
    this.button.ariaDisabled = isDisabled;
  }
}

function durationOf(seconds) {
  if (seconds < 100) return `${seconds} s`;
  return seconds < 6000 ? `${Math.ceil(seconds / 60)} min` : `${Math.ceil(seconds / 3600)} h`;
}
