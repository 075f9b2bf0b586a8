// One's own place: the newest total and rank, whichever way they came, and what it takes to rise.

import { count, fly, write } from './motion.js';
import { say } from './say.js';
import { nextPlaceOf, progressOf } from './words.js';

export class Mine {
  #card = document.getElementById('mine');
  #name = document.getElementById('mine-title');
  #score = document.getElementById('mine-score');
  #rank = document.getElementById('mine-rank');
  #next = document.getElementById('mine-next');
  #news = document.getElementById('mine-news');
  #user = null;
  #stand = { score: 0, rank: null };
  #rows = null;
  /** What the news told: the total, and the rank. */
  #told = { score: null, rank: null };
  /** Moves with all that is shown, so that an older answer is known as one. */
  changes = 0;

  /** Whose place it is; nobody's is not shown. */
  show(user) {
    this.#card.hidden = user === null;
    const other = user?.username !== this.#user?.username;
    this.#user = user;
    if (user === null || !other) return;
    this.changes += 1;
    this.#name.textContent = user.username;
    this.#name.title = user.username;
    delete this.#score.dataset.value;
    write(this.#score, '0');
    write(this.#rank, '–');
    this.#stand = { score: 0, rank: null };
    this.#tell('Earn points below. Each award counts at once.', { score: null, rank: null }, false);
    this.#showNext();
  }

  /** The board, which tells what the next place takes. */
  boardIs(rows) {
    this.#rows = rows;
    const own = this.#ownRow();
    if (own === undefined) this.#showNext();
    else this.stands(own);
  }

  /** What was read, which has no story. */
  stands({ score, rank }) {
    this.changes += 1;
    this.#stand = { score, rank };
    count(this.#score, score);
    write(this.#rank, rank === null ? '–' : `#${rank.toLocaleString('en')}`);
    // News of an award name the rank that it led to, until others change that.
    if (this.#told.rank !== null && rank !== this.#told.rank) this.#news.textContent = '';
    this.#showNext();
  }

  /** An award that was won here: the answer of its own request. */
  won({ newScore, rank }, points, from) {
    fly(`+${points.toLocaleString('en')}`, from, this.#news);
    const before = this.#stand;
    // The live connection may have told of this one and of a newer one already.
    if (newScore < before.score || newScore === this.#told.score) return;
    this.stands({ score: newScore, rank });
    // If the board has shown this award already, the rank before it is not known here.
    this.#tell(progressOf(points, rank, before.score < newScore ? before.rank : null), { score: newScore, rank }, true);
  }

  /** An award that the live connection tells, perhaps won on another device. */
  heard({ score, rank, previousRank, pointsEarned }) {
    this.stands({ score, rank });
    this.#tell(progressOf(pointsEarned, rank, previousRank), { score, rank }, pointsEarned > 0);
  }

  #ownRow() {
    return this.#rows?.find((row) => row.userId === this.#user?.uuid);
  }

  #showNext() {
    const text = nextPlaceOf(this.#stand.score, this.#rows, this.#ownRow());
    this.#next.textContent = text;
    this.#next.hidden = text === '';
  }

  #tell(text, told, won) {
    const again = told.score === this.#told.score && text === this.#news.textContent;
    this.#told = told;
    this.#news.textContent = text;
    this.#news.classList.toggle('won', won);
    if (won && !again) say(text);
  }
}
