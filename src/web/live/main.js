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

const laurel = new Laurel({
  token: browser.get(KEPT),
  // Whoever plays would rather see a countdown than wait behind a button.
  retry: { maxWaitSeconds: 2 },
  onToken(token) {
    browser.set(KEPT, token);
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
  needsLogin: () => door.ask('Register, or log in, and play.'),
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
  const standing = await laurel.standing(user.uuid ?? user.id).catch(() => null);
  if (standing !== null && user.username === laurel.user?.username) mine.stands(standing);
}

leave.addEventListener('click', () => laurel.logout());
setInterval(lookAtMine, LOOK_EVERY_MS);

laurel.live({
  onBoard(newest) {
    board.show(newest, laurel.user?.uuid);
    const own = newest.rows.find((it) => it.userId === laurel.user?.uuid);
    if (own !== undefined) mine.stands(own);
  },
  onPersonal: (personal) => mine.heard(personal),
  onStatus: (status) => board.showStatus(status),
  onState(state, detail) {
    showConnection(state, detail);
    // The greeting tells who a login of another identity provider is.
    if (state === 'open') showWho();
    if (state !== 'refused') return;
    if (laurel.token === null) {
      door.ask('This board is for players: log in to see it.');
    } else {
      laurel.logout();
      door.ask('Your login was ended. Log in again to play.');
      say('You are logged out.');
    }
  },
});

wall();
showWho();
void actions.load();
