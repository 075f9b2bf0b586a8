// What the page calls things.

const NAMES = {
  watch_ad: 'Watch an ad',
  solve_puzzle: 'Solve a puzzle',
  complete_level: 'Complete a level',
  daily_bonus: 'Daily bonus',
  demo_elapsed: 'Take your time',
  demo_quiz: 'Answer a question',
  demo_hashcash: 'Do some work',
};
const ABOUT = {
  elapsed: 'Some seconds, by the server’s clock',
  quiz: 'The answer never leaves the server',
  hashcash: 'Your device computes a proof',
};

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

/** What to say of a refusal, without what only programmers know. */
export function problemOf({ code, message, unsure }) {
  // An award whose answer is lost may be there: the own total tells.
  if (unsure) return 'No answer came. Your total shows whether it counted.';
  if (code === 'NETWORK') return 'The server does not answer. Nothing is lost: try again.';
  if (code === 'PROOF_INVALID') return 'That was not right. Try another one.';
  if (code === 'TOKEN_EXPIRED') return 'Too late. Try another one.';
  return message;
}
