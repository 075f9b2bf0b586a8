// The board: each row keeps its element, so that whoever moves is seen moving.

import { count, move } from './motion.js';
import { say } from './say.js';
import { pointsOf } from './words.js';

const PLACES = 10;
/** From here on a score leaves no room for a name beside it on a phone. */
const LONG = 1_000_000;

export class BoardView {
  #list = document.getElementById('board');
  #empty = document.getElementById('board-empty');
  #rows = new Map();
  #leader = null;
  #version = -1;

  /** Shows a board, and returns true, unless a newer one is shown. */
  show(board, own) {
    if (board.version <= this.#version) return false;
    this.#version = board.version;
    const first = this.#list.childElementCount === 0;
    const before = new Map([...this.#rows].map(([id, row]) => [id, row.getBoundingClientRect().top]));
    const rows = board.rows.map((row) => this.#row(row, first));
    this.#list.replaceChildren(...rows, ...freePlaces(rows.length));
    this.#rows = new Map(board.rows.map((row, place) => [row.userId, rows[place]]));
    this.#empty.hidden = rows.length > 0;
    this.markOwn(own);
    for (const [id, row] of this.#rows) if (!first) slide(row, before.get(id));
    this.#tellLeader(board.rows[0], first);
    return true;
  }

  /** Whose row is one's own. */
  markOwn(own) {
    for (const [id, row] of this.#rows) row.classList.toggle('own', id === own);
  }

  #row({ userId, username, score, rank }, first) {
    const row = this.#rows.get(userId) ?? newRow();
    const [place, name, points] = row.children;
    row.dataset.rank = rank;
    row.classList.toggle('long', score >= LONG);
    place.textContent = rank;
    name.textContent = username;
    name.title = username;
    const gained = score - Number(points.dataset.value ?? score);
    count(points, score);
    if (gained > 0 && !first) showGain(row, gained);
    return row;
  }

  #tellLeader(leader, first) {
    if (leader !== undefined && leader.userId !== this.#leader && !first) {
      say(`${leader.username} is first, with ${pointsOf(leader.score)}.`);
    }
    this.#leader = leader?.userId ?? null;
  }
}

function newRow() {
  const row = document.createElement('li');
  row.className = 'place';
  row.append(...['rank', 'name', 'score', 'unseen'].map(part));
  row.lastChild.textContent = 'points';
  // A name may be of a script that is written the other way.
  row.children[1].dir = 'auto';
  return row;
}

function part(name) {
  const it = document.createElement('span');
  it.className = name;
  return it;
}

/** What nobody holds yet: decoration, which a screen reader does not count. */
function freePlaces(taken) {
  return Array.from({ length: Math.max(0, PLACES - taken) }, (_, index) => {
    const row = newRow();
    row.classList.add('free');
    row.setAttribute('aria-hidden', 'true');
    row.firstChild.textContent = taken + index + 1;
    return row;
  });
}

function slide(row, before) {
  if (before === undefined) {
    const side = getComputedStyle(row).direction === 'rtl' ? -32 : 32;
    return move(row, [{ transform: `translateX(${side}px)`, opacity: 0 }, { transform: 'none', opacity: 1 }]);
  }
  const by = before - row.getBoundingClientRect().top;
  if (by === 0) return null;
  // Whoever rises passes in front of whoever sinks.
  const layer = by > 0 ? 2 : 1;
  return move(row, [{ transform: `translateY(${by}px)`, zIndex: layer }, { transform: 'none', zIndex: layer }]);
}

function showGain(row, gained) {
  const note = part('gain');
  note.textContent = `+${gained.toLocaleString('en')}`;
  note.setAttribute('aria-hidden', 'true');
  const rise = move(note, [
    { transform: 'none', opacity: 1 },
    { transform: 'translateY(-110%)', opacity: 0 },
  ], 1400);
  if (rise === null) return;
  row.append(note);
  rise.onfinish = rise.oncancel = () => note.remove();
}
