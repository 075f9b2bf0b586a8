//! Applies the chain to the boards while this node is the ledger's leader. Each period in Redis has the sequence number at which it stands,
//! and refuses a batch that begins elsewhere, so each entry counts once even if two nodes believe that they lead.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::FutureExt;
use futures::future::join_all;
use jiff::Timestamp;
use sqlx::pool::PoolConnection;
use sqlx::{PgConnection, Postgres};
use tokio_util::task::AbortOnDropHandle;
use uuid::Uuid;

use super::counting::{LedgerEntry, Span, entries_query, entry_rules, order, set_entry};
use super::load::load_period;
use super::periods::{self, OpenPeriod};
use crate::db::{ANSWER_TIMEOUT, sql_fault, timed, with_timeout};
use crate::error::Fault;
use crate::ledger::Ledger;
use crate::ledger::chain::SHARD;
use crate::store::{Applied, Change, EntryBatch, EntryChange};

/// Entries of the chain per step. A call of Redis with so many changes takes about 5 ms.
const BATCH: i64 = 500;
/// How long the follower waits for new entries. Then it renews the time until which the boards are complete.
const IDLE: Duration = Duration::from_millis(500);
/// How often the open periods are listed.
const LIST_INTERVAL: Duration = Duration::from_secs(1);
/// How often corrections are repeated while a period is being loaded from a state that may be older than they are.
const CORRECTION_INTERVAL: Duration = Duration::from_secs(1);
/// Pause after an error.
const RETRY_PAUSE: Duration = Duration::from_millis(500);

/// Follows the ledger for ever.
pub async fn follow_boards_forever(ledger: Arc<Ledger>) {
    let mut follower = Follower::default();
    loop {
        if !ledger.health.is_leader() {
            follower = Follower::default();
            tokio::time::sleep(IDLE).await;
            continue;
        }
        match follower.step(&ledger).await {
            Ok(true) => {}
            Ok(false) => drop(tokio::time::timeout(IDLE, ledger.committed.notified()).await),
            Err(fault) => {
                tracing::warn!(
                    %fault,
                    runbook = "LaurelBoardsStale",
                    "following the ledger failed, boards are stale, retrying"
                );
                tokio::time::sleep(RETRY_PAUSE).await;
            }
        }
    }
}

/// A period that is followed.
struct Followed {
    period: OpenPeriod,
    /// `None`: not known, or not in Redis.
    stands_at: Option<i64>,
    /// Loads it from the ledger, and then returns where it stands.
    load: Option<AbortOnDropHandle<Result<Option<i64>, Fault>>>,
}

#[derive(Default)]
struct Follower {
    periods: Vec<Followed>,
    listed: Option<Instant>,
    corrected: Option<Instant>,
}

/// The ledger, as one step sees it.
#[derive(Clone, Copy)]
struct Head {
    now_us: i64,
    seq: i64,
    hlc_us: i64,
    has_corrections: bool,
    /// Everything redeemed until then is in the ledger (ms by Redis' clock).
    complete_until_ms: i64,
}

impl Follower {
    /// Applies the next entries to all periods. Returns true if there are more. An error of one period does not stop the others.
    async fn step(&mut self, ledger: &Arc<Ledger>) -> Result<bool, Fault> {
        let mut connection = acquire(ledger).await?;
        let head = Head::read(ledger, &mut connection).await?;
        let joined = self.join_loads();
        if self.listed.is_none_or(|at| at.elapsed() > LIST_INTERVAL) {
            let now = Timestamp::from_microsecond(head.now_us).unwrap_or_default();
            let boards = ledger.boards.all();
            let listed = periods::begin_current(&mut connection, &boards, now);
            self.keep(with_timeout("list_open_periods", ANSWER_TIMEOUT, listed).await?);
            self.listed = Some(Instant::now());
        }
        let located = self.locate(ledger, head).await;
        let has_more = apply_next(ledger, &mut connection, head, &mut self.periods).await;
        let is_whole = self.periods.iter().all(|it| it.stands_at.is_some());
        if !is_whole && self.periods.iter().all(|it| it.load.is_none()) {
            // Closed, perhaps: then it is not loaded again.
            self.listed = None;
        }
        let may_correct = is_whole || self.corrected.is_none_or(|at| at.elapsed() > CORRECTION_INTERVAL);
        if matches!(has_more, Ok(false)) && head.has_corrections && may_correct {
            self.correct(ledger, &mut connection, head).await?;
            self.corrected = Some(Instant::now());
        }
        joined.and(located).and(has_more)
    }

    fn keep(&mut self, open: Vec<OpenPeriod>) {
        let mut known = std::mem::take(&mut self.periods);
        let follow = |period: OpenPeriod| {
            let same = |it: &Followed| it.period.board == period.board && it.period.id == period.id;
            match known.iter().position(same) {
                Some(index) => Followed { period, ..known.swap_remove(index) },
                None => Followed { period, stands_at: None, load: None },
            }
        };
        self.periods = open.into_iter().map(follow).collect();
    }

    /// Takes the results of loads that have ended.
    fn join_loads(&mut self) -> Result<(), Fault> {
        let mut result = Ok(());
        for followed in &mut self.periods {
            let ended = followed.load.as_mut().and_then(|load| load.now_or_never());
            let Some(ended) = ended else { continue };
            followed.load = None;
            match ended.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic())) {
                Ok(Some(seq)) => followed.stands_at = Some(seq),
                // Closed, perhaps.
                Ok(None) => self.listed = None,
                Err(fault) => result = Err(fault),
            }
        }
        result
    }

    /// Finds where the periods stand, and begins to load one that Redis does not have. The others are followed meanwhile.
    async fn locate(&mut self, ledger: &Arc<Ledger>, head: Head) -> Result<(), Fault> {
        let mut is_loading = self.periods.iter().any(|it| it.load.is_some());
        let mut result = Ok(());
        for followed in self.periods.iter_mut().filter(|it| it.stands_at.is_none() && it.load.is_none()) {
            match ledger.store.entries_seq(followed.period.key()).await {
                Ok(Some(seq)) if seq <= head.seq => followed.stands_at = Some(seq),
                Ok(_) if is_loading => {}
                Ok(_) => {
                    let load = tokio::spawn(load(ledger.clone(), followed.period.clone()));
                    followed.load = Some(AbortOnDropHandle::new(load));
                    is_loading = true;
                }
                Err(fault) => result = Err(fault),
            }
        }
        result
    }

    /// Computes the entries of users again whose awards or restrictions changed otherwise than by the next entry of the chain. Closed periods
    /// come afterwards, in `revise`, which deletes the corrections.
    async fn correct(&self, ledger: &Ledger, connection: &mut PgConnection, head: Head) -> Result<(), Fault> {
        let query_name = "correct_boards";
        let read = sqlx::query_as(
            "SELECT id, user_id FROM board_corrections WHERE NOT is_followed ORDER BY id LIMIT 100",
        );
        let corrections: Vec<(i64, Uuid)> =
            with_timeout(query_name, ANSWER_TIMEOUT, read.fetch_all(&mut *connection)).await?;
        let (ids, mut users): (Vec<i64>, Vec<Uuid>) = corrections.into_iter().unzip();
        users.sort_unstable();
        users.dedup();
        let mut is_everywhere = true;
        for Followed { period, stands_at, .. } in &self.periods {
            let Some(seq) = *stands_at else {
                is_everywhere = false;
                continue;
            };
            let span = Span { users: Some(&users), ..period.span(seq) };
            let mut query = entries_query(&period.rules, span);
            let rows = query.build().fetch_all(&mut *connection);
            let rows =
                with_timeout(query_name, ANSWER_TIMEOUT, timed(&ledger.metrics, query_name, rows)).await?;
            let remove = |user: &Uuid| EntryChange {
                order: order(&period.rules),
                split: None,
                user: *user,
                username: String::new(),
                change: Change::Remove,
            };
            let sets = rows.iter().map(|row| set_entry(&period.rules, row));
            let changes: Result<Vec<_>, _> = users.iter().map(|user| Ok(remove(user))).chain(sets).collect();
            let changes = changes.map_err(|error| sql_fault(query_name, error))?;
            let key = period.key();
            let batch = EntryBatch {
                from_seq: seq,
                to_seq: seq,
                as_of_ms: head.complete_until_ms,
                floor: head.hlc_us,
            };
            let applied =
                ledger.store.apply_entries(key, entry_rules(&period.rules), batch, &changes).await?;
            is_everywhere &= applied == Applied::Yes;
        }
        if is_everywhere {
            let update = sqlx::query("UPDATE board_corrections SET is_followed = TRUE WHERE id = ANY($1)");
            with_timeout(query_name, ANSWER_TIMEOUT, update.bind(ids).execute(connection)).await?;
        }
        Ok(())
    }
}

impl Followed {
    /// Applies the entries that the period does not have yet.
    async fn apply(
        &mut self,
        ledger: &Ledger,
        entries: &[Arc<LedgerEntry>],
        to_seq: i64,
        as_of_ms: i64,
        floor: i64,
    ) -> Result<(), Fault> {
        let Some(from_seq) = self.stands_at.take_if(|seq| *seq <= to_seq) else { return Ok(()) };
        let span = self.period.span(to_seq);
        let is_new = |entry: &&Arc<LedgerEntry>| entry.seq > from_seq && span.contains(entry.hlc_us);
        let new = entries.iter().filter(is_new);
        let changes: Vec<EntryChange> = new.flat_map(|entry| entry.changes(&self.period.rules)).collect();
        let batch = EntryBatch { from_seq, to_seq, as_of_ms, floor };
        let rules = entry_rules(&self.period.rules);
        // Otherwise Redis lost the period, or another leader is ahead, or it is not known: the next step finds out.
        if ledger.store.apply_entries(self.period.key(), rules, batch, &changes).await? == Applied::Yes {
            self.stands_at = Some(to_seq);
        }
        Ok(())
    }
}

/// Applies the next entries to these periods. Returns true if there are more.
async fn apply_next(
    ledger: &Ledger,
    connection: &mut PgConnection,
    head: Head,
    periods: &mut [Followed],
) -> Result<bool, Fault> {
    let from = periods.iter().filter_map(|it| it.stands_at).min().unwrap_or(head.seq);
    let to = head.seq.min(from + BATCH);
    let entries = if to > from { read_entries(ledger, connection, from, to).await? } else { Vec::new() };
    ledger.metrics.boards_applied.inc_by(entries.len() as u64);
    let is_complete = to == head.seq;
    // Until the newest entries are applied, a period is as old as it was.
    let as_of_ms = if is_complete { head.complete_until_ms } else { 0 };
    let applied = periods.iter_mut().map(|it| it.apply(ledger, &entries, to, as_of_ms, head.hlc_us));
    join_all(applied).await.into_iter().collect::<Result<(), Fault>>()?;
    Ok(!is_complete)
}

/// The entries of the chain after a sequence number, up to another one.
async fn read_entries(
    ledger: &Ledger,
    connection: &mut PgConnection,
    from_seq: i64,
    to_seq: i64,
) -> Result<Vec<Arc<LedgerEntry>>, Fault> {
    if let Some(entries) = ledger.recent_entries.read(from_seq, to_seq) {
        return Ok(entries);
    }
    let read = LedgerEntry::read(connection, from_seq, to_seq - from_seq);
    let query_name = "read_ledger_for_boards";
    let read = with_timeout(query_name, ANSWER_TIMEOUT, timed(&ledger.metrics, query_name, read)).await?;
    Ok(read.into_iter().map(Arc::new).collect())
}

/// Loads a period, and applies what the ledger got meanwhile. Returns where it stands then.
async fn load(ledger: Arc<Ledger>, period: OpenPeriod) -> Result<Option<i64>, Fault> {
    let head = Head::read(&ledger, &mut *acquire(&ledger).await?).await?;
    let stands_at = load_period(&ledger, &period, head.complete_until_ms).await?;
    let mut followed = [Followed { period, stands_at, load: None }];
    while followed[0].stands_at.is_some() {
        let mut connection = acquire(&ledger).await?;
        let head = Head::read(&ledger, &mut connection).await?;
        if !apply_next(&ledger, &mut connection, head, &mut followed).await? {
            break;
        }
    }
    ledger.committed.notify_one();
    Ok(followed[0].stands_at)
}

async fn acquire(ledger: &Ledger) -> Result<PoolConnection<Postgres>, Fault> {
    ledger.database.acquire().await.map_err(|error| sql_fault("follow_ledger", error))
}

impl Head {
    async fn read(ledger: &Ledger, connection: &mut PgConnection) -> Result<Self, Fault> {
        // From before the ledger is read: later entries may be missing there.
        let now_us = ledger.store.now_us().await?;
        let complete_until_ms = match ledger.store.oldest_entry_ms().await {
            Ok(oldest_ms) => oldest_ms.unwrap_or(i64::MAX).min(now_us / 1000),
            // A shard is unavailable, and may have older entries. The others are followed, and say that they may be stale.
            Err(_) => 0,
        };
        let read = sqlx::query_as(
            "SELECT seq, hlc_us, EXISTS (SELECT FROM board_corrections WHERE NOT is_followed) FROM ledger_heads WHERE shard = $1",
        );
        let read = read.bind(SHARD).fetch_one(connection);
        let query_name = "follow_ledger";
        let (seq, hlc_us, has_corrections) =
            with_timeout(query_name, ANSWER_TIMEOUT, timed(&ledger.metrics, query_name, read)).await?;
        Ok(Self { now_us, seq, hlc_us, has_corrections, complete_until_ms })
    }
}
