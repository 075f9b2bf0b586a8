// The logged-in player's score and rank, and the points to the next place. Values come from HTTP responses, the live connection and the board.

import { announce } from './announce.js';
import { nextPlaceOf, progressOf } from './labels.js';
import { count, fly, write } from './motion.js';

export class MyScore {
  #card = document.getElementById('my-score');
  #name = document.getElementById('my-name');
  #points = document.getElementById('my-points');
  #rank = document.getElementById('my-rank');
  #next = document.getElementById('my-next');
  #news = document.getElementById('my-news');
  #user = null;
  #standing = { score: 0, rank: null };
  #rows = null;
  /** Score and rank that the news line is about. */
  #newsAbout = { score: null, rank: null };
  /** Number of changes of what is shown. A response is out of date if this grew while it was on its way. */
  changes = 0;

  /** Shows a player. Null hides the card. */
  show(user) {
    this.#card.hidden = user === null;
    const isSame = user?.username === this.#user?.username;
    this.#user = user;
    if (user === null || isSame) return;
    this.changes += 1;
    this.#name.textContent = user.username;
    this.#name.title = user.username;
    delete this.#points.dataset.value;
    write(this.#points, '0');
    write(this.#rank, '–');
    this.#standing = { score: 0, rank: null };
    this.#showNews('Pick a challenge below to earn points.', { score: null, rank: null }, false);
    this.#showNext();
  }

  /** Takes the board, for the points to the next place. */
  onBoard(rows) {
    this.#rows = rows;
    const own = this.#ownRow();
    if (own === undefined) this.#showNext();
    else this.setStanding(own);
  }

  /** Shows a score and a rank without news. */
  setStanding({ score, rank }) {
    this.changes += 1;
    this.#standing = { score, rank };
    count(this.#points, score);
    write(this.#rank, rank === null ? '–' : `#${rank.toLocaleString('en')}`);
    // The news name a rank. They are out of date once other players change it.
    if (this.#newsAbout.rank !== null && rank !== this.#newsAbout.rank) this.#news.textContent = '';
    this.#showNext();
  }

  /** Shows an award that was earned on this page, from the response to its request. */
  onAward({ newScore, rank }, points, from) {
    if (points > 0) fly(`+${points.toLocaleString('en')}`, from, this.#news);
    const before = this.#standing;
    // The live connection may have delivered this award, and a newer one.
    if (newScore < before.score || newScore === this.#newsAbout.score) return;
    this.setStanding({ score: newScore, rank });
    // If the board already included this award, the rank before it is unknown.
    this.#showNews(progressOf(points, rank, before.score < newScore ? before.rank : null), { score: newScore, rank }, true);
  }

  /** Shows an award from the live connection, which may have been earned on another device. */
  onPersonal({ score, rank, previousRank, pointsEarned }) {
    this.setStanding({ score, rank });
    this.#showNews(progressOf(pointsEarned, rank, previousRank), { score, rank }, pointsEarned > 0);
  }

  #ownRow() {
    return this.#rows?.find((row) => row.userId === this.#user?.uuid);
  }

  #showNext() {
    const text = nextPlaceOf(this.#standing.score, this.#rows, this.#ownRow());
    this.#next.textContent = text;
    this.#next.hidden = text === '';
  }

  #showNews(text, about, isGain) {
    const isRepeat = about.score === this.#newsAbout.score && text === this.#news.textContent;
    this.#newsAbout = about;
    this.#news.textContent = text;
    this.#news.classList.toggle('gained', isGain);
    if (isGain && !isRepeat) announce(text);
  }
}
