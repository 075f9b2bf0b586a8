// The wall screen: the board alone, as large as the screen allows. `/#wall` opens it; Escape and its button close it.

const button = document.getElementById('wall-toggle');
const notFound = document.getElementById('not-found');

function show(isOn) {
  document.body.classList.toggle('wall', isOn);
  button.textContent = isOn ? 'Exit wall screen' : 'Wall screen';
}

function exit() {
  history.replaceState(null, '', location.pathname);
  show(false);
}

/** Follows the URL's hash: `#wall`, the id of an element, or unknown. */
function followHash() {
  const name = decoded(location.hash.slice(1));
  show(name === 'wall');
  notFound.hidden = name === '' || name === 'wall' || document.getElementById(name) !== null;
  notFound.textContent = `“${name}” was not found. Here is the leaderboard.`;
}

function decoded(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

export function startWallScreen() {
  button.addEventListener('click', () => {
    if (location.hash === '#wall') {
      exit();
      if (document.fullscreenElement !== null) void document.exitFullscreen();
    } else {
      history.replaceState(null, '', '#wall');
      followHash();
      document.documentElement.requestFullscreen?.().catch(() => {});
    }
  });
  addEventListener('hashchange', followHash);
  addEventListener('keydown', ({ key }) => {
    if (key === 'Escape' && location.hash === '#wall') exit();
  });
  document.addEventListener('fullscreenchange', () => {
    // Browsers handle Escape in full screen themselves, and send no key event.
    if (document.fullscreenElement === null && location.hash === '#wall') exit();
  });
  followHash();
}
