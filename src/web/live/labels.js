// Texts of the live page: names of actions, limits, errors, progress, scores and periods of boards.

const NAMES = {
  watch_ad: 'Watch an ad',
  solve_puzzle: 'Solve a puzzle',
  complete_level: 'Complete a level',
  daily_bonus: 'Daily bonus',
  demo_elapsed: 'Take your time',
  demo_quiz: 'Answer a question',
  demo_hashcash: 'Proof of work',
};
const CHECKS = {
  elapsed: 'Takes a few seconds',
  quiz: 'The server checks your answer',
  hashcash: 'Your device does the math',
};
const HOUR_MS = 3_600_000;
const UNITS = [[86_400, 'd'], [3_600, 'h'], [60, 'min'], [1, 's']];
const TOP_SIZE = 10;
const ORDINALS = new Intl.PluralRules('en', { type: 'ordinal' });
const SUFFIXES = { one: 'st', two: 'nd', few: 'rd', other: 'th' };

/** The name of an action type. A type that is not in the list above becomes words: `win_race` is "Win race". */
export function nameOf(type) {
  if (Object.hasOwn(NAMES, type)) return NAMES[type];
  return type.replaceAll('_', ' ').replace(/^./, (letter) => letter.toUpperCase());
}

/** What an action takes, and how often it can be played. */
export function describeAction({ checks, limits }) {
  const parts = checks.map((check) => CHECKS[check]);
  if (limits.capPerDay > 0) parts.push(limits.capPerDay === 1 ? 'Once a day' : `${limits.capPerDay} times a day`);
  if (limits.capPerHour > 0) parts.push(`${limits.capPerHour} times an hour`);
  return parts.join(', ') || 'Instant';
}

/** Why an action is not available for `ms`. */
export function describeLimit({ limits: { cooldownMs, capPerHour, capPerDay } }, ms) {
  // Caps end at a full UTC hour. Rounding finds it even if the clock is some minutes wrong.
  const end = new Date(Math.round((Date.now() + ms) / HOUR_MS) * HOUR_MS);
  const back = `back at ${end.toISOString().slice(11, 16)} UTC`;
  const isCap = ms > cooldownMs;
  if (isCap && capPerDay > 0 && (capPerHour === 0 || ms > HOUR_MS)) return `Done for today, ${back}`;
  if (isCap && capPerHour > 0) return `Done for this hour, ${back}`;
  return 'Not available yet';
}

/** An error in a player's words. */
export function problemOf({ code, message, unsure }) {
  // The award may have counted although its response was lost.
  if (unsure) return 'No response. Your score shows whether it counted.';
  if (code === 'NETWORK') return 'Can’t reach the server. No points were lost. Try again.';
  if (code === 'RATE_LIMIT_EXCEEDED') return 'Too many requests. Wait a moment.';
  if (code === 'PROOF_INVALID') return 'That was not correct. Try another one.';
  if (code === 'TOKEN_EXPIRED') return 'Time is up. Try another one.';
  return message;
}

/** `1 point`, `1,200 points`. */
export function pointsOf(points) {
  return `${points.toLocaleString('en')} ${Math.abs(points) === 1 ? 'point' : 'points'}`;
}

/** A score with its decimal places: 12345 with two is `123.45`. */
export function scoreOf(score, decimals) {
  return (score / 10 ** decimals).toLocaleString('en', { minimumFractionDigits: decimals, maximumFractionDigits: decimals });
}

/** `1 player`, `1,200 players`. */
export function playersOf(total) {
  return `${total.toLocaleString('en')} ${total === 1 ? 'player' : 'players'}`;
}

/** The name of a period: `28 November 2026` for the day `2026-11-28`, `Week 48, 2026`, `November 2026`, `2026`, or its number and first day. */
export function periodOf({ id, startsAt }) {
  const [year, month, day] = id.split('-');
  const format = (options) => new Intl.DateTimeFormat('en-GB', { timeZone: 'UTC', year: 'numeric', month: 'long', ...options });
  if (month === undefined) return id.startsWith('p') && startsAt !== null ? `${id.slice(1)}, from ${format({ day: 'numeric' }).format(new Date(startsAt))}` : id;
  if (month.startsWith('W')) return `Week ${Number(month.slice(1))}, ${year}`;
  return format(day === undefined ? {} : { day: 'numeric' }).format(Date.UTC(year, month - 1, day ?? 1));
}

/** The time of day: `09:05`. */
export function timeOf(at) {
  return new Date(at).toLocaleTimeString('en', { hour: '2-digit', minute: '2-digit', hourCycle: 'h23' });
}

/** The time until a period ends, in its two largest units: `2 d 4 h`. */
export function timeLeftOf(ms) {
  const seconds = Math.ceil(ms / 1000);
  if (seconds <= 0) return 'Ends now';
  const largest = UNITS.findIndex(([size]) => seconds >= size);
  const parts = UNITS.slice(largest, largest + 2).map(([size, unit], index) => {
    const outer = index === 0 ? Infinity : UNITS[largest][0];
    return [Math.floor((seconds % outer) / size), unit];
  });
  return `Ends in ${parts.filter(([value]) => value > 0).map((part) => part.join(' ')).join(' ')}`;
}

function ordinal(rank) {
  return `${rank.toLocaleString('en')}${SUFFIXES[ORDINALS.select(rank)]}`;
}

/** The result of an award. `rank` is null without points, `before` if it is unknown. */
export function progressOf(points, rank, before) {
  const change = `${points < 0 ? '' : '+'}${pointsOf(points)}.`;
  if (rank === null) return change;
  if (before === null) return `${change} You are ${ordinal(rank)}.`;
  if (before === rank) return `${change} You are still ${ordinal(rank)}.`;
  return `${change} You ${rank < before ? 'rose' : 'fell'} from ${ordinal(before)} to ${ordinal(rank)}.`;
}

/** Points to the next place. Empty for the leader, and if the board is too old to know. */
export function nextPlaceOf(score, rows, ownRow) {
  if (rows === null) return '';
  if (ownRow !== undefined) {
    const above = rows.findLast((row) => row.score > ownRow.score);
    return above === undefined ? '' : `${pointsOf(above.score - ownRow.score)} to ${ordinal(above.rank)} place.`;
  }
  if (rows.length < TOP_SIZE) return 'Any points put you in the top 10.';
  // Among equal scores the earlier one is listed, so a tie with the tenth is not enough.
  const missing = rows.at(-1).score - score + 1;
  return missing > 0 ? `${pointsOf(missing)} to the top 10.` : '';
}
