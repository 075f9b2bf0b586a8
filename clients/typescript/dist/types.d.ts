/** A place on the board. Equal scores share a rank. */
export interface Row {
    /** The user's UUID. */
    readonly userId: string;
    readonly username: string;
    readonly score: number;
    readonly rank: number;
}
/** The ten best at one moment. */
export interface Board {
    readonly rows: readonly Row[];
    /** It only grows: of two boards the one with the higher version is the newer. */
    readonly version: number;
    /** When it came to be (RFC 3339). */
    readonly timestamp: string;
    /** Redis is away: there may be a newer one. */
    readonly stale: boolean;
}
/** A place on the board of the game API, which names users by their numbers. */
export interface NumberedRow {
    readonly userId: number;
    readonly username: string;
    readonly score: number;
    readonly rank: number;
}
/** The ten best as the game API shows them. */
export interface Top10 {
    readonly rows: readonly NumberedRow[];
    readonly version: number;
    readonly stale: boolean;
}
/** Where one user stands. */
export interface Standing {
    /** The user's number. */
    readonly userId: number;
    readonly username: string;
    readonly score: number;
    /** None without points. */
    readonly rank: number | null;
}
/** Who is logged in, as far as it is known. */
export interface User {
    /** The user's number, which the game API uses; unknown for logins of an outside identity provider. */
    readonly id: number | null;
    /** The user's UUID, which boards and `/api/v1` use. */
    readonly uuid: string | null;
    readonly username: string;
    /** The newest total that this client has heard of. */
    readonly score: number | null;
    readonly role: string | null;
}
/** What an action asks to be shown. */
export type Check = 'elapsed' | 'quiz' | 'hashcash' | 'signed' | 'webhook' | 'admob';
/** An action of the catalogue. */
export interface Action {
    readonly actionType: string;
    readonly actionId: number;
    readonly points: number;
    readonly pointsByDifficulty: Readonly<Record<string, number>>;
    readonly proof: Check | 'none' | 'all';
    /** Every kind of proof that it needs; empty for `none`. */
    readonly checks: readonly Check[];
    readonly flows: readonly ('actions' | 'tokens' | 'game')[];
    readonly limits: {
        readonly cooldownMs: number;
        readonly capPerHour: number;
        readonly capPerDay: number;
        /** `HH:MM` each, in UTC; null: always open. */
        readonly openUtc: {
            readonly from: string;
            readonly to: string;
        } | null;
    };
    /** With a login: ms until the cooldown and the caps let the player start it; 0: now. */
    readonly availableInMs?: number;
}
/** What has to be shown; the fields are those of the action's kinds of proof. */
export interface Challenge {
    /** `elapsed`: from when on the token may be redeemed, by the server's clock (RFC 3339). */
    readonly notBefore?: string;
    /** `elapsed`: until when. */
    readonly notAfter?: string;
    /** `quiz`: what is asked. */
    readonly question?: string;
    /** `quiz`: one of the answers to choose from. */
    readonly choices?: readonly string[];
    /** `hashcash`: what the hashed text begins with. */
    readonly prefix?: string;
    /** `hashcash`: how many leading zero bits the hash has to have. */
    readonly bits?: number;
    /** `signed`: the attestation's `jti`. */
    readonly nonce?: string;
}
/** What is shown: `quizResult`, `nonce`, `attestation`, or whatever a webhook's backend reads. */
export type Proof = Readonly<Record<string, unknown>>;
/** An action that was started. */
export interface Started {
    /** Works once, for `expiresIn` seconds. */
    readonly antiSpamToken: string;
    readonly expiresIn: number;
    readonly actionId: string;
    readonly challenge?: Challenge;
}
/** Points that were won. */
export interface Award {
    readonly success: true;
    readonly newScore: number;
    readonly rank: number;
    readonly leaderboard: readonly Row[];
    /** What was won, signed: a compact JWS that anybody can verify. */
    readonly receipt?: string;
}
/** A token whose action is proven, to be redeemed later. */
export interface ProvenToken {
    readonly actionToken: string;
    readonly actionType: string;
    readonly expiresAt: string;
    readonly expiresIn: number;
}
/** Points that were won in a game. */
export interface GameAward {
    readonly newScore: number;
    readonly pointsEarned: number;
    readonly rank: number;
    readonly receipt?: string;
}
/** A game that is over. */
export interface GameEnd {
    readonly finalScore: number;
    readonly actionsCompleted: number;
    /** Seconds that were played. */
    readonly sessionDuration: number;
}
/** One's own award, as it comes over a live connection. */
export interface Personal {
    /** The user's UUID. */
    readonly userId: string;
    readonly score: number;
    /** None without points: an operator may take all of them. */
    readonly rank: number | null;
    readonly pointsEarned: number;
    /** None for the first points. */
    readonly previousRank: number | null;
}
/** Whether what is shown may be old. */
export interface Status {
    /** Redis is away: the board stays as it was. */
    readonly degraded: boolean;
    /** As of when (RFC 3339). */
    readonly asOf: string;
}
