// What the two ways to listen have in common: an open link, what it hears, and how it ends.

/** Why a link is no more, and what follows from it. */
export interface Ending {
  /** The login or the origin is not taken: coming back with the same one is of no use. */
  readonly refused: boolean;
  /** For people; it never holds a token. */
  readonly reason: string;
  /** The HTTP status or the close code, where there was one. */
  readonly code?: number;
  /** The server's wish when to come back. */
  readonly waitMs?: number | undefined;
  /** The server has drawn that wish for this client alone, so nothing is added to it. */
  readonly drawn?: boolean;
}

/** Who hears a link. After `end`, and after the link was closed, nothing comes. */
export interface Hooks {
  /** Anything at all came, so the connection lives. */
  alive(): void;
  event(event: Readonly<Record<string, unknown>>): void;
  end(ending: Ending): void;
}

/** A link, which may still be opening. */
export interface Link {
  readonly transport: 'websocket' | 'events';
  /** Asks the server for a sign of life, where the transport can. */
  ping?(): void;
  close(): void;
}

/** A server that takes nobody in so long is given up. */
export const OPENING_MS = 15_000;

/** Hooks that fall silent after the end. */
export function untilEnd(hooks: Hooks, cleanUp: () => void): Hooks & { stop(): void } {
  let over = false;
  const stop = () => {
    over = true;
    cleanUp();
  };
  return {
    stop,
    alive: () => over || hooks.alive(),
    event: (event) => over || hooks.event(event),
    end(ending) {
      if (over) return;
      stop();
      hooks.end(ending);
    },
  };
}
