// How numbers, times and the API's words are written. All times are UTC, as the hours and days of the charts are.

const whole = new Intl.NumberFormat('en', { maximumFractionDigits: 0 });
const short = new Intl.NumberFormat('en', { notation: 'compact', maximumFractionDigits: 1 });
const precise = new Intl.NumberFormat('en', { maximumFractionDigits: 1 });
const signed = new Intl.NumberFormat('en', { signDisplay: 'exceptZero' });
const written = (options) => new Intl.DateTimeFormat('en-GB', { timeZone: 'UTC', hourCycle: 'h23', ...options });
const moment = written({ day: '2-digit', month: 'short', year: 'numeric', hour: '2-digit', minute: '2-digit', second: '2-digit' });
const minute = written({ weekday: 'short', day: '2-digit', month: 'short', hour: '2-digit', minute: '2-digit' });
const day = written({ weekday: 'short', day: '2-digit', month: 'short', year: 'numeric' });
const clock = written({ hour: '2-digit', minute: '2-digit', second: '2-digit' });
const shortDay = written({ day: 'numeric', month: 'short' });
const hour = written({ hour: '2-digit', minute: '2-digit' });

export const number = (it) => (it === null || it === undefined ? '–' : whole.format(it));
export const compact = (it) => (it === null || it === undefined ? '–' : it < 10_000 ? whole.format(it) : short.format(it));
export const decimal = (it) => (it === null || it === undefined ? '–' : precise.format(it));
export const change = (it) => signed.format(it).replace('-', '−');
export const counted = (count, what) => `${number(count)} ${what}${Math.abs(count) === 1 ? '' : 's'}`;
export const points = (it) => counted(it, 'point');

const at = (it) => (it instanceof Date ? it : new Date(it));
export const asMoment = (it) => `${moment.format(at(it))} UTC`;
export const asMinute = (it) => minute.format(at(it));
export const asDay = (it) => day.format(at(it));
export const asClock = (it) => clock.format(at(it));
export const asShortDay = (it) => shortDay.format(at(it));
export const asHour = (it) => hour.format(at(it));
export const utcDay = (it) => at(it).toISOString().slice(0, 10);

/** How long ago, roughly. */
export function ago(it, now = Date.now()) {
  const seconds = Math.max(0, (now - at(it).getTime()) / 1000);
  if (seconds < 60) return 'just now';
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ago`;
  if (seconds < 48 * 3600) return `${Math.floor(seconds / 3600)} h ago`;
  return `${Math.floor(seconds / 86_400)} days ago`;
}

/** A length of time. */
export function span(seconds) {
  if (seconds < 60) return `${Math.round(seconds)} s`;
  return `${Math.floor(seconds / 60)} min ${Math.round(seconds % 60)} s`;
}

/** `proof_failed`, `TOKEN_ALREADY_USED` and such, as words. */
export const words = (code) => String(code).toLowerCase().replaceAll('_', ' ');

/** What a sign means. */
export const SIGNS = {
  replayed: 'a token handed in again',
  forged: 'a token never given out',
  foreign: 'another player’s token',
  expired: 'a token that had run out',
  proof_failed: 'a proof that does not verify',
  too_fast: 'finished sooner than it can be',
  flooding: 'more attempts than allowed',
  bad_login: 'a forged login or a wrong password',
};
