//! Waits for the commit of awards whose action has `acknowledge = "ledger"`. One query serves all waiting requests of the node; without
//! waiting requests nothing runs.

use std::collections::{HashSet, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tokio::sync::{Notify, oneshot};
use uuid::Uuid;

use crate::app::App;
use crate::error::Fault;
use crate::ledger::database::{HANGS_AFTER, in_time, timed};

/// Shortest pause between two queries. The pause is also at least as long as the last query took, so a slow Postgres is queried at most
/// half of the time.
const PACE: Duration = Duration::from_millis(3);
/// Awards per query, oldest first, which is the order of the ledger. The rest waits for the next query.
const AT_ONCE: usize = 1000;
/// Between a failed query and the next one.
const PAUSE: Duration = Duration::from_millis(200);

struct Waiter {
    event_id: Uuid,
    committed: oneshot::Sender<()>,
}

/// Awards that requests wait for, oldest first. Bounded by the number of requests in flight.
#[derive(Default)]
pub struct Commits {
    waiting: Mutex<VecDeque<Waiter>>,
    wanted: Notify,
}

impl Commits {
    /// Waits until Postgres has committed the award. False after `most`.
    pub async fn wait(&self, event_id: Uuid, most: Duration) -> bool {
        let (committed, receiver) = oneshot::channel();
        self.waiting.lock().push_back(Waiter { event_id, committed });
        self.wanted.notify_one();
        tokio::time::timeout(most, receiver).await.is_ok_and(|received| received.is_ok())
    }

    /// The oldest awards that are still waited for. Drops those whose request has ended.
    fn oldest(&self) -> Vec<Uuid> {
        let mut waiting = self.waiting.lock();
        waiting.retain(|it| !it.committed.is_closed());
        waiting.iter().take(AT_ONCE).map(|it| it.event_id).collect()
    }

    fn tell(&self, committed: &HashSet<Uuid>) {
        let mut waiting = self.waiting.lock();
        for waiter in std::mem::take(&mut *waiting) {
            if !committed.contains(&waiter.event_id) {
                waiting.push_back(waiter);
            } else if waiter.committed.send(()).is_err() {
                tracing::debug!(event_id = %waiter.event_id, "request ended before its award was committed");
            }
        }
    }
}

/// Notifies waiting requests once their awards are committed.
pub async fn acknowledge_forever(app: Arc<App>) {
    loop {
        let wanted = app.commits.oldest();
        if wanted.is_empty() {
            app.commits.wanted.notified().await;
            continue;
        }
        let query = Instant::now();
        match committed(&app, &wanted).await {
            Ok(found) => {
                app.commits.tell(&found);
                tokio::time::sleep(query.elapsed().max(PACE)).await;
            }
            Err(fault) => {
                tracing::warn!(%fault, waiting = wanted.len(), "checking the commit of awards failed, requests keep waiting");
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}

async fn committed(app: &App, event_ids: &[Uuid]) -> Result<HashSet<Uuid>, Fault> {
    let doing = "find_committed_awards";
    // Responses are stored for at most 30 days, so no request asks for an older award. The bound skips old partitions.
    let sql = "SELECT event_id FROM score_history WHERE event_id = ANY($1) AND created_at >= now() - interval '40 days'";
    let query = sqlx::query_scalar(sql).bind(event_ids).fetch_all(&app.database);
    let found: Vec<Uuid> = in_time(doing, HANGS_AFTER, timed(&app.metrics, doing, query)).await?;
    Ok(found.into_iter().collect())
}
