// Boards over HTTP: requested with an entity tag, cached, and never older than one that was returned before.

import type { CallOptions } from './actions.js';
import type { PageOptions } from './players.js';
import type { RequestOptions, Rest } from './rest.js';
import type { Board, BoardDefinition, BoardEntry, BoardLookup, BoardPage, NumberedRow, PeriodPage, Row, Top10 } from './types.js';

/** A board URL and its newest response. */
class CachedBoard<T extends { readonly version: number }> {
  #tag: string | null = null;
  #board: T | null = null;

  constructor(
    private readonly path: string,
    private readonly parse: (body: unknown, version: number) => T,
  ) {}

  async get(rest: Rest, options: Pick<RequestOptions, 'once' | 'timeoutMs' | 'signal'>): Promise<T> {
    const headers: Record<string, string> = this.#tag === null ? {} : { 'if-none-match': this.#tag };
    const response = await rest.request('GET', this.path, { ...options, headers });
    if (response.status !== 304 || this.#board === null) {
      const tag = response.headers.get('etag');
      const board = this.parse(response.body, Number(/\d+/.exec(tag ?? '')?.[0] ?? 0));
      // Another node may be some milliseconds behind the one that responded before.
      if (this.#board === null || board.version >= this.#board.version) {
        this.#board = board;
        this.#tag = tag;
      }
    }
    return this.#board;
  }
}

/** Which entries of a board. */
export interface EntriesOptions extends CallOptions {
  /** Id of a period. The current one by default. */
  readonly period?: string;
  /** Maximum number of entries of a page, 1 to 200. Default 25. */
  readonly limit?: number;
}

/** Which page of a board. */
export interface EntriesPageOptions extends EntriesOptions {
  /** `next` or `previous` of a page. */
  readonly cursor?: string | undefined;
  /** `me` or a user's UUID: that entry is in the middle. */
  readonly around?: string;
  /** Best entries to add before the page, 0 to 100. */
  readonly top?: number;
}

export class Boards {
  readonly #leaderboard = new CachedBoard<Board>('/api/v1/scores/leaderboard', (body) => {
    const { leaderboard, version, stale } = body as { leaderboard: Row[]; version: number; stale?: boolean };
    return { rows: leaderboard, version, timestamp: timestampOf(version), stale: stale === true };
  });
  readonly #top10 = new CachedBoard<Top10>('/api/scoreboard/top10', (body, version) => {
    const { data, metadata } = body as { data: NumberedRow[]; metadata: { stale?: boolean } };
    return { rows: data, version, stale: metadata.stale === true };
  });

  constructor(private readonly rest: Rest) {}

  async list(signal?: AbortSignal): Promise<readonly BoardDefinition[]> {
    return (await this.rest.bare<{ boards: BoardDefinition[] }>('GET', '/api/v1/boards', { signal })).boards;
  }

  one(id: string, signal?: AbortSignal): Promise<BoardDefinition> {
    return this.rest.bare('GET', pathOf(id), { signal });
  }

  page(id: string, { signal, ...fields }: EntriesPageOptions = {}): Promise<BoardPage> {
    return this.rest.bare('GET', `${pathOf(id)}/entries?${queryOf(fields)}`, { signal });
  }

  periodsPage(id: string, { signal, ...fields }: PageOptions = {}): Promise<PeriodPage> {
    return this.rest.bare('GET', `${pathOf(id)}/periods?${queryOf(fields)}`, { signal });
  }

  async *entries(id: string, options: EntriesOptions): AsyncGenerator<BoardEntry, void> {
    let cursor: string | undefined;
    do {
      const page = await this.page(id, { ...options, cursor });
      yield* page.entries;
      cursor = page.next;
    } while (cursor !== undefined);
  }

  lookup(id: string, userIds: readonly string[], { period, signal }: Omit<EntriesOptions, 'limit'> = {}): Promise<BoardLookup> {
    const body = period === undefined ? { userIds } : { userIds, period };
    return this.rest.bare('POST', `${pathOf(id)}/entries/lookup`, { body, signal, repeatable: true });
  }

  leaderboard(signal?: AbortSignal): Promise<Board> {
    return this.#leaderboard.get(this.rest, { signal });
  }

  /** Like `leaderboard`, with one attempt: for a check whether there is a newer board. */
  poll(timeoutMs: number): Promise<Board> {
    return this.#leaderboard.get(this.rest, { once: true, timeoutMs });
  }

  top10(signal?: AbortSignal): Promise<Top10> {
    return this.#top10.get(this.rest, { signal });
  }
}

function pathOf(id: string): string {
  return `/api/v1/boards/${encodeURIComponent(id)}`;
}

function queryOf(fields: object): URLSearchParams {
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(fields)) {
    if (value !== undefined) query.set(name, String(value));
  }
  return query;
}

/** A version is the time of the change, in µs since the Unix epoch. */
function timestampOf(version: number): string {
  return new Date(version / 1000).toISOString();
}
