// The page: who is logged in, one live connection, and what each part is told of it.

import { browser } from '/assets/common/kept.js';
import { Laurel } from '/assets/laurel/index.js';
import { BoardView } from './board.js';
import { showConnection } from './connection.js';
import { Door } from './door.js';
import { Mine } from './mine.js';
import { Actions } from './play.js';
import { say } from './say.js';
import { wall } from './wall.js';

const KEPT = 'laurel.login';
const LOOK_EVERY_MS = 20_000;
const leave = document.getElementById('leave');

let held = browser.get(KEPT);
const laurel = new Laurel({
  token: held,
  // Whoever plays would rather see a countdown than wait behind a button.
  retry: { maxWaitSeconds: 2 },
  onToken(token) {
    // Another tab may have another login by now, which is not this one's to forget.
    if (token !== null || browser.get(KEPT) === held) browser.set(KEPT, token);
    held = token;
    actions.changeLogin();
    showWho();
  },
});

const board = new BoardView();
const mine = new Mine();
const door = new Door(laurel);
const actions = new Actions(laurel, {
  won(award, points, from) {
    mine.won(award, points, from);
    board.markOwn(laurel.user?.uuid);
  },
  needsLogin: () => door.ask('Register or log in to play.'),
});

function showWho() {
  const { user } = laurel;
  mine.show(user);
  door.show(user === null);
  leave.hidden = user === null;
  board.markOwn(user?.uuid);
  if (user !== null) void lookAtMine();
}

/** Others pass whoever does nothing: nobody is told so below the tenth place. */
async function lookAtMine() {
  const { user } = laurel;
  if (user === null || document.hidden) return;
  const before = mine.changes;
  const standing = await laurel.standing(user.uuid ?? user.id).catch(() => null);
  // Whatever came meanwhile is newer.
  if (standing !== null && mine.changes === before) mine.stands(standing);
}

leave.addEventListener('click', () => {
  laurel.logout();
  door.focus();
});
// Without a key everything was cleared.
addEventListener('storage', ({ key }) => {
  if (key === KEPT || key === null) laurel.token = browser.get(KEPT);
});
setInterval(lookAtMine, LOOK_EVERY_MS);

function showBoard(newest) {
  if (board.show(newest, laurel.user?.uuid)) mine.boardIs(newest.rows);
}

/** The page itself has asked for this board, before the script came. */
async function showFirst() {
  const response = await fetch('/api/v1/scores/leaderboard');
  if (!response.ok) return;
  const { leaderboard, version } = await response.json();
  showBoard({ rows: leaderboard, version });
}

/** Since when the server may not know the newest board. */
let staleSince;
laurel.live({
  onBoard: showBoard,
  onPersonal: (personal) => mine.heard(personal),
  onStatus(status) {
    staleSince = status.asOf;
  },
  onState(state, detail) {
    showConnection(state, state === 'degraded' ? { ...detail, asOf: staleSince } : detail);
    if (state === 'open') {
      // The greeting tells who a login of another identity provider is.
      showWho();
      door.reachable();
      actions.reachable();
    }
    if (state !== 'refused') return;
    if (laurel.token === null) {
      door.ask('Log in to follow the board live.');
    } else {
      laurel.logout();
      door.ask('Your login was ended. Log in again to play.');
      say('You are logged out.');
    }
  },
});

wall();
showWho();
showFirst().catch(() => {});
void actions.load();
