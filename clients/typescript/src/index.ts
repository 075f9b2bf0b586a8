// The client of Laurel, a tamper-proof real-time leaderboard.

export { Laurel, type LaurelOptions } from './client.js';
export { LaurelError, type ErrorCode, type ErrorMetadata, type FieldProblem } from './errors.js';
export { Game, type UpdateOptions } from './game.js';
export { Live, type LiveOptions, type LiveState, type StateDetail } from './live.js';
export type { AwardOptions, CallOptions, PlayOptions, TokenRequest } from './play.js';
export { solveHashcash, type HashcashChallenge, type HashcashOptions } from './proofs.js';
export type { RetryOptions } from './retry.js';
export type { WebSocketLike, WebSocketMaker } from './socket.js';
export type * from './types.js';
