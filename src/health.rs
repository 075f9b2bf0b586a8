//! This node's view of its stores: for `/readyz`, and for the status event when Redis stops answering.

use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::watch;

use crate::db::{ANSWER_TIMEOUT, Database, timed, with_timeout};
use crate::metrics::Metrics;
use crate::store::Store;

/// Whether the board that subscribers have is current.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Status {
    /// Redis does not answer, so the board may be stale.
    pub degraded: bool,
    /// When the board was last known to be the newest, in ms since the Unix epoch.
    pub as_of_ms: i64,
}

/// The node's health, written by its background tasks.
pub struct Health {
    redis: watch::Sender<Status>,
    open: AtomicBool,
    outbox: AtomicU64,
    postgres_answers: AtomicBool,
    may_evict: AtomicBool,
    write_refusal: Mutex<Option<String>>,
    has_published_board: AtomicBool,
    was_open: AtomicBool,
    draining: AtomicBool,
    leader: AtomicBool,
    last_poll_ms: AtomicI64,
    last_poll_redis_ms: AtomicI64,
}

impl Default for Health {
    fn default() -> Self {
        Self {
            redis: watch::Sender::new(Status { degraded: false, as_of_ms: 0 }),
            open: AtomicBool::new(false),
            outbox: AtomicU64::new(0),
            postgres_answers: AtomicBool::new(true),
            may_evict: AtomicBool::new(false),
            write_refusal: Mutex::default(),
            has_published_board: AtomicBool::new(false),
            was_open: AtomicBool::new(false),
            draining: AtomicBool::new(false),
            leader: AtomicBool::new(false),
            last_poll_ms: AtomicI64::new(0),
            last_poll_redis_ms: AtomicI64::new(i64::MAX),
        }
    }
}

impl Health {
    /// Records a successful poll of Redis: whether the board is open, the entries in the outbox, and the time by both clocks.
    pub fn record_poll(&self, open: bool, outbox: u64, redis_ms: i64, now_ms: i64) {
        self.last_poll_redis_ms.store(redis_ms, Ordering::Relaxed);
        self.open.store(open, Ordering::Relaxed);
        self.outbox.store(outbox, Ordering::Relaxed);
        self.last_poll_ms.store(now_ms, Ordering::Relaxed);
        // A board that is not open may be stale.
        if open {
            self.was_open.store(true, Ordering::Release);
        }
        self.set_status(Status { degraded: false, as_of_ms: now_ms });
    }

    /// Records a failed poll of Redis.
    pub fn record_poll_failure(&self) {
        self.open.store(false, Ordering::Relaxed);
        self.set_status(Status { degraded: true, as_of_ms: self.last_poll_ms.load(Ordering::Relaxed) });
    }

    /// Records that the hub has the newest published board, so that subscribers have one if Redis stops answering now.
    pub fn record_published_board(&self) {
        self.has_published_board.store(true, Ordering::Release);
    }

    /// The time by Redis' clock in ms, from the last poll and this node's clock since then.
    pub fn redis_now_ms(&self, now_ms: i64) -> i64 {
        match self.last_poll_redis_ms.load(Ordering::Relaxed) {
            i64::MAX => now_ms,
            redis_ms => redis_ms + now_ms - self.last_poll_ms.load(Ordering::Relaxed),
        }
    }

    /// Time of the last successful poll by Redis' clock, in ms; `i64::MAX` before the first one.
    pub fn last_poll_redis_ms(&self) -> i64 {
        self.last_poll_redis_ms.load(Ordering::Relaxed)
    }

    /// Records whether Postgres answered.
    pub fn set_postgres(&self, answers: bool) {
        if self.postgres_answers.swap(answers, Ordering::Relaxed) != answers {
            log_change("postgres", "LaurelLedgerLagging", answers);
        }
    }

    /// Records whether `maxmemory-policy` lets Redis evict keys. Returns the value before.
    pub fn set_eviction(&self, may_evict: bool) -> bool {
        self.may_evict.swap(may_evict, Ordering::Relaxed)
    }

    /// Records the error with which Redis refuses writes, if it does. Returns the value before.
    pub fn set_write_refusal(&self, refusal: Option<String>) -> Option<String> {
        std::mem::replace(&mut *self.write_refusal.lock(), refusal)
    }

    /// Records whether this node is the ledger leader.
    pub fn set_leader(&self, is_leader: bool) {
        self.leader.store(is_leader, Ordering::Relaxed);
    }

    /// Whether this node is the ledger leader.
    pub fn is_leader(&self) -> bool {
        self.leader.load(Ordering::Relaxed)
    }

    /// Starts the drain: no new subscribers, and `/readyz` tells the load balancer.
    pub fn start_draining(&self) {
        self.draining.store(true, Ordering::Release);
    }

    /// Whether the node is draining.
    pub fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Acquire)
    }

    /// Whether the node can serve reads and subscribers.
    pub fn is_ready(&self) -> bool {
        self.has_published_board.load(Ordering::Acquire)
            && self.was_open.load(Ordering::Acquire)
            && !self.is_draining()
    }

    /// Whether the node can accept awards; `max_outbox` is the most entries that the outbox may have.
    pub fn accepts_awards(&self, max_outbox: u64) -> bool {
        self.is_ready()
            && self.open.load(Ordering::Relaxed)
            && self.write_refusal.lock().is_none()
            && self.outbox.load(Ordering::Relaxed) < max_outbox
    }

    /// Outbox entries that are not in Postgres yet, as of the last poll.
    pub fn outbox(&self) -> u64 {
        self.outbox.load(Ordering::Relaxed)
    }

    /// Whether Redis answers, and whether Postgres does.
    pub fn stores(&self) -> (bool, bool) {
        (!self.redis.borrow().degraded, self.postgres_answers.load(Ordering::Relaxed))
    }

    /// What is degraded: stores that do not answer, `eviction` if Redis may evict keys, `redis_writes` if it refuses writes.
    pub fn degraded(&self) -> Vec<&'static str> {
        let (redis, postgres) = self.stores();
        let parts = [
            ("redis", !redis),
            ("postgres", !postgres),
            ("eviction", self.may_evict.load(Ordering::Relaxed)),
            ("redis_writes", self.write_refusal.lock().is_some()),
        ];
        parts.into_iter().filter(|(_, is_degraded)| *is_degraded).map(|(name, _)| name).collect()
    }

    /// While Redis does not answer: when the board was last known to be the newest, in ms since the Unix epoch.
    pub fn stale_since_ms(&self) -> Option<i64> {
        let status = *self.redis.borrow();
        status.degraded.then_some(status.as_of_ms)
    }

    /// Whether Redis answers, with an open board.
    pub fn is_current(&self) -> bool {
        self.open.load(Ordering::Relaxed) && !self.redis.borrow().degraded
    }

    /// Follows whether Redis answers.
    pub fn follow(&self) -> watch::Receiver<Status> {
        self.redis.subscribe()
    }

    /// Wakes followers only if `degraded` changed: the time changes with every poll.
    fn set_status(&self, status: Status) {
        let changed = self.redis.send_if_modified(|known| {
            let changed = known.degraded != status.degraded;
            *known = status;
            changed
        });
        if changed {
            log_change("redis", "LaurelAwardsRefused", !status.degraded);
        }
    }
}

fn log_change(store: &str, runbook: &str, answers: bool) {
    if answers {
        tracing::info!(store, "store recovered");
    } else {
        tracing::warn!(store, runbook, "store does not answer, node degraded");
    }
}

/// Asks Postgres once a second whether it answers, and records how many connections of both pools are in use.
pub async fn watch_postgres_forever(health: &Health, database: &Database, store: &Store, metrics: &Metrics) {
    loop {
        let query_name = "ping_postgres";
        let query = timed(metrics, query_name, sqlx::query("SELECT 1").execute(database));
        health.set_postgres(with_timeout(query_name, ANSWER_TIMEOUT, query).await.is_ok());
        let (size, idle) = (database.size() as usize, database.num_idle());
        metrics.pools(store.pool_use(), (size.saturating_sub(idle), size));
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_is_ready_once_it_has_a_published_board_of_an_open_redis() {
        let health = Health::default();
        health.record_poll(true, 0, 1, 1);
        assert!(!health.is_ready(), "a board that Redis holds back must not be shown yet");
        health.record_published_board();
        assert!(health.is_ready());
        health.record_poll_failure();
        assert!(health.is_ready() && !health.accepts_awards(1));
        let closed = Health::default();
        closed.record_published_board();
        closed.record_poll(false, 0, 1, 1);
        assert!(!closed.is_ready(), "a board that is not open may be stale");
    }
}
