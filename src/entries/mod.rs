//! Reads of the entries of boards: pages, the surroundings of a player, and lookups. Open periods are in Redis, closed ones in Postgres.

mod closed;
mod entry_body;
mod history;
mod periods;
mod places;
mod position;
mod viewer;

use std::sync::Arc;

use jiff::Timestamp;
use uuid::Uuid;

use crate::board::{Boards, Definition, Order, Ranking};
use crate::clock::Clock;
use crate::cursor::Cursors;
use crate::db::Database;
use crate::error::{Refusal, Result};
use crate::health::Health;
use crate::metrics::Metrics;
use crate::store::{EntriesPage, EntriesQuery, EntryOrder, PeriodKey, Place, PlacedEntry, Store};
pub use entry_body::EntryBody;
pub use history::{PastPeriod, PeriodPage, Revision};
pub use periods::{BoardPeriod, OpenPeriods};
pub use places::{BoardPlaces, PeriodPlace};
use position::Position;
pub use viewer::viewer;

/// Entries whose newest award is older than the ledger's newest one by more than this are stale.
const STALE_MS: i64 = 3000;

/// What reads of entries work with.
#[allow(missing_docs, reason = "each part is documented at its type")]
pub struct Entries {
    pub clock: Clock,
    pub metrics: Arc<Metrics>,
    pub store: Arc<Store>,
    pub database: Database,
    pub health: Arc<Health>,
    pub boards: Arc<Boards>,
    pub cursors: Arc<Cursors>,
    pub open_periods: OpenPeriods,
}

/// Where a page begins.
#[derive(Clone, Debug)]
pub enum Start {
    /// At the best entry.
    Top,
    /// So that this user's entry is in the middle.
    Around(Uuid),
    /// Where a page's cursor says.
    Cursor(String),
}

/// A page of a board's entries that a client wants.
#[derive(Clone, Debug)]
pub struct PageQuery<'a> {
    /// The board's address: its id, or `id@value`.
    pub address: &'a str,
    /// The period's id; `None`: the current one, or the one of the cursor.
    pub period: Option<String>,
    /// Where the page begins.
    pub start: Start,
    /// Most entries of the page.
    pub limit: usize,
    /// Best entries to add before the page.
    pub top: usize,
    /// A user whose entry is wanted too.
    pub me: Option<Uuid>,
}

/// What the entries of a read have in common.
#[derive(Clone, Debug)]
pub struct Snapshot {
    /// Id of the period.
    pub period: String,
    /// Its state: `open`, `settling` or `closed`.
    pub state: &'static str,
    /// Version of the board.
    pub version: i64,
    /// Everything redeemed until then is counted (ms since the Unix epoch); `None`: the period is not loaded.
    pub as_of_ms: Option<i64>,
    /// Whether the entries may be older than the ledger.
    pub is_stale: bool,
    /// Entries on the board.
    pub total: u64,
}

/// A page of entries.
#[derive(Clone, Debug)]
pub struct Page {
    /// The state of the period.
    pub snapshot: Snapshot,
    /// The entries, best first.
    pub entries: Vec<PlacedEntry>,
    /// The caller's entry.
    pub me: Option<PlacedEntry>,
    /// Cursor of the next page, if there is one.
    pub next: Option<String>,
    /// Cursor of the previous page, if there is one.
    pub previous: Option<String>,
}

/// The best entries of a board's current period.
#[derive(Clone, Debug)]
pub struct Top {
    /// The period.
    pub period: BoardPeriod,
    /// Version of the board, above those of earlier periods.
    pub version: i64,
    /// Whether the entries may be older than the ledger.
    pub is_stale: bool,
    /// As many as the board pushes to subscribers, best first.
    pub entries: Vec<PlacedEntry>,
    /// The entries of the users that were asked for, as far as they have one.
    pub users: Vec<PlacedEntry>,
}

impl Snapshot {
    /// The share of the entries that one with this rank is at least as good as, in percent with one decimal.
    pub fn percentile(&self, rank: u64) -> f64 {
        let at_least_as_good = self.total.saturating_sub(rank) + 1;
        (at_least_as_good * 1000 / self.total.max(1)) as f64 / 10.0
    }
}

impl Entries {
    /// Reads a page.
    ///
    /// # Errors
    /// There is no such period, the cursor is invalid, or a store is unavailable.
    pub async fn page(&self, board: &Definition, query: PageQuery<'_>) -> Result<Page> {
        let context = format!("entries:{}", query.address);
        let (mut place, mut period_id) = (Place::At(0), query.period);
        match query.start {
            Start::Top => {}
            Start::Around(user) => place = Place::Around(user),
            Start::Cursor(cursor) => {
                let position = Position::read(&self.cursors.open(&context, &cursor)?);
                let position =
                    position.ok_or_else(|| Refusal::field("cursor", "must be a cursor of this list"))?;
                if period_id.is_some_and(|period| period != position.period) {
                    return Err(Refusal::field("cursor", "must be of the same period").into());
                }
                (place, period_id) = (position.place, Some(position.period));
            }
        }
        let period = self.period(board, period_id.as_deref()).await?;
        let users: Vec<Uuid> = query.me.into_iter().collect();
        let wanted = Wanted { place, limit: query.limit, top: query.top, users: &users };
        let (snapshot, mut page) = self.read(query.address, &period, wanted).await?;
        let cursor = |place| {
            let position = Position { place, period: period.id.clone() };
            self.cursors.seal(&context, &position.to_bytes())
        };
        let (first, last) = (page.window.first(), page.window.last());
        let previous = first.filter(|first| first.position > 1).map(|first| (first.result, first.user));
        let next = last.filter(|last| last.position < snapshot.total).map(|last| (last.result, last.user));
        let previous = previous.map(|(result, user)| cursor(Place::Before(result, user)));
        let next = next.map(|(result, user)| cursor(Place::After(result, user)));
        page.top.append(&mut page.window);
        Ok(Page { snapshot, entries: page.top, me: page.users.pop(), next, previous })
    }

    /// Reads the entries of some users, as far as they have one, best first.
    ///
    /// # Errors
    /// There is no such period, or a store is unavailable.
    pub async fn lookup(
        &self,
        board: &Definition,
        address: &str,
        period: Option<&str>,
        users: &[Uuid],
    ) -> Result<(Snapshot, Vec<PlacedEntry>)> {
        let period = self.period(board, period).await?;
        let wanted = Wanted { place: Place::At(0), limit: 0, top: 0, users };
        let (snapshot, mut page) = self.read(address, &period, wanted).await?;
        page.users.sort_by_key(|entry| entry.position);
        Ok((snapshot, page.users))
    }

    /// The current period of a board by Redis' clock, and the players on it as far as they are known. `None`: the board has no period now.
    pub async fn current(&self, board: &Definition, address: &str) -> Option<(BoardPeriod, Option<u64>)> {
        // Stores that are unavailable are no error: then the definition says which period it is.
        let period = self.period(board, None).await.ok()?;
        let wanted = Wanted { place: Place::At(0), limit: 0, top: 0, users: &[] };
        let read = self.read(address, &period, wanted).await.ok();
        let players = read.and_then(|(snapshot, _)| snapshot.as_of_ms.map(|_| snapshot.total));
        Some((period, players))
    }

    /// Reads the best entries of the period that contains the time of the read by Redis' clock, and the entries of some users.
    ///
    /// # Errors
    /// The board has no period now, or Redis is unavailable.
    pub async fn top(&self, board: &Definition, address: &str, users: &[Uuid]) -> Result<Top> {
        let split = address.split_once('@').map(|(_, value)| value);
        let mut now = self.now();
        loop {
            let period = self.period_at(board, None, now).await?;
            let wanted = Wanted { place: Place::At(0), limit: period.rules.top as usize, top: 0, users };
            let page = self.read_open(&period, split, &wanted).await?;
            if (period.starts_us..period.ends_us).contains(&(page.now_ms * 1000)) {
                return Ok(Top {
                    // No version of an earlier period is above its end. A period that was not loaded yet has version 0.
                    version: page.version.max(period.starts_us),
                    period,
                    is_stale: page.now_ms - page.as_of_ms > STALE_MS,
                    entries: page.window,
                    users: page.users,
                });
            }
            // This node's estimate of Redis' clock was on the other side of the turn.
            now = Timestamp::from_millisecond(page.now_ms).unwrap_or_default();
        }
    }

    /// The time by Redis' clock.
    fn now(&self) -> Timestamp {
        let now = Timestamp::from_millisecond(self.health.redis_now_ms(self.clock.now_ms()));
        now.unwrap_or_default()
    }

    async fn read(
        &self,
        address: &str,
        period: &BoardPeriod,
        wanted: Wanted<'_>,
    ) -> Result<(Snapshot, EntriesPage)> {
        let split = address.split_once('@').map(|(_, value)| value);
        let snapshot = |page: &EntriesPage, state, is_stale| Snapshot {
            period: period.id.clone(),
            state,
            version: page.version,
            as_of_ms: (page.as_of_ms > 0).then_some(page.as_of_ms),
            is_stale,
            total: page.total,
        };
        if !period.is_closed {
            let page = self.read_open(period, split, &wanted).await?;
            // Not loaded: it may have been closed a moment ago.
            let is_loaded = page.as_of_ms > 0;
            let is_closed = !is_loaded
                && self
                    .find_period(&period.board, &period.id)
                    .await
                    .ok()
                    .flatten()
                    .is_some_and(|it| it.is_closed);
            if !is_closed {
                let is_stale = page.now_ms - page.as_of_ms > STALE_MS;
                return Ok((snapshot(&page, period.state(page.now_ms * 1000), is_stale), page));
            }
        }
        let page = self.read_closed(period, split, &wanted).await?;
        Ok((snapshot(&page, "closed", false), page))
    }

    async fn read_open(
        &self,
        period: &BoardPeriod,
        split: Option<&str>,
        wanted: &Wanted<'_>,
    ) -> Result<EntriesPage> {
        let rules = &period.rules;
        let query = EntriesQuery {
            key: PeriodKey { board: &period.board, period: &period.id },
            split,
            order: EntryOrder { ascending: rules.order == Order::Asc, has_subscores: rules.has_subscores() },
            ranking: match rules.ranking {
                Ranking::Competition => "competition",
                Ranking::Dense => "dense",
                Ranking::Ordinal => "ordinal",
            },
            counts_attempts: rules.attempts > 0,
            place: wanted.place.clone(),
            limit: wanted.limit,
            top: wanted.top,
            users: wanted.users,
        };
        Ok(self.store.read_entries(&query).await?)
    }
}

/// What a read wants of a period.
struct Wanted<'a> {
    place: Place,
    limit: usize,
    top: usize,
    users: &'a [Uuid],
}
