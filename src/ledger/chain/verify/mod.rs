//! Compares Redis with the ledger, and checks the ledger itself, in bounded memory while nodes serve. Users that differ are checked again
//! until the outbox has been written.

mod background;
mod checkpoints;
mod top_list;
mod user_totals;
mod void_marks;
mod walk;

pub use background::{check_forever, check_sample};

use std::collections::HashMap;
use std::time::{Duration, Instant};

use sqlx::PgPool;
use uuid::Uuid;

use self::user_totals::{PAGE, UserTotals, totals_of, totals_page};
use crate::db::sql_fault;
use crate::error::Fault;
use crate::ledger::Ledger;
use crate::ledger::boards::verify_boards;
use crate::ledger::outbox::dead_letters;
use crate::receipt::ReceiptVerifier;
use crate::store::Total;

/// How long a difference may be explained by entries in the outbox.
const OUTBOX_GRACE: Duration = Duration::from_secs(30);
/// The same once the outbox is empty.
const EMPTY_OUTBOX_GRACE: Duration = Duration::from_secs(1);
const PAUSE: Duration = Duration::from_millis(200);
/// Suspected users collected before they are checked again.
const MAX_SUSPECTED: usize = 20_000;

/// One thing that does not match.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mismatch {
    /// A user, a ledger entry, a checkpoint, or a rank on the board.
    pub subject: String,
    /// What is wrong, with both sides.
    pub detail: String,
}

impl Mismatch {
    fn new(subject: impl Into<String>, detail: impl Into<String>) -> Self {
        Self { subject: subject.into(), detail: detail.into() }
    }
}

/// Called with each mismatch as it is found.
pub type Report<'a> = dyn FnMut(Mismatch) + Send + 'a;

/// Totals of a verification.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct VerifyReport {
    /// Users checked.
    pub users: u64,
    /// Ledger entries checked.
    pub entries: u64,
    /// Entries of boards checked.
    pub board_entries: u64,
    /// Mismatches found.
    pub mismatches: u64,
}

/// Compares every user's total in Redis (score and board), `users` and the ledger. Checks that each user's history is consistent, that voids
/// mark what they removed, that the board has no unknown members, that the top list and the open periods of all boards match the ledger, and
/// that no dead letters wait.
///
/// # Errors
/// A store is unavailable.
pub async fn verify(ledger: &Ledger, report: &mut Report<'_>) -> Result<VerifyReport, Fault> {
    let mut verified = VerifyReport::default();
    let mut suspected = Vec::new();
    let mut after = Uuid::nil();
    let mut mismatches = 0;
    let mut report = |mismatch| {
        mismatches += 1;
        report(mismatch);
    };
    loop {
        let users = totals_page(&ledger.database, after).await?;
        let Some(last) = users.last() else { break };
        after = last.user;
        verified.users += users.len() as u64;
        verified.entries += users.iter().map(|user| user.entries as u64).sum::<u64>();
        suspected.extend(find_suspected(ledger, &users).await?);
        if suspected.len() >= MAX_SUSPECTED {
            recheck(ledger, std::mem::take(&mut suspected)).await?.into_iter().for_each(&mut report);
        }
    }
    recheck(ledger, suspected).await?.into_iter().for_each(&mut report);
    void_marks::check(&ledger.database, &mut report).await?;
    check_members(ledger, &mut report).await?;
    top_list::compare(ledger, top_list::Source::AllUsers).await?.into_iter().for_each(&mut report);
    verified.board_entries = verify_boards(ledger, None, &mut report).await?;
    dead_letters::open_mismatch(&ledger.database).await?.into_iter().for_each(&mut report);
    verified.mismatches = mismatches;
    Ok(verified)
}

/// Checks the ledger without Redis: the chain of its entries, its head and checkpoints, each user's history, and the marks of voids.
/// `progress` receives the number of entries checked so far.
///
/// # Errors
/// Postgres is unavailable.
pub async fn verify_ledger(
    database: &PgPool,
    keys: &ReceiptVerifier,
    progress: &(dyn Fn(u64) + Sync),
    report: &mut Report<'_>,
) -> Result<VerifyReport, Fault> {
    let mut mismatches = 0;
    let mut report = |mismatch| {
        mismatches += 1;
        report(mismatch);
    };
    let mut verified = VerifyReport {
        entries: walk::walk(database, keys, progress, &mut report).await?,
        ..VerifyReport::default()
    };
    let mut after = Uuid::nil();
    loop {
        let users = totals_page(database, after).await?;
        let Some(last) = users.last() else { break };
        after = last.user;
        verified.users += users.len() as u64;
        for user in users.iter().filter(|user| !user.problems().is_empty()) {
            report(Mismatch::new(user.user, user.problems().join("; ")));
        }
    }
    void_marks::check(database, &mut report).await?;
    verified.mismatches = mismatches;
    Ok(verified)
}

/// Users whose totals in Redis differ from the ledger. The outbox may explain it.
async fn find_suspected(ledger: &Ledger, users: &[UserTotals]) -> Result<Vec<Uuid>, Fault> {
    let totals = ledger.store.totals(&users.iter().map(|it| it.user).collect::<Vec<_>>()).await?;
    let both = users.iter().zip(totals);
    Ok(both.filter(|(user, total)| compare(user, *total).is_some()).map(|(user, _)| user.user).collect())
}

/// Compares suspected users again until they match or the time is up.
async fn recheck(ledger: &Ledger, mut suspected: Vec<Uuid>) -> Result<Vec<Mismatch>, Fault> {
    let started = Instant::now();
    loop {
        let mut found = Vec::new();
        for chunk in suspected.chunks(PAGE as usize) {
            let users = totals_of(&ledger.database, chunk).await?;
            let totals = ledger.store.totals(&users.iter().map(|it| it.user).collect::<Vec<_>>()).await?;
            let differing =
                users.iter().zip(totals).filter_map(|(user, total)| Some((user.user, compare(user, total)?)));
            found.extend(differing);
        }
        if found.is_empty() || is_final(ledger, started).await? {
            return Ok(found.into_iter().map(|(user, detail)| Mismatch::new(user, detail)).collect());
        }
        suspected = found.into_iter().map(|(user, _)| user).collect();
        tokio::time::sleep(PAUSE).await;
    }
}

/// True once the outbox can no longer explain a difference.
async fn is_final(ledger: &Ledger, started: Instant) -> Result<bool, Fault> {
    let is_empty = ledger.store.poll_state().await?.outbox == 0;
    Ok((is_empty && started.elapsed() > EMPTY_OUTBOX_GRACE) || started.elapsed() > OUTBOX_GRACE)
}

fn compare(user: &UserTotals, total: Total) -> Option<String> {
    let unless_zero = |points: i64| (points > 0).then_some(points as u64);
    let points = |score: Option<u64>| score.map_or_else(|| "nothing".to_owned(), |score| score.to_string());
    let mut problems = user.problems();
    if total.board != unless_zero(user.shown()) {
        let board = points(total.board);
        problems.push(format!("the board has {board}, the ledger shows {}", user.shown()));
    }
    if total.own != unless_zero(user.ledger) {
        let own = points(total.own);
        problems.push(format!("user:score has {own}, the ledger's sum is {}", user.ledger));
    }
    (!problems.is_empty()).then(|| problems.join("; "))
}

/// Reports board members that are not users.
async fn check_members(ledger: &Ledger, report: &mut Report<'_>) -> Result<(), Fault> {
    let (mut shard, mut cursor) = (0, 0);
    while shard < ledger.store.shard_count() {
        let members = ledger.store.members(shard, cursor).await?;
        let mut is_user: HashMap<String, bool> = members.users.into_iter().map(|id| (id, false)).collect();
        let ids: Vec<Uuid> = is_user.keys().filter_map(|id| id.parse().ok()).collect();
        let rows: Result<Vec<Uuid>, _> = sqlx::query_scalar("SELECT id FROM users WHERE id = ANY($1)")
            .bind(&ids)
            .fetch_all(&ledger.database)
            .await;
        for id in rows.map_err(|error| sql_fault("find_board_members", error))? {
            is_user.insert(id.to_string(), true);
        }
        for (member, _) in is_user.into_iter().filter(|(_, is_user)| !is_user) {
            report(Mismatch::new(member, "is on the board but is not a user"));
        }
        cursor = members.cursor;
        shard += usize::from(cursor == 0);
    }
    Ok(())
}
