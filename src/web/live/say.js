// What a screen reader says: the last of what was to be said, and not too often.

const EVERY_MS = 3_000;
const place = document.getElementById('said');
let next = null;
let waiting = false;

export function say(text) {
  next = text;
  if (waiting) return;
  place.textContent = next;
  next = null;
  waiting = true;
  setTimeout(() => {
    waiting = false;
    if (next !== null) say(next);
  }, EVERY_MS);
}
