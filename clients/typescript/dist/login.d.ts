import type { User } from './types.js';
export declare class Login {
    #private;
    get token(): string | null;
    get user(): User | null;
    /** Sets the token. Null logs out. Calls the listeners if it is another token. */
    set(token: string | null, user?: Partial<User>): void;
    /** Updates the user, unless the login has changed since `token`. */
    updateUser(token: string | null, user: Partial<User>): void;
    /** Throws `LOGIN_CHANGED` if another user is logged in: what one user started must not be sent in another's name. */
    requireSameUser(token: string | null): void;
    /** Adds a listener. Returns a function that removes it. */
    onChange(listener: (token: string | null) => void): () => void;
}
/** The claims of a JWT, not verified. Null if it is not readable. */
export declare function payload(token: string): Record<string, unknown> | null;
