// Loading states, errors and results: at a field, in a section, or in the line at the bottom of the page.

import { fill, heading, make } from './elements.js';

/** Shows an error with a button to retry, disabled until the server accepts requests again. */
export function showError(outlet, error, retry) {
  const wait = make('span', {});
  const button = retry && make('button.small', { type: 'button', on: { click: retry } }, 'Try again');
  const fields = (error.fields ?? []).map(({ field, problem }) => make('span', {}, ` ${field} ${problem}.`));
  fill(outlet, [make('div.problem', { role: outlet.getAttribute('role') ? null : 'alert' },
    make('p', {}, messageOf(error), fields, ' ', wait), button)]);
  if (error.retrySeconds) countDown(error.retrySeconds, wait, button);
}

function messageOf(error) {
  const sentence = /[.!?]$/.test(error.message) ? error.message : `${error.message}.`;
  const hint = 'To create an admin, run this on the server: laurel admin grant NAME --reason "…".';
  return error.code === 'FORBIDDEN' ? `${sentence} ${hint}` : sentence;
}

function countDown(seconds, wait, button) {
  if (button) button.disabled = seconds > 0;
  wait.textContent = seconds > 0 ? `You can try again in ${seconds} s.` : 'You can try again now.';
  if (seconds > 0) setTimeout(() => wait.isConnected && countDown(seconds - 1, wait, button), 1000);
}

/** Shows the API's errors at their fields. Returns true if each of them has its field in the form. */
export function showFieldErrors(form, error) {
  clearFieldErrors(form);
  let isComplete = Boolean(error.fields?.length);
  for (const { field, problem } of error.fields ?? []) {
    const input = form.elements.namedItem(field);
    if (!input) {
      isComplete = false;
      continue;
    }
    const id = `problem-${field}`;
    input.setAttribute('aria-invalid', 'true');
    input.setAttribute('aria-describedby', id);
    input.after(make('span.problem', { id, 'data-field-problem': true }, problem));
  }
  form.querySelector('[aria-invalid]')?.focus();
  return isComplete;
}

export function clearFieldErrors(form) {
  for (const problem of form.querySelectorAll('[data-field-problem]')) problem.remove();
  for (const input of form.querySelectorAll('[aria-invalid]')) {
    input.removeAttribute('aria-invalid');
    input.removeAttribute('aria-describedby');
  }
}

let toastTimer;

/** Shows and announces the result of an action for 8 seconds. */
export function showResult(text) {
  const toast = document.querySelector('.toast');
  clearTimeout(toastTimer);
  toast.hidden = false;
  toast.textContent = text;
  toastTimer = setTimeout(() => { toast.hidden = true; toast.textContent = ''; }, 8000);
}

/** The newest request of each section. */
const newestRequests = new WeakMap();

/**
 * Requests data for a section and draws it. If a newer request has started or the view was left, neither the data nor an error matters.
 * Returns true if it drew; throws the error of the newest request.
 */
export async function refresh(outlet, signal, request, draw) {
  const id = Symbol('request');
  newestRequests.set(outlet, id);
  const isNewest = () => newestRequests.get(outlet) === id && !signal.aborted;
  outlet.setAttribute('aria-busy', 'true');
  try {
    const data = await request();
    if (!isNewest()) return false;
    draw(data);
    return true;
  } catch (error) {
    if (isNewest()) throw error;
    return false;
  } finally {
    if (newestRequests.get(outlet) === id) outlet.removeAttribute('aria-busy');
  }
}

/** A view for what does not exist, with a link to another view. */
export function notFound(message, href, title) {
  return make('div', {}, heading('Not found'), make('p', {}, `${message} `, make('a', { href }, `Go to ${title}`), '.'));
}

/** Like `refresh`, but shows that it loads, and errors in place. `onMissing` is called if the API responds 404. Returns true if it drew. */
export async function load(outlet, signal, request, draw, onMissing) {
  if (!outlet.hasChildNodes()) fill(outlet, [make('p.quiet.loading', {}, 'Loading …')]);
  try {
    return await refresh(outlet, signal, request, draw);
  } catch (error) {
    if (onMissing && error.status === 404) {
      onMissing();
      document.querySelector('main h1').focus({ preventScroll: true });
    } else {
      showError(outlet, error, () => { outlet.replaceChildren(); load(outlet, signal, request, draw, onMissing); });
    }
    return false;
  }
}
