// Tabs of the boards that the player may see. `global` is the first one, and follows the live connection; the others share one panel.

const GLOBAL = 'global';
const GLOBAL_TITLE = 'Top 10';
const RELOAD_MS = 5_000;
const STEPS = { ArrowRight: 1, ArrowLeft: -1 };

export class BoardTabs {
  #list = document.getElementById('board-tabs');
  #title = document.getElementById('board-title');
  #globalPanel = document.getElementById('global-panel');
  #boardPanel = document.getElementById('board-panel');
  #skipLink = document.querySelector('.skip');
  #boards = [{ id: GLOBAL, title: 'All time' }];
  #loads = 0;
  /** Id of the board that is shown, or that is to be shown once it is loaded. */
  selected = GLOBAL;

  constructor(laurel, panel) {
    Object.assign(this, { laurel, panel });
    panel.onGone = (id) => {
      this.#boards = this.#boards.filter((board) => board.id !== id);
      this.#select(GLOBAL);
      void this.load();
    };
    this.#list.addEventListener('click', ({ target }) => {
      const tab = target.closest('[role=tab]');
      if (tab !== null) this.#select(tab.dataset.board);
    });
    this.#list.addEventListener('keydown', (event) => this.#onKey(event));
  }

  /** Loads the list, which depends on the login. Tries again until it succeeds. */
  async load() {
    const load = ++this.#loads;
    const boards = await this.laurel.boards().catch(() => null);
    if (load !== this.#loads) return;
    if (boards === null) {
      setTimeout(() => load === this.#loads && this.load(), RELOAD_MS);
      return;
    }
    const extra = this.#boards.filter(({ id }) => id === this.selected && id.includes('@'));
    this.#boards = [...boards, ...extra];
    this.#draw();
    if (this.#find(this.selected) === undefined) this.#select(GLOBAL);
  }

  /** Shows a board that a URL names, such as `weekly` or `weekly@DE`. Returns false if there is none. */
  async open(id) {
    this.selected = id;
    if (id !== GLOBAL && this.#find(id) === undefined) {
      const board = await this.laurel.board(id).catch(() => null);
      if (this.selected !== id) return true;
      if (board === null) {
        this.#select(GLOBAL);
        return false;
      }
      this.#boards.push(board);
      this.#draw();
    }
    this.#select(id);
    return true;
  }

  #find(id) {
    return this.#boards.find((board) => board.id === id);
  }

  #draw() {
    const hasFocus = this.#list.contains(document.activeElement);
    const tabs = this.#boards.map(({ id, title }) => {
      const tab = document.getElementById(`tab-${id}`) ?? newTab(id);
      tab.textContent = title;
      return tab;
    });
    this.#list.replaceChildren(...tabs);
    this.#list.hidden = tabs.length < 2;
    this.#mark();
    if (hasFocus) document.getElementById(`tab-${this.selected}`)?.focus();
  }

  #select(id) {
    const board = this.#find(id);
    const isGlobal = id === GLOBAL;
    this.selected = id;
    this.#mark();
    this.#globalPanel.hidden = !isGlobal;
    this.#boardPanel.hidden = isGlobal;
    this.#title.textContent = isGlobal ? GLOBAL_TITLE : board.title;
    this.#skipLink.hash = isGlobal ? '#board' : '#entries';
    if (isGlobal) this.panel.close();
    else this.panel.open(board);
  }

  /** Marks the selected tab, the only one that the Tab key reaches. */
  #mark() {
    for (const tab of this.#list.children) {
      const isSelected = tab.dataset.board === this.selected;
      tab.setAttribute('aria-selected', isSelected);
      tab.tabIndex = isSelected ? 0 : -1;
      if (!isSelected) continue;
      this.#boardPanel.setAttribute('aria-labelledby', tab.id);
      // Scrolls the list of tabs only, not the page.
      this.#list.scrollTo({ left: tab.offsetLeft - (this.#list.clientWidth - tab.offsetWidth) / 2 });
    }
  }

  #onKey(event) {
    const tabs = [...this.#list.children];
    const current = tabs.indexOf(document.activeElement);
    const direction = getComputedStyle(this.#list).direction === 'rtl' ? -1 : 1;
    const step = (STEPS[event.key] ?? 0) * direction;
    const next = { Home: 0, End: tabs.length - 1 }[event.key] ?? (current + step + tabs.length) % tabs.length;
    if (next === current) return;
    event.preventDefault();
    tabs[next].focus();
    this.#select(tabs[next].dataset.board);
  }
}

function newTab(id) {
  const tab = document.createElement('button');
  tab.type = 'button';
  tab.id = `tab-${id}`;
  tab.dataset.board = id;
  tab.setAttribute('role', 'tab');
  tab.setAttribute('aria-controls', id === GLOBAL ? 'global-panel' : 'board-panel');
  return tab;
}
