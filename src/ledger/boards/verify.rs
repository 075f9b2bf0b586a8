//! Compares the open periods of the boards in Redis with the ledger, while awards go on: the entries of some users in Redis are read together
//! with the sequence number at which the period stands, and then computed from the ledger up to there.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use uuid::Uuid;

use super::counting::{Span, entries_query, order, set_entry};
use super::periods::{OpenPeriod, read_open};
use super::verify_closed::verify_closed;
use crate::board::Ranking;
use crate::db::sql_fault;
use crate::error::Fault;
use crate::ledger::Ledger;
use crate::ledger::chain::verify::{Mismatch, Report};
use crate::store::{Change, EntriesPage, EntriesQuery, EntryChange, Place, PlacedEntry, Ranked};

/// Users per query.
const BATCH: usize = 1000;
/// How long a difference may be explained by a correction that the follower has not made yet, and a missing period by a load that begins.
const GRACE: Duration = Duration::from_secs(30);
/// The same without a correction.
const SETTLED_GRACE: Duration = Duration::from_secs(1);
const PAUSE: Duration = Duration::from_millis(200);
/// Differing entries collected before they are checked again.
const MAX_SUSPECTED: usize = 20_000;

/// Compares the open periods of all boards, or of the one with this id, with the ledger, and its closed periods with their signed roots.
/// Returns the number of entries.
///
/// # Errors
/// A store is unavailable.
pub async fn verify_boards(
    ledger: &Ledger,
    board: Option<&str>,
    report: &mut Report<'_>,
) -> Result<u64, Fault> {
    let mut entries = verify_closed(ledger, board, report).await?;
    for period in read_open_of(ledger, board).await? {
        entries += Comparison { ledger, period: &period }.run(report).await?;
    }
    Ok(entries)
}

/// The open periods of all boards, or of one.
pub async fn read_open_of(ledger: &Ledger, board: Option<&str>) -> Result<Vec<OpenPeriod>, Fault> {
    let mut periods = read_open(ledger).await?;
    periods.retain(|period| board.is_none_or(|board| period.board == board));
    Ok(periods)
}

/// The board of one value of the tag that the board is split by, or of all values.
type Split = Option<String>;

/// Compares one period.
struct Comparison<'a> {
    ledger: &'a Ledger,
    period: &'a OpenPeriod,
}

/// A user's entry that is not the same in Redis and the ledger.
struct Difference {
    split: Split,
    user: Uuid,
    /// Redis has no entry.
    is_missing: bool,
    detail: String,
}

impl Comparison<'_> {
    async fn run(&self, report: &mut Report<'_>) -> Result<u64, Fault> {
        if self.read(None, &[], report).await?.is_none() {
            return Ok(0);
        }
        self.find_missing(report).await?;
        let mut entries = 0;
        let values = self.ledger.store.split_values(self.period.key()).await?;
        for split in [None].into_iter().chain(values.into_iter().map(Some)) {
            let (members, users) =
                self.ledger.store.count_entries(self.period.key(), split.as_deref()).await?;
            if members != users {
                let detail = format!("has {members} members, but the entries of {users} users");
                report(Mismatch { subject: self.subject(&split), detail });
            }
            entries += members;
            self.compare_members(&split, report).await?;
        }
        Ok(entries)
    }

    fn subject(&self, split: &Split) -> String {
        let OpenPeriod { board, id, .. } = self.period;
        let value = split.as_ref().map(|value| format!("@{value}")).unwrap_or_default();
        format!("board {board}{value}, period {id}")
    }

    /// Reports entries that the ledger has and Redis has not.
    async fn find_missing(&self, report: &mut Report<'_>) -> Result<(), Fault> {
        let mut suspected = BTreeSet::new();
        let mut after = Uuid::nil();
        loop {
            let users = sqlx::query_scalar("SELECT id FROM users WHERE id > $1 ORDER BY id LIMIT $2")
                .bind(after)
                .bind(BATCH as i64)
                .fetch_all(&self.ledger.database);
            let users: Vec<Uuid> = users.await.map_err(|error| sql_fault("read_users", error))?;
            let Some(last) = users.last() else { break };
            after = *last;
            let Some(page) = self.read(None, &users, report).await? else { return Ok(()) };
            let mut by_split: BTreeMap<Split, Vec<EntryChange>> = BTreeMap::new();
            for entry in self.compute(&users, &page).await? {
                by_split.entry(entry.split.clone()).or_default().push(entry);
            }
            let expected = by_split.remove(&None).unwrap_or_default();
            let mut differences = self.compare(&None, &expected, &page);
            for (split, expected) in by_split {
                // Read later than the ledger, so a difference may be none.
                let users: Vec<Uuid> = expected.iter().map(|entry| entry.user).collect();
                let Some(page) = self.read(split.as_deref(), &users, report).await? else { return Ok(()) };
                differences.extend(self.compare(&split, &expected, &page));
            }
            let missing = differences.into_iter().filter(|it| it.is_missing);
            suspected.extend(missing.map(|it| (it.split, it.user)));
            if suspected.len() >= MAX_SUSPECTED {
                self.recheck(std::mem::take(&mut suspected), report).await?;
            }
        }
        self.recheck(suspected, report).await
    }

    /// Reports entries that Redis has otherwise than the ledger.
    async fn compare_members(&self, split: &Split, report: &mut Report<'_>) -> Result<(), Fault> {
        let (mut suspected, mut cursor) = (BTreeSet::new(), 0);
        loop {
            let order = order(&self.period.rules);
            let scanned =
                self.ledger.store.scan_entries(self.period.key(), split.as_deref(), order, cursor).await?;
            for member in scanned.invalid {
                let detail = format!("has the member {}, which is no entry", member.escape_ascii());
                report(Mismatch { subject: self.subject(split), detail });
            }
            for users in scanned.users.chunks(BATCH) {
                if self.period.rules.ranking == Ranking::Dense {
                    self.check_dense_ranks(split, users, report).await?;
                }
                let Some(differences) = self.compare_split(split, users, report).await? else {
                    return Ok(());
                };
                let found = differences.into_iter().filter(|it| !it.is_missing);
                suspected.extend(found.map(|it| (it.split, it.user)));
            }
            if suspected.len() >= MAX_SUSPECTED {
                self.recheck(std::mem::take(&mut suspected), report).await?;
            }
            cursor = scanned.cursor;
            if cursor == 0 {
                return self.recheck(suspected, report).await;
            }
        }
    }

    /// Reports entries whose rank does not follow from the next better entry of the same read.
    async fn check_dense_ranks(
        &self,
        split: &Split,
        users: &[Uuid],
        report: &mut Report<'_>,
    ) -> Result<(), Fault> {
        let Some(EntriesPage { users: mut entries, .. }) = self.read(split.as_deref(), users, report).await?
        else {
            return Ok(());
        };
        entries.sort_by_key(|entry| entry.position);
        let (mut position, mut rank, mut result) = (0, 0, None);
        for entry in entries {
            let own_result = Some((entry.result.score, entry.result.subscore));
            // Each position between the two may have a result of its own.
            let expected =
                if own_result == result { rank..=rank } else { rank + 1..=rank + entry.position - position };
            if !expected.contains(&entry.rank) {
                let subject = format!("{}, user {}", self.subject(split), entry.user);
                let detail = format!(
                    "has rank {} at position {}, behind rank {rank} at position {position}",
                    entry.rank, entry.position
                );
                report(Mismatch { subject, detail });
            }
            (position, rank, result) = (entry.position, entry.rank, own_result);
        }
        Ok(())
    }

    /// The differences among these users; `None` if there is nothing to compare any more.
    async fn compare_split(
        &self,
        split: &Split,
        users: &[Uuid],
        report: &mut Report<'_>,
    ) -> Result<Option<Vec<Difference>>, Fault> {
        let Some(page) = self.read(split.as_deref(), users, report).await? else { return Ok(None) };
        let mut expected = self.compute(users, &page).await?;
        expected.retain(|entry| entry.split == *split);
        Ok(Some(self.compare(split, &expected, &page)))
    }

    /// Compares entries again until they match or the time is up, and reports those that differ.
    async fn recheck(
        &self,
        mut suspected: BTreeSet<(Split, Uuid)>,
        report: &mut Report<'_>,
    ) -> Result<(), Fault> {
        let started = Instant::now();
        loop {
            let mut by_split: BTreeMap<Split, Vec<Uuid>> = BTreeMap::new();
            for (split, user) in suspected {
                by_split.entry(split).or_default().push(user);
            }
            let mut found = Vec::new();
            for (split, users) in &by_split {
                for users in users.chunks(BATCH) {
                    let Some(differences) = self.compare_split(split, users, report).await? else {
                        return Ok(());
                    };
                    found.extend(differences);
                }
            }
            if found.is_empty() || self.is_final(started).await? {
                for Difference { split, user, detail, .. } in found {
                    report(Mismatch { subject: format!("{}, user {user}", self.subject(&split)), detail });
                }
                return Ok(());
            }
            suspected = found.into_iter().map(|it| (it.split, it.user)).collect();
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// True if no correction can explain a difference any more.
    async fn is_final(&self, started: Instant) -> Result<bool, Fault> {
        if started.elapsed() > GRACE {
            return Ok(true);
        }
        let waits = sqlx::query_scalar("SELECT EXISTS (SELECT FROM board_corrections)");
        let waits: bool = waits
            .fetch_one(&self.ledger.database)
            .await
            .map_err(|error| sql_fault("read_board_corrections", error))?;
        Ok(!waits && started.elapsed() > SETTLED_GRACE)
    }

    /// Reads the entries of users in Redis, if need be after the period was loaded. Reports a period that is not loaded in time; one that was
    /// closed has no entries in Redis any more.
    async fn read(
        &self,
        split: Option<&str>,
        users: &[Uuid],
        report: &mut Report<'_>,
    ) -> Result<Option<EntriesPage>, Fault> {
        let query = EntriesQuery {
            key: self.period.key(),
            split,
            order: order(&self.period.rules),
            ranking: if self.period.rules.ranking == Ranking::Dense { "dense" } else { "ordinal" },
            counts_attempts: self.period.rules.attempts > 0,
            place: Place::At(0),
            limit: 0,
            top: 0,
            users,
        };
        let started = Instant::now();
        loop {
            let page = self.ledger.store.read_entries(&query).await?;
            if page.seq.is_some() {
                return Ok(Some(page));
            }
            let open = read_open_of(self.ledger, Some(&self.period.board)).await?;
            if !open.iter().any(|period| period.id == self.period.id) {
                return Ok(None);
            }
            let is_loading = self.ledger.store.entries_loading(self.period.key()).await?.is_some();
            if !is_loading && started.elapsed() > GRACE {
                let detail = "is not loaded in Redis".to_owned();
                report(Mismatch { subject: self.subject(&None), detail });
                return Ok(None);
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    fn compare(&self, split: &Split, expected: &[EntryChange], page: &EntriesPage) -> Vec<Difference> {
        compare(split, expected, &page.users, self.period.rules.attempts > 0)
    }

    /// The entries of users on all boards of the period, by the ledger up to where Redis stood at this read.
    async fn compute(&self, users: &[Uuid], page: &EntriesPage) -> Result<Vec<EntryChange>, Fault> {
        let OpenPeriod { rules, .. } = self.period;
        let span = Span { users: Some(users), ..self.period.span(page.seq.unwrap_or_default()) };
        let rows = entries_query(rules, span).build().fetch_all(&self.ledger.database).await;
        let rows = rows.map_err(|error| sql_fault("verify_boards", error))?;
        let entries: Result<_, _> = rows.iter().map(|row| set_entry(rules, row)).collect();
        entries.map_err(|error| sql_fault("verify_boards", error))
    }
}

/// The users whose entries differ.
fn compare(
    split: &Split,
    expected: &[EntryChange],
    found: &[PlacedEntry],
    counts_attempts: bool,
) -> Vec<Difference> {
    let mut users: BTreeMap<Uuid, [Option<String>; 2]> = BTreeMap::new();
    for entry in found {
        let text = describe(entry.result, entry.attempts, &entry.username);
        users.entry(entry.user).or_default()[0] = Some(text);
    }
    for entry in expected {
        if let Change::Set(result, attempts) = entry.change {
            let text = describe(result, counts_attempts.then_some(attempts), &entry.username);
            users.entry(entry.user).or_default()[1] = Some(text);
        }
    }
    let differing = users.into_iter().filter(|(_, [found, expected])| found != expected);
    differing
        .map(|(user, texts)| {
            let is_missing = texts[0].is_none();
            let [found, expected] = texts.map(|text| text.unwrap_or_else(|| "no entry".to_owned()));
            let detail = format!("the board has {found}, the ledger {expected}");
            Difference { split: split.clone(), user, is_missing, detail }
        })
        .collect()
}

/// All that Redis has of an entry. Positions and ranks follow from it.
fn describe(result: Ranked, attempts: Option<u32>, username: &str) -> String {
    let Ranked { score, subscore, hlc_us } = result;
    let mut text = format!("score {score}");
    if let Some(subscore) = subscore {
        text += &format!(", subscore {subscore}");
    }
    if let Some(attempts) = attempts {
        text += &format!(", {attempts} attempts");
    }
    text + &format!(" of {username} at {hlc_us}")
}
