//! Compares the top list in Redis with the ledger.

use std::time::Instant;

use super::{Mismatch, PAUSE, is_final};
use crate::app::App;
use crate::error::Fault;
use crate::ledger::restore::top_list::{top_of_all, top_of_highest};

/// Which users' ledger entries are read.
#[derive(Clone, Copy)]
pub enum Source {
    /// All users.
    AllUsers,
    /// Only the users with the highest scores in Redis, which needs no table scan.
    HighestInRedis,
}

/// The ranks that still differ once the outbox is empty.
pub async fn compare(app: &App, source: Source) -> Result<Vec<Mismatch>, Fault> {
    let started = Instant::now();
    loop {
        let redis = app.store.poll(0, i64::MAX).await?.top;
        let ledger = match source {
            Source::AllUsers => top_of_all(&app.database).await?,
            Source::HighestInRedis => top_of_highest(app).await?,
        };
        let mismatches = compare_ranks(&redis, &ledger);
        if mismatches.is_empty() || is_final(app, started).await? {
            return Ok(mismatches);
        }
        tokio::time::sleep(PAUSE).await;
    }
}

fn compare_ranks(redis: &[String], ledger: &[String]) -> Vec<Mismatch> {
    let entry_at = |entries: &[String], index: usize| {
        entries.get(index).map_or_else(|| "nobody".to_owned(), |entry| visible_fields(entry))
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

/// A board entry `score hlc_us userId number username` without the clock, which only decides ties.
fn visible_fields(entry: &str) -> String {
    let mut words: Vec<&str> = entry.splitn(5, ' ').collect();
    if words.len() > 1 {
        words.remove(1);
    }
    words.join(" ")
}
