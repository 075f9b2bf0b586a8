// All at once. Of 20 requests some 9 are boards, 3 own ranks, 4 game updates, 2 init and 2 finalize, as in `loadtest run mixed`; and
// some listen.

import { board, paced, play, player, rank } from './laurel.js';
import { award, listen, listeners } from './sockets.js';

export { award, listen };

/** Requests a second, all together. */
const RATE = Number(__ENV.LAUREL_RATE || 500);
const UPDATES = 10;
const share = (part, each) => Math.max(1, Math.round((RATE * part) / 20 / each));

export const options = {
  scenarios: {
    listeners,
    boards: paced(0, { exec: 'readBoard', rate: share(9, 1) }),
    ranks: paced(0, { exec: 'readRank', rate: share(3, 1) }),
    actions: paced(0, { exec: 'award', rate: share(2, 1) }),
    games: paced(0, { exec: 'session', rate: share(4, UPDATES) }),
  },
  thresholds: {
    checks: ['rate>0.999'],
    dropped_iterations: ['count<1'],
    boards_not_newer: ['count<1'],
    http_req_duration: ['p(99)<50'],
  },
};

export function readBoard() {
  board();
}

export function readRank() {
  rank(player());
}

export function session() {
  play(player(), UPDATES);
}
