// How the connection is: a word at the top, and a notice where one plays while the board may be old.

import { say } from './say.js';

const pill = document.getElementById('connection');
const text = document.getElementById('connection-text');
const notice = document.getElementById('notice');
const WORDS = {
  connecting: 'Connecting',
  open: 'Live',
  degraded: 'Catching up',
  reconnecting: 'Reconnecting',
  offline: 'Offline',
  closed: 'Not connected',
  refused: 'Not connected',
};
const NOTICES = { degraded: 'The server is catching up.', reconnecting: 'Reconnecting.', offline: 'Offline.' };
/** A node that stops hands its clients over in less. */
const PATIENCE_MS = 3_000;
let shown = null;
let patience;

export function showConnection(state, { transport, asOf }) {
  pill.dataset.state = state;
  text.textContent = WORDS[state];
  pill.title = transport === undefined ? '' : transport === 'websocket' ? 'By WebSocket' : 'By server-sent events';
  // Each try to reconnect is told.
  if (state === shown) return;
  shown = state;
  clearTimeout(patience);
  const words = NOTICES[state];
  if (words === undefined) {
    if (state === 'open' && !notice.hidden) say('Live again.');
    notice.hidden = true;
    return;
  }
  const show = () => {
    notice.textContent = asOf === undefined ? words : `${words} Board as of ${timeOf(asOf)}.`;
    notice.hidden = false;
    say(notice.textContent);
  };
  if (state === 'reconnecting' && notice.hidden) patience = setTimeout(show, PATIENCE_MS);
  else show();
}

function timeOf(asOf) {
  return new Date(asOf).toLocaleTimeString('en', { hour: '2-digit', minute: '2-digit', hourCycle: 'h23' });
}
