// The state of the live connection: a word in the header, and a notice at the bottom while the board may be out of date.

import { announce } from './announce.js';
import { timeOf } from './labels.js';

const pill = document.getElementById('connection');
const text = document.getElementById('connection-text');
const notice = document.getElementById('notice');
const LABELS = {
  connecting: 'Connecting',
  open: 'Live',
  degraded: 'Catching up',
  reconnecting: 'Reconnecting',
  offline: 'Offline',
  closed: 'Not connected',
  refused: 'Not connected',
};
const NOTICES = { degraded: 'The server is catching up.', reconnecting: 'Reconnecting.', offline: 'Offline.' };
/** A stopping node hands its clients to another one within this time. */
const NOTICE_DELAY_MS = 3_000;
let shownState = null;
let delay;

export function showConnection(state, { transport, asOf }) {
  pill.dataset.state = state;
  text.textContent = LABELS[state];
  pill.title = transport === undefined ? '' : transport === 'websocket' ? 'Connected by WebSocket' : 'Connected by server-sent events';
  // Each attempt to reconnect repeats the state.
  if (state === shownState) return;
  shownState = state;
  clearTimeout(delay);
  const problem = NOTICES[state];
  if (problem === undefined) {
    if (state === 'open' && !notice.hidden) announce('Live again.');
    notice.hidden = true;
    return;
  }
  const show = () => {
    notice.textContent = asOf === undefined ? problem : `${problem} Board as of ${timeOf(asOf)}.`;
    notice.hidden = false;
    announce(notice.textContent);
  };
  if (state === 'reconnecting' && notice.hidden) delay = setTimeout(show, NOTICE_DELAY_MS);
  else show();
}
