// The board. Each player keeps the same row element, so that changes of rank can be animated.

import { announce } from './announce.js';
import { pointsOf } from './labels.js';
import { animate, count } from './motion.js';

const TOP_SIZE = 10;
/** From this score on, a phone has no room for name and score in one line. */
const LONG_SCORE = 1_000_000;

export class BoardView {
  #list = document.getElementById('board');
  #empty = document.getElementById('board-empty');
  /** Row elements by user id. */
  #rows = new Map();
  #leader = null;
  #version = -1;

  /** Shows a board and returns true, unless a board of this version or a newer one is shown. */
  show(board, ownId) {
    if (board.version <= this.#version) return false;
    this.#version = board.version;
    const isFirst = this.#list.childElementCount === 0;
    const before = new Map([...this.#rows].map(([id, row]) => [id, row.getBoundingClientRect().top]));
    const rows = board.rows.map((row) => this.#draw(row, isFirst));
    this.#list.replaceChildren(...rows, ...emptyPlaces(rows.length));
    this.#rows = new Map(board.rows.map((row, index) => [row.userId, rows[index]]));
    this.#empty.hidden = rows.length > 0;
    this.markOwn(ownId);
    for (const [id, row] of this.#rows) if (!isFirst) slide(row, before.get(id));
    this.#announceLeader(board.rows[0], isFirst);
    return true;
  }

  /** Highlights the logged-in player's row. */
  markOwn(ownId) {
    for (const [id, row] of this.#rows) row.classList.toggle('own', id === ownId);
  }

  #draw({ userId, username, score, rank }, isFirst) {
    const row = this.#rows.get(userId) ?? newRow();
    const [place, name, points] = row.children;
    row.dataset.rank = rank;
    row.classList.toggle('long', score >= LONG_SCORE);
    place.textContent = rank;
    name.textContent = username;
    name.title = username;
    const gained = score - Number(points.dataset.value ?? score);
    count(points, score);
    if (gained > 0 && !isFirst) showGain(row, gained);
    return row;
  }

  #announceLeader(leader, isFirst) {
    if (leader !== undefined && leader.userId !== this.#leader && !isFirst) {
      announce(`${leader.username} takes first place with ${pointsOf(leader.score)}.`);
    }
    this.#leader = leader?.userId ?? null;
  }
}

function newRow() {
  const row = document.createElement('li');
  row.className = 'place';
  row.append(...['rank', 'name', 'score', 'visually-hidden'].map(newSpan));
  row.lastChild.textContent = 'points';
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
function emptyPlaces(taken) {
  return Array.from({ length: Math.max(0, TOP_SIZE - taken) }, (_, index) => {
    const row = newRow();
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

function showGain(row, gained) {
  const note = newSpan('gain');
  note.textContent = `+${gained.toLocaleString('en')}`;
  note.setAttribute('aria-hidden', 'true');
  const rise = animate(note, [
    { transform: 'none', opacity: 1 },
    { transform: 'translateY(-110%)', opacity: 0 },
  ], 1400);
  if (rise === null) return;
  row.append(note);
  rise.onfinish = rise.oncancel = () => note.remove();
}
