// The wall screen: the board alone, as large as it goes. `/#wall` opens as one; Escape and its button leave it.

const button = document.getElementById('wall-toggle');
const notFound = document.getElementById('not-found');

function show(on) {
  document.body.classList.toggle('wall', on);
  button.textContent = on ? 'Leave wall screen' : 'Wall screen';
}

function leave() {
  history.replaceState(null, '', location.pathname);
  show(false);
}

/** `#wall`, a place of the page, or nothing that there is. */
function byHash() {
  const name = decoded(location.hash.slice(1));
  show(name === 'wall');
  notFound.hidden = name === '' || name === 'wall' || document.getElementById(name) !== null;
  notFound.textContent = `Not found: “${name}”. This is the board.`;
}

function decoded(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

export function wall() {
  button.addEventListener('click', () => {
    const on = location.hash !== '#wall';
    if (on) {
      history.replaceState(null, '', '#wall');
      byHash();
      document.documentElement.requestFullscreen?.().catch(() => {});
    } else {
      leave();
      if (document.fullscreenElement !== null) void document.exitFullscreen();
    }
  });
  addEventListener('hashchange', byHash);
  addEventListener('keydown', ({ key }) => {
    if (key === 'Escape' && location.hash === '#wall') leave();
  });
  document.addEventListener('fullscreenchange', () => {
    // Escape leaves the full screen, and with it the wall.
    if (document.fullscreenElement === null && location.hash === '#wall') leave();
  });
  byHash();
}
