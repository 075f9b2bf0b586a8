// Profiles and award histories.

import type { CallOptions } from './actions.js';
import type { Rest } from './rest.js';
import type { AwardHistoryEntry, AwardHistoryPage, BoardPlaces, OwnProfile, Profile } from './types.js';

/** Which page of a history. */
export interface PageOptions extends CallOptions {
  /** Maximum number of entries, 1 to 200. Default 25. */
  readonly limit?: number;
  /** `next` of the previous page. */
  readonly cursor?: string | undefined;
}

export class Players {
  constructor(private readonly rest: Rest) {}

  me(signal?: AbortSignal): Promise<OwnProfile> {
    return this.rest.bare('GET', '/api/v1/me', { signal });
  }

  profile(userId: number | string, signal?: AbortSignal): Promise<Profile> {
    return this.rest.bare('GET', pathOf(userId), { signal });
  }

  historyPage(userId: number | string, { limit = 25, cursor, signal }: PageOptions = {}): Promise<AwardHistoryPage> {
    const query = new URLSearchParams({ limit: String(limit) });
    if (cursor !== undefined) query.set('cursor', cursor);
    return this.rest.bare('GET', `${pathOf(userId)}/history?${query}`, { signal });
  }

  async places(userId: number | string, signal?: AbortSignal): Promise<readonly BoardPlaces[]> {
    const { places } = await this.rest.bare<{ places: readonly BoardPlaces[] }>('GET', `${pathOf(userId)}/places`, { signal });
    return places;
  }

  async *history(userId: number | string, options: Omit<PageOptions, 'cursor'>): AsyncGenerator<AwardHistoryEntry, void> {
    let cursor: string | undefined;
    do {
      const page = await this.historyPage(userId, { ...options, cursor });
      yield* page.entries;
      cursor = page.next;
    } while (cursor !== undefined);
  }
}

function pathOf(userId: number | string): string {
  return `/api/v1/users/${encodeURIComponent(userId)}`;
}
