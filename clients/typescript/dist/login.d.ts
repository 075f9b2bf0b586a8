import type { User } from './types.js';
export declare class Login {
    #private;
    get token(): string | null;
    get user(): User | null;
    /** Takes a token, or none, and tells everybody if it is another one. */
    set(token: string | null, known?: Partial<User>): void;
    /** Learns something about the user, if the login is still the one that it came with. */
    learn(token: string | null, known: Partial<User>): void;
    /** Fails if it is another user's by now: what one user began is not to be sent in the name of another. */
    stillOf(token: string | null): void;
    /** Returns what ends it. */
    onChange(listener: (token: string | null) => void): () => void;
}
/** The claims of any JWT, unverified. */
export declare function payload(token: string): Record<string, unknown> | null;
