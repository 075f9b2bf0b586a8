// Animations. Where the system asks for reduced motion, values change at once.

/** Matches if the system asks for reduced motion. */
export const reducedMotion = matchMedia('(prefers-reduced-motion: reduce)');
const EASE = 'cubic-bezier(.2, .8, .2, 1)';

const isStill = () => reducedMotion.matches || document.hidden;

/** Starts an animation. Returns null if nothing is to move. */
export function animate(element, frames, ms = 650) {
  return isStill() ? null : element.animate(frames, { duration: ms, easing: EASE });
}

/** Writes a number, and its length for styles that shrink long ones. */
export function write(element, text) {
  element.textContent = text;
  element.style.setProperty('--length', text.length);
}

/** Counts a number up or down to `target`. */
export function count(element, target, format = (value) => value.toLocaleString('en')) {
  // Already there, or on its way: a repeated target must not restart the count.
  if (element.dataset.value === String(target)) return;
  const from = Number(element.dataset.value ?? target);
  element.dataset.value = target;
  const show = (value) => write(element, format(Math.round(value)));
  if (from === target || isStill()) return show(target);
  const start = performance.now();
  const step = (now) => {
    // A newer target has its own steps.
    if (Number(element.dataset.value) !== target) return;
    const part = Math.min(1, Math.max(0, (now - start) / 650));
    show(from + (target - from) * (1 - (1 - part) ** 3));
    if (part < 1) requestAnimationFrame(step);
  };
  requestAnimationFrame(step);
}

/** Shows a text that flies from one element to another. */
export function fly(text, from, to) {
  const [start, end] = [from.getBoundingClientRect(), to.getBoundingClientRect()];
  const note = document.createElement('span');
  note.className = 'flight';
  note.setAttribute('aria-hidden', 'true');
  note.textContent = text;
  document.body.append(note);
  const at = (box, scale) => `translate(${box.left + box.width / 2}px, ${box.top + box.height / 2}px) translate(-50%, -50%) scale(${scale})`;
  const flight = animate(note, [
    { transform: at(start, 0.6), opacity: 0 },
    { transform: at(start, 1.25), opacity: 1, offset: 0.25 },
    { transform: at(end, 0.6), opacity: 1, offset: 0.85 },
    { transform: at(end, 0.5), opacity: 0 },
  ], 900);
  if (flight === null) note.remove();
  else flight.onfinish = flight.oncancel = () => note.remove();
}
