//! Waiting until an award is committed, for actions that are acknowledged by the ledger. All who wait on a node are asked for
//! in one query; while nobody waits, nothing runs.

use std::collections::{HashSet, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tokio::sync::{Notify, oneshot};
use uuid::Uuid;

use super::database::{HANGS_AFTER, in_time, timed};
use crate::app::App;
use crate::error::Fault;

/// Least time between two questions. It also lasts at least as long as the last one took, so that a slow Postgres is asked
/// half of the time at most.
const PACE: Duration = Duration::from_millis(3);
/// Awards a question, the oldest first: the ledger is written in that order. More wait for the next question.
const AT_ONCE: usize = 1000;
/// After a fault, before the next question.
const PAUSE: Duration = Duration::from_millis(200);

struct Waiter {
    event_id: Uuid,
    committed: oneshot::Sender<()>,
}

/// The awards that somebody waits for, oldest first. Each is a request that is under way, so there are no more than those.
#[derive(Default)]
pub struct Commits {
    waiting: Mutex<VecDeque<Waiter>>,
    wanted: Notify,
}

impl Commits {
    /// Waits until Postgres has committed an award. False: it had not after so long.
    pub async fn wait(&self, event_id: Uuid, most: Duration) -> bool {
        let (committed, told) = oneshot::channel();
        self.waiting.lock().push_back(Waiter { event_id, committed });
        self.wanted.notify_one();
        tokio::time::timeout(most, told).await.is_ok_and(|it| it.is_ok())
    }

    /// The oldest that are still waited for; those whose request has gone are forgotten.
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
                tracing::debug!(event_id = %waiter.event_id, "the request ended before its award was committed");
            }
        }
    }
}

/// Tells those who wait, for ever.
pub async fn acknowledge_forever(app: Arc<App>) {
    loop {
        let wanted = app.commits.oldest();
        if wanted.is_empty() {
            app.commits.wanted.notified().await;
            continue;
        }
        let asked = Instant::now();
        match committed(&app, &wanted).await {
            Ok(found) => {
                app.commits.tell(&found);
                tokio::time::sleep(asked.elapsed().max(PACE)).await;
            }
            Err(fault) => {
                tracing::warn!(%fault, waiting = wanted.len(), "awards wait for Postgres");
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}

async fn committed(app: &App, event_ids: &[Uuid]) -> Result<HashSet<Uuid>, Fault> {
    let doing = "look whether awards are committed";
    // Answers are kept for at most 30 days, so a repeat asks for nothing older; the bound keeps old partitions out of it.
    let sql = "SELECT event_id FROM score_history WHERE event_id = ANY($1) AND created_at >= now() - interval '40 days'";
    let asked = sqlx::query_scalar(sql).bind(event_ids).fetch_all(&app.database);
    let found: Vec<Uuid> = in_time(doing, HANGS_AFTER, timed(&app.metrics, doing, asked)).await?;
    Ok(found.into_iter().collect())
}
