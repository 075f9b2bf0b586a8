//! What this node knows of its stores: what `/readyz` answers, and what sockets are told when Redis goes away.

use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};

use parking_lot::Mutex;
use tokio::sync::watch;

/// Whether what sockets were told last is still the truth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Status {
    /// Redis is away: the board may be old.
    pub degraded: bool,
    /// When the board was last known to be the newest, in ms since the Unix epoch.
    pub as_of_ms: i64,
}

/// The node's view, written by its background tasks.
pub struct Health {
    redis: watch::Sender<Status>,
    open: AtomicBool,
    outbox: AtomicU64,
    postgres: AtomicBool,
    evicts: AtomicBool,
    write_refusal: Mutex<Option<String>>,
    holds_board: AtomicBool,
    was_open: AtomicBool,
    draining: AtomicBool,
    leads: AtomicBool,
    looked_at_ms: AtomicI64,
    looked_at_redis_ms: AtomicI64,
}

impl Default for Health {
    fn default() -> Self {
        Self {
            redis: watch::Sender::new(Status { degraded: false, as_of_ms: 0 }),
            open: AtomicBool::new(false),
            outbox: AtomicU64::new(0),
            postgres: AtomicBool::new(true),
            evicts: AtomicBool::new(false),
            write_refusal: Mutex::default(),
            holds_board: AtomicBool::new(false),
            was_open: AtomicBool::new(false),
            draining: AtomicBool::new(false),
            leads: AtomicBool::new(false),
            looked_at_ms: AtomicI64::new(0),
            looked_at_redis_ms: AtomicI64::new(i64::MAX),
        }
    }
}

impl Health {
    /// A look at Redis that succeeded, at a moment by its clock and by ours.
    pub fn looked(&self, open: bool, outbox: u64, redis_ms: i64, now_ms: i64) {
        self.looked_at_redis_ms.store(redis_ms, Ordering::Relaxed);
        self.open.store(open, Ordering::Relaxed);
        self.outbox.store(outbox, Ordering::Relaxed);
        self.looked_at_ms.store(now_ms, Ordering::Relaxed);
        // What a closed board shows may be old.
        if open {
            self.was_open.store(true, Ordering::Release);
        }
        self.tell(Status { degraded: false, as_of_ms: now_ms });
    }

    /// The hub has the newest board that was published, so there is something to tell sockets if Redis goes away now.
    pub fn holds_board(&self) {
        self.holds_board.store(true, Ordering::Release);
    }

    /// When the last look was, by Redis' clock; before the first there is nothing to tell.
    pub fn looked_at_redis_ms(&self) -> i64 {
        self.looked_at_redis_ms.load(Ordering::Relaxed)
    }

    /// A look that failed.
    pub fn redis_away(&self) {
        self.open.store(false, Ordering::Relaxed);
        self.tell(Status { degraded: true, as_of_ms: self.looked_at_ms.load(Ordering::Relaxed) });
    }

    /// Whether Postgres answered just now.
    pub fn postgres(&self, answers: bool) {
        if self.postgres.swap(answers, Ordering::Relaxed) != answers {
            log_turn("postgres", "LaurelLedgerBehind", answers);
        }
    }

    /// Whether Redis may drop keys, as of the last look at its `maxmemory-policy`. Returns whether it did before.
    pub fn evicts(&self, may: bool) -> bool {
        self.evicts.swap(may, Ordering::Relaxed)
    }

    /// What Redis says to writes while it refuses them. Returns what it said before.
    pub fn write_refusal(&self, refusal: Option<String>) -> Option<String> {
        std::mem::replace(&mut *self.write_refusal.lock(), refusal)
    }

    /// Whether this node has the ledger's lead, from now on.
    pub fn set_leader(&self, has: bool) {
        self.leads.store(has, Ordering::Relaxed);
    }

    /// Whether this node has the ledger's lead.
    pub fn is_leader(&self) -> bool {
        self.leads.load(Ordering::Relaxed)
    }

    /// No new sockets from now on; the balancer should look elsewhere.
    pub fn drain(&self) {
        self.draining.store(true, Ordering::Release);
    }

    /// Whether the node stops.
    pub fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Acquire)
    }

    /// Whether reads and sockets can be served.
    pub fn is_ready(&self) -> bool {
        self.holds_board.load(Ordering::Acquire)
            && self.was_open.load(Ordering::Acquire)
            && !self.is_draining()
    }

    /// Whether an award could be taken; `outbox_max` is the most the outbox may hold.
    pub fn takes_awards(&self, outbox_max: u64) -> bool {
        self.is_ready()
            && self.open.load(Ordering::Relaxed)
            && self.write_refusal.lock().is_none()
            && self.outbox.load(Ordering::Relaxed) < outbox_max
    }

    /// Entries that Postgres does not have yet, as of the last look.
    pub fn outbox(&self) -> u64 {
        self.outbox.load(Ordering::Relaxed)
    }

    /// Whether Redis answers, and whether Postgres does.
    pub fn stores(&self) -> (bool, bool) {
        (!self.redis.borrow().degraded, self.postgres.load(Ordering::Relaxed))
    }

    /// The stores that do not answer; `eviction`, if Redis may drop keys; `redis_writes`, if it refuses writes.
    pub fn degraded(&self) -> Vec<&'static str> {
        let (redis, postgres) = self.stores();
        let away = [
            ("redis", !redis),
            ("postgres", !postgres),
            ("eviction", self.evicts.load(Ordering::Relaxed)),
            ("redis_writes", self.write_refusal.lock().is_some()),
        ];
        away.into_iter().filter(|(_, away)| *away).map(|(name, _)| name).collect()
    }

    /// While Redis is away: when the board was last known to be the newest, in ms since the Unix epoch.
    pub fn stale_since_ms(&self) -> Option<i64> {
        let status = *self.redis.borrow();
        status.degraded.then_some(status.as_of_ms)
    }

    /// Whether Redis answers, and holds the newest board.
    pub fn is_current(&self) -> bool {
        self.open.load(Ordering::Relaxed) && !self.redis.borrow().degraded
    }

    /// Follows whether Redis is away.
    pub fn follow(&self) -> watch::Receiver<Status> {
        self.redis.subscribe()
    }

    /// Wakes the sockets only if Redis went or came; when it was last seen changes with every look.
    fn tell(&self, status: Status) {
        let turned = self.redis.send_if_modified(|known| {
            let turned = known.degraded != status.degraded;
            *known = status;
            turned
        });
        if turned {
            log_turn("redis", "LaurelAwardsRefused", !status.degraded);
        }
    }
}

fn log_turn(store: &str, runbook: &str, answers: bool) {
    if answers {
        tracing::info!(store, "store recovered");
    } else {
        tracing::warn!(store, runbook, "store does not answer, node degraded");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_is_ready_with_a_published_board_of_an_open_redis() {
        let health = Health::default();
        health.looked(true, 0, 1, 1);
        assert!(!health.is_ready(), "what Redis holds back may not be shown yet, and nothing else is known");
        health.holds_board();
        assert!(health.is_ready());
        health.redis_away();
        assert!(health.is_ready() && !health.takes_awards(1));
        let closed = Health::default();
        closed.holds_board();
        closed.looked(false, 0, 1, 1);
        assert!(!closed.is_ready(), "what a closed board shows may be old");
    }
}
