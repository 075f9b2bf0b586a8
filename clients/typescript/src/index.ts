// The client of Laurel, a tamper-proof real-time leaderboard.

export type { AwardOptions, CallOptions, PlayOptions, TokenRequest } from './actions.js';
export type { EntriesOptions, EntriesPageOptions } from './boards.js';
export { Laurel, type LaurelOptions } from './client.js';
export { LaurelError, type ErrorCode, type ErrorMetadata, type FieldProblem } from './errors.js';
export { Game, type UpdateOptions } from './game.js';
export { solveHashcash, type HashcashChallenge, type HashcashOptions } from './hashcash.js';
export { Live, type LiveOptions, type LiveState, type StateDetail } from './live.js';
export type { PageOptions } from './players.js';
export type { RetryOptions } from './retry.js';
export type { BoardHandlers } from './subscriptions.js';
export type * from './types.js';
export type { WebSocketConstructor, WebSocketLike } from './websocket.js';
