//! Redis against the ledger, and the ledger against itself: in bounded memory, while nodes serve. What differs only because the
//! outbox has not been written yet is looked at again until it has.

mod accounts;
mod chain;
mod checkpoints;
mod light;
mod top;

pub use light::{check, check_forever};

use std::collections::HashMap;
use std::time::{Duration, Instant};

use sqlx::PgPool;
use uuid::Uuid;

use self::accounts::{Account, PAGE, page, these};
use super::{letters, sql_fault};
use crate::app::App;
use crate::error::Fault;
use crate::receipt::ReceiptVerifier;
use crate::store::Total;

/// How long a difference may be a matter of the outbox.
const SETTLING: Duration = Duration::from_secs(30);
/// After so long with an empty outbox it is none.
const SETTLED: Duration = Duration::from_secs(1);
const PAUSE: Duration = Duration::from_millis(200);
/// Users who may differ that are kept before they are looked at again.
const SUSPECTS: usize = 20_000;

/// One thing that does not agree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// A user, an entry of the ledger, a checkpoint, or a place of the board.
    pub of: String,
    /// What, with both sides.
    pub what: String,
}

/// Who hears of each difference as it is found.
pub type Found<'a> = dyn FnMut(Difference) + Send + 'a;

/// What a verification looked at, and how much of it does not agree.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Verified {
    /// Users compared.
    pub users: u64,
    /// Ledger entries looked at.
    pub entries: u64,
    /// Entries that an older node wrote, which are chained once the older nodes are gone.
    pub unchained: u64,
    /// Everything that does not agree.
    pub differences: u64,
}

/// Compares every user's total in both places of Redis, in `users` and in the ledger, checks that each user's history chains,
/// that the board has nobody else, that the ten are who the ledger says, and that no dead letter waits.
///
/// # Errors
/// A store is away.
pub async fn verify(app: &App, found: &mut Found<'_>) -> Result<Verified, Fault> {
    let mut verified = Verified::default();
    let mut suspected = Vec::new();
    let mut after = Uuid::nil();
    let mut differences = 0;
    let mut found = |it| {
        differences += 1;
        found(it);
    };
    loop {
        let accounts = page(&app.database, after).await?;
        let Some(last) = accounts.last() else { break };
        after = last.user;
        verified.users += accounts.len() as u64;
        verified.entries += accounts.iter().map(|it| it.entries as u64).sum::<u64>();
        suspected.extend(suspects(app, &accounts).await?);
        if suspected.len() >= SUSPECTS {
            settle(app, std::mem::take(&mut suspected)).await?.into_iter().for_each(&mut found);
        }
    }
    settle(app, suspected).await?.into_iter().for_each(&mut found);
    strangers(app, &mut found).await?;
    top::compare(app, top::Of::All).await?.into_iter().for_each(&mut found);
    letters::waiting(&app.database).await?.into_iter().for_each(&mut found);
    verified.differences = differences;
    Ok(verified)
}

/// Checks the ledger itself, without Redis: the chain of its entries, its head and its checkpoints, and each user's history.
/// `progress` hears how many entries are done.
///
/// # Errors
/// Postgres is away.
pub async fn verify_ledger(
    database: &PgPool,
    keys: &ReceiptVerifier,
    progress: &(dyn Fn(u64) + Sync),
    found: &mut Found<'_>,
) -> Result<Verified, Fault> {
    let mut differences = 0;
    let mut found = |it| {
        differences += 1;
        found(it);
    };
    let mut verified = chain::walk(database, keys, progress, &mut found).await?;
    let mut after = Uuid::nil();
    loop {
        let accounts = page(database, after).await?;
        let Some(last) = accounts.last() else { break };
        after = last.user;
        verified.users += accounts.len() as u64;
        for account in accounts.iter().filter(|it| !it.wrong().is_empty()) {
            found(Difference { of: account.user.to_string(), what: account.wrong().join("; ") });
        }
    }
    verified.differences = differences;
    Ok(verified)
}

/// Those whom Redis shows otherwise than the ledger, which the outbox may explain.
async fn suspects(app: &App, accounts: &[Account]) -> Result<Vec<Uuid>, Fault> {
    let totals = app.store.totals(&accounts.iter().map(|it| it.user).collect::<Vec<_>>()).await?;
    let both = accounts.iter().zip(totals);
    Ok(both.filter(|(it, total)| compare(it, *total).is_some()).map(|(it, _)| it.user).collect())
}

/// Looks at suspects again until they agree or time is up.
async fn settle(app: &App, mut suspects: Vec<Uuid>) -> Result<Vec<Difference>, Fault> {
    let started = Instant::now();
    loop {
        let mut found = Vec::new();
        for some in suspects.chunks(PAGE as usize) {
            let accounts = these(&app.database, some).await?;
            let totals = app.store.totals(&accounts.iter().map(|it| it.user).collect::<Vec<_>>()).await?;
            let differing =
                accounts.iter().zip(totals).filter_map(|(it, total)| Some((it.user, compare(it, total)?)));
            found.extend(differing);
        }
        if found.is_empty() || is_settled(app, started).await? {
            return Ok(found
                .into_iter()
                .map(|(user, what)| Difference { of: user.to_string(), what })
                .collect());
        }
        suspects = found.into_iter().map(|(user, _)| user).collect();
        tokio::time::sleep(PAUSE).await;
    }
}

/// Whether what still differs is no matter of the outbox.
async fn is_settled(app: &App, started: Instant) -> Result<bool, Fault> {
    let idle = app.store.poll_state().await?.outbox == 0;
    Ok((idle && started.elapsed() > SETTLED) || started.elapsed() > SETTLING)
}

fn compare(account: &Account, total: Total) -> Option<String> {
    let some = |points: i64| (points > 0).then_some(points as u64);
    let mut wrong = account.wrong();
    if total.board != some(account.shown()) {
        wrong.push(format!("the board has {:?}, the ledger shows {}", total.board, account.shown()));
    }
    if total.own != some(account.ledger) {
        wrong.push(format!("user:score has {:?}, the ledger's sum is {}", total.own, account.ledger));
    }
    (!wrong.is_empty()).then(|| wrong.join("; "))
}

/// Members of the board that are no users.
async fn strangers(app: &App, found: &mut Found<'_>) -> Result<(), Fault> {
    let (mut shard, mut cursor) = (0, 0);
    while shard < app.store.shard_count() {
        let members = app.store.members(shard, cursor).await?;
        let mut known: HashMap<String, bool> = members.users.into_iter().map(|it| (it, false)).collect();
        let ids: Vec<Uuid> = known.keys().filter_map(|it| it.parse().ok()).collect();
        let rows: Result<Vec<Uuid>, _> = sqlx::query_scalar("SELECT id FROM users WHERE id = ANY($1)")
            .bind(&ids)
            .fetch_all(&app.database)
            .await;
        for id in rows.map_err(|error| sql_fault("look up the board's members", error))? {
            known.insert(id.to_string(), true);
        }
        for (of, _) in known.into_iter().filter(|(_, known)| !known) {
            found(Difference { of, what: "is on the board, but no user".into() });
        }
        cursor = members.cursor;
        shard += usize::from(cursor == 0);
    }
    Ok(())
}
