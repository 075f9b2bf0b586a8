// An action's card: what it is worth, how far it is, why it failed, and when it can be played again.

import { aboutOf, limitOf, nameOf } from './words.js';

export class Card {
  element = document.createElement('li');
  button = document.createElement('button');
  running = false;
  #about = document.createElement('p');
  #bar = document.createElement('progress');
  #clock = 0;
  #locked = false;
  /** What went wrong the last time, until when that stops the player, and whether it passes once the server answers. */
  #problem = null;
  /** The action's own limit. */
  #limit = { text: '', until: 0 };

  constructor(action, play) {
    this.action = action;
    this.name = nameOf(action.actionType);
    const title = document.createElement('h3');
    title.textContent = this.name;
    this.element.className = 'action';
    this.#about.className = 'about';
    this.#bar.setAttribute('aria-label', `${this.name}: progress`);
    this.button.type = 'button';
    this.button.addEventListener('click', () => {
      if (this.button.ariaDisabled !== 'true') play(this);
    });
    this.element.append(title, this.#about, this.button, this.#bar);
    this.rest();
  }

  /** What it says of itself. */
  get about() {
    return this.#about.textContent;
  }

  /** Ready to be played, as far as its limits let it. */
  rest() {
    this.running = false;
    this.#problem = null;
    this.#draw();
  }

  /** Another player's card from now on. */
  reset() {
    this.#limit = { text: '', until: 0 };
    this.rest();
  }

  needsLogin(locked) {
    this.#locked = locked;
    this.#draw();
  }

  run() {
    this.running = true;
    this.#problem = null;
    this.#draw();
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
  stop(text, waitMs, passing) {
    this.running = false;
    this.#problem = { text, until: performance.now() + waitMs, passing };
    this.#draw();
  }

  /** Drops what is wrong no more. */
  forget() {
    if (this.#problem?.passing !== true) return;
    this.#problem = null;
    this.#draw();
  }

  /** The action's own limit; it ends by itself alone, so an older answer cannot take it back. */
  limit(ms) {
    const until = performance.now() + ms;
    if (ms <= 0 || until <= this.#limit.until) return;
    this.#limit = { text: limitOf(this.action, ms), until };
    if (!this.running) this.#draw();
  }

  #draw() {
    clearInterval(this.#clock);
    this.#bar.hidden = true;
    const { points } = this.action;
    this.button.classList.toggle('primary', !this.#locked);
    if (this.running) {
      this.#tell(aboutOf(this.action), false);
      return this.#label('…', `${this.name} is under way`, true);
    }
    const now = performance.now();
    const until = Math.max(this.#limit.until, this.#problem?.until ?? 0);
    if (this.#limit.until > now) this.#tell(this.#limit.text, false);
    else this.#tell(this.#problem?.text ?? aboutOf(this.action), this.#problem !== null);
    if (until <= now) {
      const first = this.#locked ? ', after you log in' : '';
      return this.#label(`+${points.toLocaleString('en')}`, `+${points.toLocaleString('en')} points: ${this.name}${first}`, false);
    }
    const tick = () => {
      const left = Math.ceil((until - performance.now()) / 1000);
      if (left <= 0) this.rest();
      else this.#label(inWords(left), `${inWords(left)} until ${this.name} can be played again`, true);
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
