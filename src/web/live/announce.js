// Announcements for screen readers: at most one in three seconds. Of several in that time, the last one counts.

const INTERVAL_MS = 3_000;
const region = document.getElementById('announcement');
let next = null;
let isPaused = false;

export function announce(text) {
  next = text;
  if (isPaused) return;
  region.textContent = next;
  next = null;
  isPaused = true;
  setTimeout(() => {
    isPaused = false;
    if (next !== null) announce(next);
  }, INTERVAL_MS);
}
