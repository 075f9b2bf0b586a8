//! Compares the top list in Redis with the ledger.

use std::time::Instant;

use super::{Mismatch, PAUSE, is_final};
use crate::error::Fault;
use crate::ledger::Ledger;
use crate::ledger::restore::top_list::{top_of_all, top_of_highest};
use crate::store::BoardEntry;

/// Which users' ledger entries are read.
#[derive(Clone, Copy)]
pub enum Source {
    /// All users.
    AllUsers,
    /// Only the users with the highest scores in Redis, which needs no table scan.
    HighestInRedis,
}

/// The ranks that still differ once the outbox is empty.
pub async fn compare(ledger: &Ledger, source: Source) -> Result<Vec<Mismatch>, Fault> {
    let started = Instant::now();
    loop {
        let redis = ledger.store.poll(0, i64::MAX).await?.top;
        let expected = match source {
            Source::AllUsers => top_of_all(&ledger.database).await?,
            Source::HighestInRedis => top_of_highest(ledger).await?,
        };
        let mismatches = compare_ranks(&redis, &expected);
        if mismatches.is_empty() || is_final(ledger, started).await? {
            return Ok(mismatches);
        }
        tokio::time::sleep(PAUSE).await;
    }
}

fn compare_ranks(redis: &[BoardEntry], ledger: &[BoardEntry]) -> Vec<Mismatch> {
    let entry_at = |entries: &[BoardEntry], index: usize| {
        entries.get(index).map_or_else(|| "nobody".to_owned(), visible_fields)
    };
    (0..redis.len().max(ledger.len()))
        .filter_map(|index| {
            let (redis, ledger) = (entry_at(redis, index), entry_at(ledger, index));
            (redis != ledger).then(|| {
                Mismatch::new(
                    format!("rank {}", index + 1),
                    format!("the board lists {redis}, the ledger {ledger}"),
                )
            })
        })
        .collect()
}

/// A board entry without the HLC, which only decides ties.
fn visible_fields(entry: &BoardEntry) -> String {
    let BoardEntry { score, user, number, username, .. } = entry;
    format!("{score} {user} {number} {username}")
}
