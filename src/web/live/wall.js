// The wall screen: the board alone, as large as it goes. `/#wall` opens as one.

const button = document.getElementById('wall-toggle');

function show(on) {
  document.body.classList.toggle('wall', on);
  button.setAttribute('aria-pressed', on);
  button.textContent = on ? 'Leave wall screen' : 'Wall screen';
}

export function wall() {
  const byHash = () => show(location.hash === '#wall');
  button.addEventListener('click', () => {
    const on = location.hash !== '#wall';
    history.replaceState(null, '', on ? '#wall' : location.pathname);
    show(on);
    if (on) document.documentElement.requestFullscreen?.().catch(() => {});
    else if (document.fullscreenElement !== null) void document.exitFullscreen();
  });
  addEventListener('hashchange', byHash);
  document.addEventListener('fullscreenchange', () => {
    // Escape leaves the full screen, and with it the wall.
    if (document.fullscreenElement === null && location.hash === '#wall') {
      history.replaceState(null, '', location.pathname);
      show(false);
    }
  });
  byHash();
}
