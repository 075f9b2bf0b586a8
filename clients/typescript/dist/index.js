// The client of Laurel, a tamper-proof real-time leaderboard.
export { Laurel } from './client.js';
export { LaurelError } from './errors.js';
export { Game } from './game.js';
export { solveHashcash } from './hashcash.js';
export { Live } from './live.js';
