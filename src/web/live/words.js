// What the page calls things.

const NAMES = {
  watch_ad: 'Watch an ad',
  solve_puzzle: 'Solve a puzzle',
  complete_level: 'Complete a level',
  daily_bonus: 'Daily bonus',
  demo_elapsed: 'Take your time',
  demo_quiz: 'Answer a question',
  demo_hashcash: 'Proof of work',
};
const ABOUT = {
  elapsed: 'Some seconds, by the server’s clock',
  quiz: 'The answer never leaves the server',
  hashcash: 'Your device computes a proof',
};
const HOUR_MS = 3_600_000;
const PLACES = 10;
const ORDINALS = new Intl.PluralRules('en', { type: 'ordinal' });
const ENDINGS = { one: 'st', two: 'nd', few: 'rd', other: 'th' };

/** `solve_puzzle` is "Solve a puzzle"; one that nobody named here is read as it is written. */
export function nameOf(type) {
  if (Object.hasOwn(NAMES, type)) return NAMES[type];
  return type.replaceAll('_', ' ').replace(/^./, (it) => it.toUpperCase());
}

export function aboutOf({ checks, limits }) {
  const said = checks.map((it) => ABOUT[it]);
  if (limits.capPerDay > 0) said.push(limits.capPerDay === 1 ? 'Once a day' : `${limits.capPerDay} times a day`);
  if (limits.capPerHour > 0) said.push(`${limits.capPerHour} times an hour`);
  return said.join(', ') || 'Counts at once';
}

/** Why an action cannot be played again for so long. */
export function limitOf({ limits: { cooldownMs, capPerHour, capPerDay } }, ms) {
  // Caps end with an hour of UTC, which a clock that is some minutes wrong still finds.
  const end = new Date(Math.round((Date.now() + ms) / HOUR_MS) * HOUR_MS);
  const back = `back at ${end.toISOString().slice(11, 16)} UTC`;
  const capped = ms > cooldownMs;
  if (capped && capPerDay > 0 && (capPerHour === 0 || ms > HOUR_MS)) return `Done for today, ${back}`;
  if (capped && capPerHour > 0) return `Done for this hour, ${back}`;
  return 'Not again yet';
}

/** What to say of a refusal, without what only programmers know. */
export function problemOf({ code, message, unsure }) {
  // An award whose answer is lost may be there: the own total tells.
  if (unsure) return 'No answer came. Your total shows whether it counted.';
  if (code === 'NETWORK') return 'Can’t reach the server. No points were lost. Try again.';
  if (code === 'RATE_LIMIT_EXCEEDED') return 'Too many at once. Wait a little.';
  if (code === 'PROOF_INVALID') return 'That was not right. Try another one.';
  if (code === 'TOKEN_EXPIRED') return 'Too late. Try another one.';
  return message;
}

/** `1 point`, `1,200 points`. */
export function pointsOf(points) {
  return `${points.toLocaleString('en')} ${Math.abs(points) === 1 ? 'point' : 'points'}`;
}

function ordinal(rank) {
  return `${rank.toLocaleString('en')}${ENDINGS[ORDINALS.select(rank)]}`;
}

/** What an award did; the rank before it may be unknown. */
export function progressOf(points, rank, before) {
  const won = `${points < 0 ? '' : '+'}${pointsOf(points)}.`;
  if (rank === null) return won;
  if (before === null) return `${won} You are ${ordinal(rank)}.`;
  if (before === rank) return `${won} You are still ${ordinal(rank)}.`;
  return `${won} You ${rank < before ? 'rose' : 'fell'} from ${ordinal(before)} to ${ordinal(rank)}.`;
}

/** What the next place takes, as far as the board tells; empty where it does not, and for the first. */
export function nextPlaceOf(score, rows, own) {
  if (rows === null) return '';
  if (own !== undefined) {
    const above = rows.findLast((row) => row.score > own.score);
    return above === undefined ? '' : `${pointsOf(above.score - own.score)} to ${ordinal(above.rank)} place.`;
  }
  if (rows.length < PLACES) return 'Any points put you in the top 10.';
  // Who has as many as the tenth came later, and is not listed.
  const missing = rows.at(-1).score - score + 1;
  return missing > 0 ? `${pointsOf(missing)} to the top 10.` : '';
}
