// One's own place: the newest total and rank, whichever way they came.

import { count, fly, write } from './motion.js';
import { say } from './say.js';

export class Mine {
  #card = document.getElementById('mine');
  #name = document.getElementById('mine-title');
  #score = document.getElementById('mine-score');
  #rank = document.getElementById('mine-rank');
  #news = document.getElementById('mine-news');
  #who = null;
  /** Moves with all that is shown, so that an older answer is known as one. */
  changes = 0;

  /** Whose place it is; nobody's is not shown. */
  show(user) {
    this.#card.hidden = user === null;
    if (user === null || user.username === this.#who) {
      if (user === null) this.#who = null;
      return;
    }
    this.#who = user.username;
    this.changes += 1;
    this.#name.textContent = user.username;
    delete this.#score.dataset.value;
    write(this.#score, '0');
    write(this.#rank, '–');
    this.#tell('Win points below: each counts the moment it is proven.', false);
  }

  /** What was read, which has no story. */
  stands({ score, rank }) {
    this.changes += 1;
    count(this.#score, score);
    write(this.#rank, rank === null ? '–' : `#${rank}`);
  }

  /** An award that was won here: the answer of its own request. */
  won({ newScore, rank }, points, from) {
    fly(`+${points}`, from, this.#score);
    // The live connection may have told of this one and of a newer one already.
    if (newScore >= Number(this.#score.dataset.value ?? 0)) this.stands({ score: newScore, rank });
    this.#tell(`+${points} points, to rank ${rank}.`, true);
  }

  /** An award that the live connection tells, perhaps won on another device. */
  heard({ score, rank, previousRank, pointsEarned }) {
    this.stands({ score, rank });
    const to = rank === null ? '' : `, to rank ${rank}`;
    const rose = rank !== null && previousRank !== null && rank < previousRank ? `, up from ${previousRank}` : '';
    const points = pointsEarned < 0 ? `${pointsEarned}` : `+${pointsEarned}`;
    this.#tell(`${points} points${to}${rose}.`, pointsEarned > 0);
  }

  #tell(text, won) {
    this.#news.textContent = text;
    this.#news.classList.toggle('won', won);
    if (won) say(text);
  }
}
