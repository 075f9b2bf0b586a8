// The live page: connects the login, the live connection and the parts of the page.

import { browserStorage } from '/assets/common/storage.js';
import { Laurel } from '/assets/laurel/index.js';
import { Actions } from './actions.js';
import { announce } from './announce.js';
import { BoardView } from './board.js';
import { BoardPanel } from './boardPanel.js';
import { BoardTabs } from './boardTabs.js';
import { showConnection } from './connection.js';
import { MyScore } from './myScore.js';
import { SignInForm } from './signIn.js';
import { startWallScreen } from './wallScreen.js';

const LOGIN_KEY = 'laurel.login';
const REFRESH_MS = 20_000;
const TOP_SIZE = 10;
const logOutButton = document.getElementById('log-out');

let ownToken = browserStorage.get(LOGIN_KEY);
const laurel = new Laurel({
  token: ownToken,
  // Longer waits are shown as a countdown on the card.
  retry: { maxWaitSeconds: 2 },
  onToken(token) {
    // Another tab may have stored another login, which a logout here must not remove.
    if (token !== null || browserStorage.get(LOGIN_KEY) === ownToken) browserStorage.set(LOGIN_KEY, token);
    ownToken = token;
    actions.onLoginChange();
    panel.refresh();
    void tabs.load();
    showLogin();
  },
});

const board = new BoardView(document.getElementById('board'), { places: TOP_SIZE });
const panel = new BoardPanel(laurel);
const tabs = new BoardTabs(laurel, panel);
const myScore = new MyScore();
const signIn = new SignInForm(laurel);
const actions = new Actions(laurel, {
  onAward(award, points, from) {
    myScore.onAward(award, points, from);
    board.markOwn(laurel.user?.uuid);
  },
  onLoginNeeded: () => signIn.prompt('Sign up or log in to play.'),
});

function showLogin() {
  const { user } = laurel;
  myScore.show(user);
  signIn.show(user === null);
  logOutButton.hidden = user === null;
  board.markOwn(user?.uuid);
  if (user !== null) void refreshMyScore();
}

/** Polls the own rank: below the top 10, no event says that other players passed this one. */
async function refreshMyScore() {
  const { user } = laurel;
  if (user === null || document.hidden) return;
  const before = myScore.changes;
  const standing = await laurel.standing(user.uuid ?? user.id).catch(() => null);
  // A change that arrived in the meantime is newer than this response.
  if (standing !== null && myScore.changes === before) myScore.setStanding(standing);
}

logOutButton.addEventListener('click', () => {
  laurel.logout();
  signIn.focusTitle();
});
// The key is null if the whole storage was cleared.
addEventListener('storage', ({ key }) => {
  if (key === LOGIN_KEY || key === null) laurel.token = browserStorage.get(LOGIN_KEY);
});
setInterval(refreshMyScore, REFRESH_MS);

let shownVersion = -1;

/** Shows the top 10, unless these or newer ones are shown. */
function showBoard({ rows, version }) {
  if (version <= shownVersion) return;
  shownVersion = version;
  board.show(rows, laurel.user?.uuid);
  document.getElementById('board-empty').hidden = rows.length > 0;
  myScore.onBoard(rows);
}

/** Shows the board that the HTML page preloads. */
async function showPreloadedBoard() {
  const response = await fetch('/api/v1/scores/leaderboard');
  if (!response.ok) return;
  const { leaderboard, version } = await response.json();
  showBoard({ rows: leaderboard, version });
}

/** Since when the server may not have the newest board. */
let staleSince;
panel.live = laurel.live({
  onBoard: showBoard,
  onPersonal: (personal) => myScore.onPersonal(personal),
  onStatus(status) {
    staleSince = status.asOf;
  },
  onState(state, detail) {
    showConnection(state, state === 'degraded' ? { ...detail, asOf: staleSince } : detail);
    if (state === 'open') {
      // With a login of another identity provider, the username is unknown until the connection is open.
      showLogin();
      signIn.onReachable();
      actions.onReachable();
      panel.refresh();
    }
    if (state !== 'refused') return;
    if (laurel.token === null) {
      signIn.prompt('Log in to watch the board.');
    } else {
      laurel.logout();
      signIn.prompt('You were logged out. Log in again to play.');
      announce('You are logged out.');
    }
  },
});

startWallScreen(tabs);
showLogin();
void tabs.load();
showPreloadedBoard().catch(() => {});
void actions.load();
