// The panel of a board other than `global`: its best entries and more by page, the player's own place, the time left, and past periods. The
// live connection pushes the best entries; the rest is read while the page is visible, soon after a push and now and then.

import { announce } from './announce.js';
import { BoardView } from './board.js';
import { periodOf, playersOf, timeLeftOf, timeOf } from './labels.js';

/** While the live connection is down, and soonest after a push. */
const POLL_MS = 2_000;
/** While the live connection tells what changes at the top. */
const QUIET_POLL_MS = 10_000;
const PAGE_SIZE = 50;
const MAX_PAGE_SIZE = 200;
/** Places without a player that keep the page from jumping. */
const MAX_FREE_PLACES = 10;
/** The own entry with two neighbors on each side. */
const NEIGHBORHOOD = 5;
const TIMEOUT_MS = 10_000;
const PERIOD_STATES = { settling: 'Ended, the result is being checked', closed: 'Final result' };

export class BoardPanel {
  #time = document.getElementById('board-time');
  #periods = document.getElementById('board-period');
  #note = document.getElementById('board-note');
  #empty = document.getElementById('entries-empty');
  #more = document.getElementById('entries-more');
  #ownPlace = document.getElementById('own-place');
  /** Aborted when the panel is closed or opens another board or period. */
  #opened = new AbortController();
  #board;
  /** Id of the chosen past period. Undefined for the current one. */
  #period;
  /** State of the period that is shown. */
  #state;
  #top;
  #own;
  /** The page that was read last, and the entries below the pushed ones. */
  #page;
  #below = [];
  #unsubscribe = () => {};
  #newsTimer;
  /** Number of entries to show. */
  #wanted = 0;
  /** What is shown, to skip responses that change nothing. */
  #shown = '';
  /** When the board was last read, in ms of the Unix epoch. 0 before the first time. */
  #readAt = 0;
  #problem = '';
  /** The live connection. Set before a board is opened. */
  live;
  /** Called with the id of a board that the player may no longer see. */
  onGone = () => {};
  #isDue = false;
  #wake = () => {};

  constructor(laurel) {
    this.laurel = laurel;
    this.#more.addEventListener('click', () => {
      this.#wanted += PAGE_SIZE;
      this.refresh();
    });
    this.#periods.addEventListener('change', () => this.#start(this.#periods.value || undefined));
    document.addEventListener('visibilitychange', () => this.refresh());
    setInterval(() => this.#showTime(), 1000);
  }

  open(board) {
    this.#board = board;
    this.#periods.hidden = true;
    this.#start(undefined);
    void this.#readPeriods();
  }

  close() {
    this.#stop();
    this.#board = undefined;
  }

  /** Reads the board now instead of at the next poll. */
  refresh() {
    this.#isDue = true;
    this.#wake();
  }

  #stop() {
    this.#opened.abort();
    this.#unsubscribe();
    this.#unsubscribe = () => {};
    clearTimeout(this.#newsTimer);
    this.#newsTimer = undefined;
    this.#wake();
  }

  /** Shows a period from the beginning. */
  #start(period) {
    this.#stop();
    this.#opened = new AbortController();
    const board = this.#board;
    this.#period = period;
    this.#page = undefined;
    this.#state = undefined;
    this.#wanted = board.top;
    this.#shown = '';
    this.#readAt = 0;
    this.#problem = '';
    this.#top = new BoardView(document.getElementById('entries'), { ...board, places: Math.min(board.top, MAX_FREE_PLACES) });
    this.#own = new BoardView(document.getElementById('own-entries'), { ...board, places: 0 });
    this.#empty.hidden = this.#more.hidden = this.#ownPlace.hidden = true;
    this.#showTime();
    this.#note.textContent = 'Loading';
    this.#note.classList.remove('problem');
    void this.#follow(this.#opened.signal);
    if (period !== undefined) return;
    const handlers = { onUpdate: (update) => this.#onUpdate(update), onOwnEntry: () => this.#readSoon() };
    this.#unsubscribe = this.live.subscribe([board.id], handlers);
  }

  /** Shows the best entries that were pushed. Those below, and the own place, are read soon after. */
  #onUpdate({ period, version, entries }) {
    if (this.#page !== undefined && period === this.#page.period && version > this.#page.version) {
      this.#page = { ...this.#page, version, entries };
      const pushed = new Set(entries.map(({ userId }) => userId));
      const below = this.#below.filter(({ userId }) => !pushed.has(userId));
      this.#top.show([...entries, ...below], this.#page.me?.userId);
      this.#empty.hidden = entries.length > 0;
    }
    this.#readSoon();
  }

  /** Reads once for all pushes of some seconds, and not at the same moment as the other clients that got them. */
  #readSoon() {
    this.#newsTimer ??= setTimeout(() => {
      this.#newsTimer = undefined;
      this.refresh();
    }, POLL_MS * (0.5 + Math.random()));
  }

  async #follow(signal) {
    while (!signal.aborted) {
      this.#isDue = false;
      const waitMs = document.hidden ? Infinity : await this.#read(signal);
      if (!this.#isDue && !signal.aborted) await this.#sleep(waitMs);
    }
  }

  #sleep(ms) {
    return new Promise((resolve) => {
      const timer = ms === Infinity ? undefined : setTimeout(resolve, ms);
      this.#wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }

  /** Reads and shows the board. Returns how long to wait before the next time, in ms. */
  async #read(opened) {
    const { id, top } = this.#board;
    const period = this.#period;
    const wanted = this.#wanted;
    const signal = AbortSignal.any([opened, AbortSignal.timeout(TIMEOUT_MS)]);
    try {
      const page = await this.laurel.entriesPage(id, { period, limit: top, signal });
      const isOlder = page.period === this.#page?.period && page.version < this.#page.version;
      if (isOlder) return POLL_MS;
      const summary = JSON.stringify([page, wanted]);
      if (summary !== this.#shown) {
        const rest = await this.#readMore(page, wanted, signal);
        const neighbors = await this.#readNeighbors(page, rest.entries, signal);
        if (opened.aborted) return 0;
        this.#page = page;
        this.#below = rest.entries.slice(page.entries.length);
        this.#show(page, rest, neighbors);
        this.#shown = summary;
      }
      if (period === undefined && page.period !== this.#board.period?.id) await this.#readDefinition(id, signal);
      if (opened.aborted) return 0;
      this.#readAt = Date.now();
      this.#showNote(page);
      if (page.state === 'closed') return Infinity;
      return this.live.state === 'open' && period === undefined ? QUIET_POLL_MS : POLL_MS;
    } catch (error) {
      if (opened.aborted) return 0;
      this.#onError(error);
      return Math.max(POLL_MS, (error.retryAfterSeconds ?? 0) * 1000);
    }
  }

  /** Follows the cursors until there are as many entries as wanted. */
  async #readMore({ entries: first, next: cursor, board, period }, wanted, signal) {
    const entries = new Map(first.map((entry) => [entry.userId, entry]));
    let next = cursor;
    while (next !== undefined && entries.size < wanted) {
      const limit = Math.min(MAX_PAGE_SIZE, wanted - entries.size);
      const page = await this.laurel.entriesPage(board, { period, cursor: next, limit, signal });
      // A player who moved in the meantime may be on two pages.
      for (const entry of page.entries) if (!entries.has(entry.userId)) entries.set(entry.userId, entry);
      next = page.next;
    }
    return { entries: [...entries.values()], next };
  }

  /** The own entry and those around it, as far as they are not in the list above. */
  async #readNeighbors({ me, board, period }, entries, signal) {
    const listed = new Set(entries.map(({ userId }) => userId));
    if (!me || listed.has(me.userId)) return [];
    const around = await this.laurel.entriesPage(board, { period, around: 'me', limit: NEIGHBORHOOD, signal });
    return around.entries.filter(({ userId }) => !listed.has(userId));
  }

  /** A new period has begun. */
  async #readDefinition(id, signal) {
    const board = await this.laurel.board(id, { signal });
    if (signal.aborted) return;
    this.#board = board;
    this.#showTime();
    void this.#readPeriods();
  }

  /** Fills the choice of periods, newest first. It is hidden while there is nothing to choose. */
  async #readPeriods() {
    const { id } = this.#board;
    const page = await this.laurel.periodsPage(id, { limit: MAX_PAGE_SIZE }).catch(() => null);
    if (page === null || this.#board?.id !== id) return;
    const past = page.periods.filter((period) => period.state !== 'open');
    this.#periods.replaceChildren(new Option('Current period', ''), ...past.map((period) => new Option(periodOf(period), period.id)));
    this.#periods.value = this.#period ?? '';
    this.#periods.hidden = past.length === 0;
  }

  #show(page, { entries, next }, neighbors) {
    const ownId = page.me?.userId;
    this.#top.show(entries, ownId);
    this.#own.show(neighbors, ownId);
    this.#ownPlace.hidden = neighbors.length === 0;
    this.#empty.hidden = entries.length > 0;
    // The focus must not get lost with the button.
    if (next === undefined && document.activeElement === this.#more) this.#top.list.focus({ preventScroll: true });
    this.#more.hidden = next === undefined;
    this.#state = page.state;
    this.#showTime();
  }

  #showTime() {
    const endsAt = this.#board?.period?.endsAt ?? null;
    let text = endsAt === null ? '' : timeLeftOf(Date.parse(endsAt) - Date.now());
    if (this.#period !== undefined) text = PERIOD_STATES[this.#state] ?? '';
    if (this.#time.textContent !== text) this.#time.textContent = text;
  }

  #showNote({ stale, asOf, total }) {
    if (stale) {
      return this.#showProblem(asOf === null ? 'The board is being loaded.' : `Catching up. Entries as of ${timeOf(asOf)}.`);
    }
    const order = this.#board.order === 'asc' ? ', lowest first' : '';
    this.#note.textContent = `${playersOf(total)}${order}`;
    this.#note.classList.remove('problem');
    this.#problem = '';
  }

  #showProblem(text) {
    this.#note.textContent = text;
    this.#note.classList.add('problem');
    if (text !== this.#problem) announce(text);
    this.#problem = text;
  }

  #onError({ code }) {
    if (code === 'BOARD_NOT_FOUND') return this.onGone(this.#board.id);
    if (code === 'PERIOD_NOT_FOUND') {
      this.#shown = '';
      this.#board = { ...this.#board, period: null };
      this.#show({}, { entries: [] }, []);
      return this.#showProblem('No period is running.');
    }
    const age = this.#readAt === 0 ? '' : ` Entries as of ${timeOf(this.#readAt)}.`;
    this.#showProblem(`Can’t reach the server.${age}`);
  }
}
