// The wall screen: a board alone, as large as the screen allows. `/#wall` opens it, `/#wall?board=weekly` with that board; Escape and its button
// close it.

const button = document.getElementById('wall-toggle');
const notFound = document.getElementById('not-found');

const isOpen = () => /^#wall(\?|$)/.test(location.hash);

function show(isOn) {
  document.body.classList.toggle('wall', isOn);
  button.textContent = isOn ? 'Exit wall screen' : 'Wall screen';
}

function exit() {
  history.replaceState(null, '', location.pathname);
  show(false);
}

/** Follows the URL's hash: `#wall`, the id of an element, or unknown. */
async function followHash(tabs) {
  show(isOpen());
  notFound.hidden = true;
  const { hash } = location;
  let name = decoded(hash.slice(1));
  let isFound = name === '' || document.getElementById(name) !== null;
  if (isOpen()) {
    name = new URLSearchParams(hash.split('?')[1]).get('board') ?? 'global';
    isFound = await tabs.open(name);
    if (hash !== location.hash) return;
  }
  notFound.hidden = isFound;
  notFound.textContent = `“${name}” was not found. Here is the leaderboard.`;
}

function decoded(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

/** `tabs` has the id of the shown board, and opens others. */
export function startWallScreen(tabs) {
  button.addEventListener('click', () => {
    if (isOpen()) {
      exit();
      if (document.fullscreenElement !== null) void document.exitFullscreen();
    } else {
      const isGlobal = tabs.selected === 'global';
      history.replaceState(null, '', isGlobal ? '#wall' : `#wall?board=${encodeURIComponent(tabs.selected)}`);
      void followHash(tabs);
      document.documentElement.requestFullscreen?.().catch(() => {});
    }
  });
  addEventListener('hashchange', () => followHash(tabs));
  addEventListener('keydown', ({ key }) => {
    if (key === 'Escape' && isOpen()) exit();
  });
  document.addEventListener('fullscreenchange', () => {
    // Browsers handle Escape in full screen themselves, and send no key event.
    if (document.fullscreenElement === null && isOpen()) exit();
  });
  void followHash(tabs);
}
