// The boards as HTTP gives them: asked by tag, kept, and never older than what was given before.

import type { Ask, Rest } from './rest.js';
import type { Board, NumberedRow, Row, Top10 } from './types.js';

/** One address whose answer is kept. */
class Kept<T extends { readonly version: number }> {
  #tag: string | null = null;
  #board: T | null = null;

  constructor(
    private readonly path: string,
    private readonly read: (body: unknown, version: number) => T,
  ) {}

  async ask(rest: Rest, ask: Pick<Ask, 'once' | 'timeoutMs' | 'signal'>): Promise<T> {
    const headers: Record<string, string> = this.#tag === null ? {} : { 'if-none-match': this.#tag };
    const answer = await rest.answer('GET', this.path, { ...ask, headers });
    if (answer.status !== 304 || this.#board === null) {
      const tag = answer.headers.get('etag');
      const board = this.read(answer.body, Number(/\d+/.exec(tag ?? '')?.[0] ?? 0));
      // An answer is what its node knows, which may be some milliseconds behind another's.
      if (this.#board === null || board.version >= this.#board.version) {
        this.#board = board;
        this.#tag = tag;
      }
    }
    return this.#board;
  }
}

export class Boards {
  readonly #leaderboard = new Kept<Board>('/api/v1/scores/leaderboard', (body) => {
    const { leaderboard, version, stale } = body as { leaderboard: Row[]; version: number; stale?: boolean };
    return { rows: leaderboard, version, timestamp: momentOf(version), stale: stale === true };
  });
  readonly #top10 = new Kept<Top10>('/api/scoreboard/top10', (body, version) => {
    const { data, metadata } = body as { data: NumberedRow[]; metadata: { stale?: boolean } };
    return { rows: data, version, stale: metadata.stale === true };
  });

  constructor(private readonly rest: Rest) {}

  leaderboard(signal?: AbortSignal): Promise<Board> {
    return this.#leaderboard.ask(this.rest, { signal });
  }

  /** Tried once, for whoever only wants to know whether there is a newer one. */
  glance(timeoutMs: number): Promise<Board> {
    return this.#leaderboard.ask(this.rest, { once: true, timeoutMs });
  }

  top10(signal?: AbortSignal): Promise<Top10> {
    return this.#top10.ask(this.rest, { signal });
  }
}

/** A version is the moment of the change in µs. */
function momentOf(version: number): string {
  return new Date(version / 1000).toISOString();
}
