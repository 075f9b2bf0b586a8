// How the connection is, in a word.

const pill = document.getElementById('connection');
const text = document.getElementById('connection-text');
const WORDS = {
  connecting: 'Connecting',
  open: 'Live',
  degraded: 'Catching up',
  reconnecting: 'Reconnecting',
  closed: 'Not connected',
  refused: 'Not connected',
};

export function showConnection(state, { transport }) {
  pill.dataset.state = state;
  text.textContent = WORDS[state];
  pill.title = transport === undefined ? '' : transport === 'websocket' ? 'By WebSocket' : 'By server-sent events';
}
