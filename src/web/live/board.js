// A list of a board's rows. Each player keeps the same row element, so that changes of rank can be animated.

import { announce } from './announce.js';
import { pointsOf, scoreOf } from './labels.js';
import { animate, count, write } from './motion.js';

/** From this number of characters on, a phone has no room for name and score in one line. */
const LONG_SCORE = '1,000,000'.length;

export class BoardView {
  /** Row elements by user id. */
  #rows = new Map();
  #hasShown = false;
  #leader = null;
  #isPoints;
  #format;

  /** Shows rows in `list`, with empty places up to `places`. */
  constructor(list, { places, measure = 'points', decimals = 0 }) {
    Object.assign(this, { list, places });
    this.#isPoints = measure === 'points' && decimals === 0;
    this.#format = (score) => scoreOf(score, decimals);
    list.replaceChildren(...emptyPlaces(0, places));
  }

  /** Shows these rows instead of the ones before. */
  show(shown, ownId) {
    const isFirst = !this.#hasShown;
    this.#hasShown = true;
    const before = new Map([...this.#rows].map(([id, row]) => [id, row.getBoundingClientRect().top]));
    const rows = shown.map((row) => this.#draw(row, isFirst));
    this.list.replaceChildren(...rows, ...emptyPlaces(rows.length, this.places));
    this.#rows = new Map(shown.map((row, index) => [row.userId, rows[index]]));
    this.markOwn(ownId);
    for (const [id, row] of this.#rows) if (!isFirst) slide(row, before.get(id));
    this.#noteLeader(shown[0], isFirst);
  }

  /** Highlights the logged-in player's row. */
  markOwn(ownId) {
    for (const [id, row] of this.#rows) row.classList.toggle('own', id === ownId);
  }

  #draw({ userId, username, displayName = username, score, rank }, isFirst) {
    const row = this.#rows.get(userId) ?? newRow(this.#isPoints ? 'points' : '');
    const [place, name, points] = row.children;
    row.dataset.rank = rank;
    row.classList.toggle('long', this.#format(score).length >= LONG_SCORE);
    write(place, rank.toLocaleString('en'));
    name.textContent = displayName;
    name.title = displayName;
    const gained = score - Number(points.dataset.value ?? score);
    count(points, score, this.#format);
    if (this.#isPoints && gained > 0 && !isFirst) showGain(row, `+${this.#format(gained)}`);
    return row;
  }

  #noteLeader(leader, isFirst) {
    const isNew = leader !== undefined && leader.userId !== this.#leader;
    if (isNew && leader.rank === 1 && !isFirst && this.list.checkVisibility()) {
      const score = this.#isPoints ? pointsOf(leader.score) : this.#format(leader.score);
      announce(`${leader.displayName ?? leader.username} takes first place with ${score}.`);
    }
    this.#leader = leader?.userId ?? null;
  }
}

function newRow(unit) {
  const row = document.createElement('li');
  row.className = 'place';
  row.append(...['rank', 'name', 'score', 'visually-hidden'].map(newSpan));
  row.lastChild.textContent = unit;
  // A name may be in a right-to-left script.
  row.children[1].dir = 'auto';
  return row;
}

function newSpan(className) {
  const span = document.createElement('span');
  span.className = className;
  return span;
}

/** Places without a player. They are decoration, which a screen reader must not count. */
function emptyPlaces(taken, places) {
  return Array.from({ length: Math.max(0, places - taken) }, (_, index) => {
    const row = newRow('');
    row.classList.add('free');
    row.setAttribute('aria-hidden', 'true');
    row.firstChild.textContent = taken + index + 1;
    return row;
  });
}

function slide(row, topBefore) {
  if (topBefore === undefined) {
    const side = getComputedStyle(row).direction === 'rtl' ? -32 : 32;
    return animate(row, [{ transform: `translateX(${side}px)`, opacity: 0 }, { transform: 'none', opacity: 1 }]);
  }
  const distance = topBefore - row.getBoundingClientRect().top;
  if (distance === 0) return null;
  // A rising row passes in front of a falling one.
  const layer = distance > 0 ? 2 : 1;
  return animate(row, [{ transform: `translateY(${distance}px)`, zIndex: layer }, { transform: 'none', zIndex: layer }]);
}

function showGain(row, text) {
  const note = newSpan('gain');
  note.textContent = text;
  note.setAttribute('aria-hidden', 'true');
  const rise = animate(note, [
    { transform: 'none', opacity: 1 },
    { transform: 'translateY(-110%)', opacity: 0 },
  ], 1400);
  if (rise === null) return;
  row.append(note);
  rise.onfinish = rise.oncancel = () => note.remove();
}
