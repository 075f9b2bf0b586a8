// Types of requests and responses, as in the OpenAPI document.

/** A row of the board. Equal scores share a rank. */
export interface Row {
  /** The user's UUID. */
  readonly userId: string;
  readonly username: string;
  readonly score: number;
  readonly rank: number;
}

/** The top 10. */
export interface Board {
  readonly rows: readonly Row[];
  /** Grows with every change: of two boards, the one with the higher version is newer. */
  readonly version: number;
  /** When the board changed (RFC 3339). */
  readonly timestamp: string;
  /** True if there may be a newer board, because Redis is unavailable. */
  readonly stale: boolean;
}

/** One run of a board. */
export interface BoardPeriod {
  /** Such as `2026-11-28`, `2026-W48`, `2026-11`, `2026` or `p17`. `all` on a board without periods. */
  readonly id: string;
  /** Its first instant (RFC 3339). Null for `all`. */
  readonly startsAt: string | null;
  /** The instant after its last one. Null for `all`. */
  readonly endsAt: string | null;
  readonly state: 'open';
  /** Players on the board; null while it is not known. */
  readonly players: number | null;
}

/** What a board ranks, and its current period. */
export interface BoardDefinition {
  readonly id: string;
  readonly title: string;
  readonly measure: 'points' | 'count' | 'value';
  readonly aggregate: 'sum' | 'best' | 'latest';
  /** `asc`: the lowest score is first. */
  readonly order: 'desc' | 'asc';
  /** Decimal places of a displayed score. Scores are integers. */
  readonly decimals: number;
  /** Entries that subscribers receive. */
  readonly top: number;
  /** Null before the first period and after the last one. */
  readonly period: BoardPeriod | null;
}

/** An entry of a board. */
export interface BoardEntry {
  /** Unique place, from 1. */
  readonly position: number;
  /** Place that equal results share. */
  readonly rank: number;
  /** UUID of the user. */
  readonly userId: string;
  readonly username: string;
  readonly displayName: string;
  readonly score: number;
  readonly subscore?: number;
  /** When the result was reached. */
  readonly achievedAt: string;
}

/** An entry with its percentile. */
export interface RankedEntry extends BoardEntry {
  /** Percentage of the entries that this one is at least as good as. */
  readonly percentile: number;
}

/** What entries of a board have in common. */
interface BoardSnapshot {
  readonly board: string;
  /** Id of the period. */
  readonly period: string;
  readonly state: 'open' | 'settling' | 'closed';
  readonly version: number;
  /** Everything until then is counted. */
  readonly asOf: string | null;
  /** Newer awards may be missing. */
  readonly stale: boolean;
  /** Entries on the board. */
  readonly total: number;
}

/** A page of a board's entries. */
export interface BoardPage extends BoardSnapshot {
  readonly entries: readonly BoardEntry[];
  /** The caller's entry; null without one, absent without a login. */
  readonly me?: RankedEntry | null;
  /** Cursor of the next page. */
  readonly next?: string;
  /** Cursor of the previous page. */
  readonly previous?: string;
}

/** Entries of some users, best first. */
export interface BoardLookup extends BoardSnapshot {
  /** `relative` is the place among these users. */
  readonly entries: readonly (RankedEntry & { readonly relative: { readonly position: number; readonly rank: number } })[];
  /** Users without an entry. */
  readonly notFound: readonly string[];
}

/** A period of a board, past ones included. */
export interface PeriodSummary {
  readonly id: string;
  /** Null for `all`. */
  readonly startsAt: string | null;
  /** Null for `all`. */
  readonly endsAt: string | null;
  /** `settling`: ended, and not closed yet. */
  readonly state: 'open' | 'settling' | 'closed';
  /** Number of entries. Absent until the period is closed, as `root` and `revision` are. */
  readonly total?: number;
  /** Hash over the entries, in hex. */
  readonly root?: string;
  /** 1 at the close; each later change of an entry adds 1. */
  readonly revision?: number;
}

/** A page of a board's periods. */
export interface PeriodPage {
  readonly periods: readonly PeriodSummary[];
  /** Cursor of the next page. */
  readonly next?: string;
}

/** The best entries of a board that you subscribed to. */
export interface BoardUpdate {
  /** The board's id, or `id@value`. */
  readonly board: string;
  /** Id of the current period. */
  readonly period: string;
  /** Best first. Those of `global` have no `achievedAt`. */
  readonly entries: readonly (Omit<BoardEntry, 'achievedAt'> & { readonly achievedAt?: string })[];
  /** Grows with every change: of two states, the one with the higher version is newer. */
  readonly version: number;
  /** When the board changed (RFC 3339). */
  readonly timestamp: string;
  /** True if newer awards may be missing. */
  readonly stale: boolean;
}

/** Your own entry of a board that you subscribed to. All numbers are null if there is none any more. */
export interface BoardEntryUpdate {
  readonly board: string;
  readonly period: string;
  readonly rank: number | null;
  readonly position: number | null;
  readonly score: number | null;
}

/** A row of the game API's board, with the user's number. */
export interface NumberedRow {
  readonly userId: number;
  readonly username: string;
  readonly score: number;
  readonly rank: number;
}

/** The top 10 of the game API. */
export interface Top10 {
  readonly rows: readonly NumberedRow[];
  readonly version: number;
  readonly stale: boolean;
}

/** Score and rank of a user. */
export interface Standing {
  /** The user's number. */
  readonly userId: number;
  readonly username: string;
  readonly score: number;
  /** Null without points. */
  readonly rank: number | null;
}

/** What everyone may see of a player. */
export interface Profile {
  /** The player's UUID. */
  readonly userId: string;
  readonly username: string;
  /** The name to show. */
  readonly displayName: string;
  /** Time of registration (RFC 3339). */
  readonly createdAt: string;
  /** Score on the board `global`. */
  readonly score: number;
  /** Rank on it. Null without points. */
  readonly rank: number | null;
}

/** What players see of themselves. */
export interface OwnProfile extends Profile {
  /** The player's number, used by the game API. */
  readonly number: number;
  readonly roles: readonly ('player' | 'admin')[];
  /** Absent for users of an identity provider. */
  readonly email?: string;
}

/** An award in a player's history. */
export interface AwardHistoryEntry {
  /** The event in the ledger, `jti` of its receipt. */
  readonly eventId: string;
  readonly actionType: string;
  readonly points: number;
  /** The value that the proof established, such as milliseconds. */
  readonly value?: number;
  /** What decides between equal values. */
  readonly subscore?: number;
  /** Time of the award (RFC 3339). */
  readonly at: string;
}

/** A page of a player's history, newest first. */
export interface AwardHistoryPage {
  readonly entries: readonly AwardHistoryEntry[];
  /** The `cursor` of the next page. Absent on the last one. */
  readonly next?: string;
}

/** A player's place in a period of a board. */
export interface PeriodPlace {
  /** Id of the period. */
  readonly period: string;
  readonly position: number;
  readonly rank: number;
  readonly score: number;
  readonly subscore?: number;
  /** When the result was reached. */
  readonly achievedAt: string;
}

/** A player's places on one board. */
export interface BoardPlaces {
  /** The board's id. */
  readonly board: string;
  /** In the current period. */
  readonly current: PeriodPlace | null;
  /** The best one in closed periods. */
  readonly best: PeriodPlace | null;
}

/** The logged-in user, as far as known. */
export interface User {
  /** The user's number, used by the game API. Null for logins of an external identity provider. */
  readonly id: number | null;
  /** The user's UUID, used by boards and `/api/v1`. */
  readonly uuid: string | null;
  readonly username: string;
  /** The newest score that this client has received. */
  readonly score: number | null;
  readonly role: string | null;
}

/** A kind of proof. */
export type Check = 'elapsed' | 'quiz' | 'hashcash' | 'signed' | 'webhook' | 'admob';

/** An action in the catalogue. */
export interface Action {
  readonly actionType: string;
  readonly actionId: number;
  readonly points: number;
  readonly pointsByDifficulty: Readonly<Record<string, number>>;
  readonly proof: Check | 'none' | 'all';
  /** All proofs that it needs. Empty for `none`. */
  readonly checks: readonly Check[];
  readonly flows: readonly ('actions' | 'tokens' | 'game')[];
  readonly limits: {
    readonly cooldownMs: number;
    readonly capPerHour: number;
    readonly capPerDay: number;
    /** Times of day in UTC, `HH:MM`. Null: always open. */
    readonly openUtc: { readonly from: string; readonly to: string } | null;
  };
  /** With a login: ms until cooldown and caps allow the action. 0 is now. */
  readonly availableInMs?: number;
}

/** What the proof must answer. The fields depend on the action's kinds of proof. */
export interface Challenge {
  /** `elapsed`: earliest time to redeem the token, on the server's clock (RFC 3339). */
  readonly notBefore?: string;
  /** `elapsed`: latest time. */
  readonly notAfter?: string;
  /** `quiz`: the question. */
  readonly question?: string;
  /** `quiz`: the answers to choose from. */
  readonly choices?: readonly string[];
  /** `hashcash`: prefix of the hashed text. */
  readonly prefix?: string;
  /** `hashcash`: leading zero bits that the hash needs. */
  readonly bits?: number;
  /** `signed`: the attestation's `jti`. */
  readonly nonce?: string;
}

/** A proof: `quizResult`, `nonce`, `attestation`, or what the webhook's backend reads. */
export type Proof = Readonly<Record<string, unknown>>;

/** A started action. */
export interface StartedAction {
  /** Single-use token, valid for `expiresIn` seconds. */
  readonly antiSpamToken: string;
  readonly expiresIn: number;
  readonly actionId: string;
  readonly challenge?: Challenge;
}

/** An award. */
export interface Award {
  readonly success: true;
  readonly newScore: number;
  /** Null without points: the action is worth 0. */
  readonly rank: number | null;
  readonly leaderboard: readonly Row[];
  /** The award's receipt: a compact JWS that anyone can verify. */
  readonly receipt?: string;
}

/** A token of a proven action, to redeem later. */
export interface ActionToken {
  readonly actionToken: string;
  readonly actionType: string;
  readonly expiresAt: string;
  readonly expiresIn: number;
}

/** An award in a game. */
export interface GameAward {
  readonly newScore: number;
  readonly pointsEarned: number;
  /** Null without points: the action is worth 0. */
  readonly rank: number | null;
  readonly receipt?: string;
}

/** The result of a finished game. */
export interface GameEnd {
  readonly finalScore: number;
  readonly actionsCompleted: number;
  /** Seconds. */
  readonly sessionDuration: number;
}

/** An award of the logged-in user, from the live connection. */
export interface PersonalUpdate {
  /** The user's UUID. */
  readonly userId: string;
  readonly score: number;
  /** Null without points: an admin can remove all of them. */
  readonly rank: number | null;
  readonly pointsEarned: number;
  /** Null for the first points. */
  readonly previousRank: number | null;
}

/** Whether the board may be out of date. */
export interface ServerStatus {
  /** True while Redis is unavailable. The board does not change. */
  readonly degraded: boolean;
  /** When the board was last known to be current (RFC 3339). */
  readonly asOf: string;
}
