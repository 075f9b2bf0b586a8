//! Waits for the commit of awards whose action has `acknowledge = "ledger"`. One query serves all waiting requests of the node; without
//! waiting requests nothing runs.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use uuid::Uuid;

use crate::batch::Batch;
use crate::db::{ANSWER_TIMEOUT, timed, with_timeout};
use crate::error::Fault;
use crate::ledger::Ledger;

/// Shortest pause between two queries. The pause is also at least as long as the last query took, so a slow Postgres is queried at most
/// half of the time.
const MIN_PAUSE: Duration = Duration::from_millis(3);
/// Awards per query, oldest first, which is the order of the ledger. The rest waits for the next query.
const BATCH_SIZE: usize = 1000;
/// Pause between a failed query and the next one.
const RETRY_PAUSE: Duration = Duration::from_millis(200);

/// The awards that requests wait for, by event id.
#[derive(Default)]
pub struct Commits {
    waiting: Batch<Uuid, ()>,
}

impl Commits {
    /// Waits until Postgres has committed the award. False after `timeout`.
    pub async fn wait(&self, event_id: Uuid, timeout: Duration) -> bool {
        let committed = self.waiting.add(event_id);
        tokio::time::timeout(timeout, committed).await.is_ok_and(|received| received.is_ok())
    }
}

/// Notifies waiting requests once their awards are committed.
pub async fn acknowledge_forever(ledger: Arc<Ledger>) {
    let batch = &ledger.commits.waiting;
    loop {
        let mut waiting = batch.next().await;
        waiting.retain(|waiter| !waiter.is_gone());
        if waiting.is_empty() {
            continue;
        }
        let event_ids: Vec<Uuid> = waiting.iter().take(BATCH_SIZE).map(|waiter| waiter.request).collect();
        let started = Instant::now();
        let pause = match find_committed(&ledger, &event_ids).await {
            Ok(committed) => {
                let found = waiting.extract_if(.., |waiter| committed.contains(&waiter.request));
                for event_id in found.filter_map(|waiter| waiter.reply(()).err()) {
                    tracing::debug!(%event_id, "request ended before its award was committed");
                }
                started.elapsed().max(MIN_PAUSE)
            }
            Err(fault) => {
                let waiting = waiting.len();
                tracing::warn!(%fault, waiting, "checking the commit of awards failed, requests keep waiting");
                RETRY_PAUSE
            }
        };
        batch.put_back(waiting);
        tokio::time::sleep(pause).await;
    }
}

async fn find_committed(ledger: &Ledger, event_ids: &[Uuid]) -> Result<HashSet<Uuid>, Fault> {
    let query_name = "find_committed_awards";
    // Responses are stored for at most 30 days, so no request asks for an older award. The bound skips old partitions.
    let sql = "SELECT event_id FROM score_history WHERE event_id = ANY($1) AND created_at >= now() - interval '40 days'";
    let query = sqlx::query_scalar(sql).bind(event_ids).fetch_all(&ledger.database);
    let found: Vec<Uuid> =
        with_timeout(query_name, ANSWER_TIMEOUT, timed(&ledger.metrics, query_name, query)).await?;
    Ok(found.into_iter().collect())
}
