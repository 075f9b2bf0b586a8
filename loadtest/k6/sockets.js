// Listeners, by WebSocket and by Socket.IO in turn, while others win awards. The time is from a board's change, which its version
// is (microseconds by Redis' clock), to the listener: it needs clocks that agree.

import { check } from 'k6';
import exec from 'k6/execution';
import { Counter, Trend } from 'k6/metrics';
import { WebSocket } from 'k6/websockets';
import { URL, act, logins, paced, player } from './laurel.js';

const LISTENERS = Number(__ENV.LAUREL_LISTENERS || 100);
const SECONDS = Number(__ENV.LAUREL_LISTEN_SECONDS || 30);

const late = new Trend('board_late', true);
const older = new Counter('boards_not_newer');

/** Those who listen: each stays for the whole test. */
export const listeners = {
  executor: 'per-vu-iterations',
  exec: 'listen',
  vus: LISTENERS,
  iterations: 1,
  maxDuration: `${SECONDS + 30}s`,
};

export const options = {
  scenarios: { listeners, awards: paced(50, { exec: 'award', duration: `${SECONDS}s` }) },
  thresholds: { checks: ['rate>0.999'], boards_not_newer: ['count<1'], board_late: ['p(99)<250'] },
};

export function award() {
  act(player());
}

export function listen() {
  const place = exec.scenario.iterationInTest;
  const login = logins[place % logins.length];
  const seen = { boards: 0, version: 0 };
  const socket = place % 2 === 0 ? plain(login, seen) : socketio(login, seen);
  setTimeout(() => {
    check(seen, { 'a listener has a board': (it) => it.boards > 0 });
    socket.close();
  }, SECONDS * 1000);
}

function plain(login, seen) {
  const socket = new WebSocket(`${URL.replace(/^http/, 'ws')}/api/v1/ws`, null, {
    headers: { Authorization: `Bearer ${login}` },
  });
  socket.addEventListener('message', ({ data }) => {
    const frame = JSON.parse(data);
    if (frame.event === 'leaderboard_updated') shown(frame, seen);
  });
  return socket;
}

function socketio(login, seen) {
  const socket = new WebSocket(`${URL.replace(/^http/, 'ws')}/socket.io/?EIO=4&transport=websocket`);
  socket.addEventListener('message', ({ data }) => {
    if (data === '2') {
      socket.send('3');
    } else if (data.startsWith('0')) {
      socket.send(`40${JSON.stringify({ token: login })}`);
    } else if (data.startsWith('42')) {
      const [event, board] = JSON.parse(data.slice(2));
      if (event === 'scoreboard:update') shown(board, seen);
    }
  });
  return socket;
}

/** The first board is as old as it is; those after it were just made. */
function shown(board, seen) {
  if (seen.boards > 0) {
    late.add(Math.max(0, Date.now() - board.version / 1000));
    if (board.version <= seen.version) older.add(1);
  }
  seen.boards += 1;
  seen.version = board.version;
}
