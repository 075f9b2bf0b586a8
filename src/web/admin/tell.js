// How a view tells what came of something: at the field, in its place, or in the line that screen readers read.

import { fill, heading, make } from './element.js';

/** An error in its place: the API's words, when to come again, and a way to do so. */
export function tell(outlet, error, again) {
  const wait = make('span', {});
  const button = again && make('button.small', { type: 'button', on: { click: again } }, 'Try again');
  const rest = (error.fields ?? []).map((it) => make('span', {}, ` ${it.field} ${it.problem}.`));
  fill(outlet, [make('div.problem', { role: outlet.getAttribute('role') ? null : 'alert' },
    make('p', {}, hint(error), rest, ' ', wait), button)]);
  if (error.retrySeconds) count(error.retrySeconds, wait, button);
}

function hint(error) {
  const sentence = /[.!?]$/.test(error.message) ? error.message : `${error.message}.`;
  const grant = 'The first operator is made on the machine: laurel admin grant NAME --reason "…".';
  return error.code === 'FORBIDDEN' ? `${sentence} ${grant}` : sentence;
}

function count(seconds, wait, button) {
  if (button) button.disabled = seconds > 0;
  wait.textContent = seconds > 0 ? `You can try again in ${seconds} s.` : 'You can try again now.';
  if (seconds > 0) setTimeout(() => wait.isConnected && count(seconds - 1, wait, button), 1000);
}

/** Shows what the API says of fields at the fields. Returns whether it said something of each. */
export function tellFields(form, error) {
  clearFields(form);
  let all = Boolean(error.fields?.length);
  for (const { field, problem } of error.fields ?? []) {
    const input = form.elements.namedItem(field);
    if (!input) {
      all = false;
      continue;
    }
    const id = `problem-${field}`;
    input.setAttribute('aria-invalid', 'true');
    input.setAttribute('aria-describedby', id);
    input.after(make('span.problem', { id, 'data-field-problem': true }, problem));
  }
  form.querySelector('[aria-invalid]')?.focus();
  return all;
}

export function clearFields(form) {
  for (const it of form.querySelectorAll('[data-field-problem]')) it.remove();
  for (const it of form.querySelectorAll('[aria-invalid]')) {
    it.removeAttribute('aria-invalid');
    it.removeAttribute('aria-describedby');
  }
}

let fading;

/** What came of a deed, said once and shown for a while. */
export function outcome(text) {
  const line = document.querySelector('.outcome');
  clearTimeout(fading);
  line.hidden = false;
  line.textContent = text;
  fading = setTimeout(() => { line.hidden = true; line.textContent = ''; }, 8000);
}

/** Which reading of a place is the newest one. */
const turns = new WeakMap();

/**
 * Reads for a place, and draws what comes. If the place is read anew meanwhile, or left, neither what comes nor why nothing comes
 * matters any more. Returns whether it drew; throws what the newest reading throws.
 */
export async function refresh(outlet, signal, read, draw) {
  const turn = Symbol('turn');
  turns.set(outlet, turn);
  const newest = () => turns.get(outlet) === turn && !signal.aborted;
  outlet.setAttribute('aria-busy', 'true');
  try {
    const found = await read();
    if (!newest()) return false;
    draw(found);
    return true;
  } catch (error) {
    if (newest()) throw error;
    return false;
  } finally {
    if (turns.get(outlet) === turn) outlet.removeAttribute('aria-busy');
  }
}

/** A view in place of one that is not there, with the way to one that is. */
export function notFound(what, href, title) {
  return make('div', {}, heading('Not found'), make('p', {}, `${what} `, make('a', { href }, `Go to ${title}`), '.'));
}

/** Fills a place with what is loaded, or with why it is not; `missing` says that there is no such thing. Returns whether it is loaded. */
export async function load(outlet, signal, read, draw, missing) {
  if (!outlet.hasChildNodes()) fill(outlet, [make('p.quiet.loading', {}, 'Loading …')]);
  try {
    return await refresh(outlet, signal, read, draw);
  } catch (error) {
    if (missing && error.status === 404) {
      missing();
      document.querySelector('main h1').focus({ preventScroll: true });
    } else tell(outlet, error, () => { outlet.replaceChildren(); load(outlet, signal, read, draw, missing); });
    return false;
  }
}
