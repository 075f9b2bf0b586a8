// Formats of numbers, times and codes. All times are UTC, like the hours and days of the charts.

const whole = new Intl.NumberFormat('en', { maximumFractionDigits: 0 });
const short = new Intl.NumberFormat('en', { notation: 'compact', maximumFractionDigits: 1 });
const precise = new Intl.NumberFormat('en', { maximumFractionDigits: 1 });
const signed = new Intl.NumberFormat('en', { signDisplay: 'exceptZero' });
const utc = (options) => new Intl.DateTimeFormat('en-GB', { timeZone: 'UTC', hourCycle: 'h23', ...options });
const second = utc({ day: '2-digit', month: 'short', year: 'numeric', hour: '2-digit', minute: '2-digit', second: '2-digit' });
const minute = utc({ weekday: 'short', day: '2-digit', month: 'short', hour: '2-digit', minute: '2-digit' });
const day = utc({ weekday: 'short', day: '2-digit', month: 'short', year: 'numeric' });
const clock = utc({ hour: '2-digit', minute: '2-digit', second: '2-digit' });
const shortDay = utc({ day: 'numeric', month: 'short' });
const hour = utc({ hour: '2-digit', minute: '2-digit' });

const isMissing = (value) => value === null || value === undefined;
export const number = (value) => (isMissing(value) ? '–' : whole.format(value));
export const compact = (value) => (isMissing(value) ? '–' : value < 10_000 ? whole.format(value) : short.format(value));
export const decimal = (value) => (isMissing(value) ? '–' : precise.format(value));
export const change = (value) => signed.format(value).replace('-', '−');
export const counted = (count, noun) => `${number(count)} ${noun}${Math.abs(count) === 1 ? '' : 's'}`;
export const points = (value) => counted(value, 'point');

const dateOf = (time) => (time instanceof Date ? time : new Date(time));
export const asSecond = (time) => `${second.format(dateOf(time))} UTC`;
export const asMinute = (time) => minute.format(dateOf(time));
export const asDay = (time) => day.format(dateOf(time));
export const asClock = (time) => clock.format(dateOf(time));
export const asShortDay = (time) => shortDay.format(dateOf(time));
export const asHour = (time) => hour.format(dateOf(time));
export const isoDay = (time) => dateOf(time).toISOString().slice(0, 10);

/** Time since then, in one unit: `5 min ago`. */
export function ago(time, now = Date.now()) {
  const seconds = Math.max(0, (now - dateOf(time).getTime()) / 1000);
  if (seconds < 60) return 'just now';
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ago`;
  if (seconds < 48 * 3600) return `${Math.floor(seconds / 3600)} h ago`;
  return `${Math.floor(seconds / 86_400)} days ago`;
}

/** A duration: `45 s`, `2 min 5 s`. */
export function duration(seconds) {
  if (seconds < 60) return `${Math.round(seconds)} s`;
  return `${Math.floor(seconds / 60)} min ${Math.round(seconds % 60)} s`;
}

/** A code in words: `TOKEN_ALREADY_USED` is "token already used". */
export const words = (code) => String(code).toLowerCase().replaceAll('_', ' ');

/** Meanings of the abuse signals. */
export const SIGNALS = {
  replayed: 'a token that was already used',
  forged: 'a token that Laurel never issued',
  foreign: 'another player’s token',
  expired: 'an expired token',
  proof_failed: 'a proof that does not verify',
  too_fast: 'finished sooner than possible',
  flooding: 'more attempts than allowed',
  bad_login: 'a forged login or a wrong password',
};
