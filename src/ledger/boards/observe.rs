//! Metrics of the boards, on the leader. Not by the follower, so that one that hangs is seen.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::counting::order;
use super::periods::{OpenPeriod, read_open};
use crate::error::Fault;
use crate::ledger::Ledger;
use crate::store::{EntriesPage, EntriesQuery, Place};

const INTERVAL: Duration = Duration::from_secs(5);

/// Sets the metrics while this node is the leader.
pub async fn observe_boards_forever(ledger: Arc<Ledger>) {
    let mut complete_until_ms = None;
    loop {
        tokio::time::sleep(INTERVAL).await;
        let now_ms = ledger.health.redis_now_ms(ledger.clock.now_ms());
        if !ledger.health.is_leader() {
            complete_until_ms = None;
            continue;
        }
        match observe(&ledger, now_ms).await {
            Ok(newer) => complete_until_ms = newer.or(complete_until_ms),
            Err(fault) => {
                tracing::warn!(%fault, retry_in_seconds = INTERVAL.as_secs(), "reading the state of the boards failed");
            }
        }
        let lag_ms = now_ms - *complete_until_ms.get_or_insert(now_ms);
        ledger.metrics.boards_lag_seconds.set(lag_ms.max(0) as f64 / 1000.0);
    }
}

/// Returns until when all boards are complete (ms by Redis' clock); `None` if one is not loaded.
async fn observe(ledger: &Ledger, now_ms: i64) -> Result<Option<i64>, Fault> {
    let periods = read_open(ledger).await?;
    set_overdue(ledger, &periods, now_ms);
    let mut complete_until_ms = None;
    let mut is_loaded = true;
    for period in &periods {
        let page = read_state(ledger, period).await?;
        if (period.starts_us..period.ends_us).contains(&(now_ms * 1000)) {
            ledger.metrics.board_entries.with_label_values(&[&period.board]).set(page.total as i64);
        }
        is_loaded &= page.as_of_ms > 0;
        complete_until_ms = Some(complete_until_ms.unwrap_or(i64::MAX).min(page.as_of_ms));
    }
    Ok(complete_until_ms.filter(|_| is_loaded))
}

async fn read_state(ledger: &Ledger, period: &OpenPeriod) -> Result<EntriesPage, Fault> {
    let query = EntriesQuery {
        key: period.key(),
        split: None,
        order: order(&period.rules),
        ranking: "ordinal",
        counts_attempts: false,
        place: Place::At(0),
        limit: 0,
        top: 0,
        users: &[],
    };
    ledger.store.read_entries(&query).await
}

fn set_overdue(ledger: &Ledger, periods: &[OpenPeriod], now_ms: i64) {
    let boards = ledger.boards.all();
    let mut overdue_us: BTreeMap<&str, i64> = boards.iter().map(|board| (board.id.as_str(), 0)).collect();
    for period in periods {
        let longest = overdue_us.entry(period.board.as_str()).or_default();
        *longest = (now_ms * 1000 - period.closes_us).max(*longest);
    }
    for (board, overdue_us) in overdue_us {
        ledger.metrics.board_close_overdue_seconds.with_label_values(&[board]).set(overdue_us / 1_000_000);
    }
}
