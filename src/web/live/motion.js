// Movement that shows what changed; none for whoever asked their system for none.

/** Whoever asked their system for no motion. */
export const still = matchMedia('(prefers-reduced-motion: reduce)');
const EASE = 'cubic-bezier(.2, .8, .2, 1)';

export function move(element, frames, ms = 650) {
  if (still.matches || document.hidden) return null;
  return element.animate(frames, { duration: ms, easing: EASE });
}

/** Writes a number; its style may fit it to its length. */
export function write(element, text) {
  element.textContent = text;
  element.style.setProperty('--length', text.length);
}

/** Counts a number up or down to where it is. */
export function count(element, to) {
  // It is there, or on its way, which the same number told again must not shorten.
  if (element.dataset.value === String(to)) return;
  const from = Number(element.dataset.value ?? to);
  element.dataset.value = to;
  const show = (value) => write(element, Math.round(value).toLocaleString('en'));
  if (from === to || still.matches || document.hidden) return show(to);
  const began = performance.now();
  const step = (now) => {
    // A newer number has its own steps.
    if (Number(element.dataset.value) !== to) return;
    const part = Math.min(1, Math.max(0, (now - began) / 650));
    show(from + (to - from) * (1 - (1 - part) ** 3));
    if (part < 1) requestAnimationFrame(step);
  };
  requestAnimationFrame(step);
}

/** Points that fly from where they were won to where they are told. */
export function fly(text, from, to) {
  const [start, end] = [from.getBoundingClientRect(), to.getBoundingClientRect()];
  const note = document.createElement('span');
  note.className = 'flight';
  note.setAttribute('aria-hidden', 'true');
  note.textContent = text;
  document.body.append(note);
  const at = (box, scale) => `translate(${box.left + box.width / 2}px, ${box.top + box.height / 2}px) translate(-50%, -50%) scale(${scale})`;
  const flight = move(note, [
    { transform: at(start, 0.6), opacity: 0 },
    { transform: at(start, 1.25), opacity: 1, offset: 0.25 },
    { transform: at(end, 0.6), opacity: 1, offset: 0.85 },
    { transform: at(end, 0.5), opacity: 0 },
  ], 900);
  if (flight === null) note.remove();
  else flight.onfinish = flight.oncancel = () => note.remove();
}
