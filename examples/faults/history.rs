//! The record of requests and responses: for each token its user, and every request that redeemed it.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use uuid::Uuid;

/// How a request ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Response {
    /// 200: awarded with this new score, now or by an earlier request with the same key.
    Awarded { score: i64 },
    /// 4xx, with the error code.
    Refused(String),
    /// 5xx: the award may have been made.
    Failed(String),
    /// No response: the award may have been made.
    Missing(String),
}

impl Response {
    pub fn is_uncertain(&self) -> bool {
        matches!(self, Self::Failed(_) | Self::Missing(_))
    }
}

/// One request that redeemed a token.
#[derive(Clone, Debug)]
pub struct Attempt {
    pub node: usize,
    /// Its idempotency key, or empty.
    pub key: String,
    /// Since the start of the suite.
    pub start: Duration,
    pub end: Duration,
    pub response: Response,
}

/// One token. It becomes at most one event of the ledger.
#[derive(Clone, Debug)]
pub struct Event {
    pub user: Uuid,
    pub flow: &'static str,
    pub points: i64,
    pub is_acknowledged_by_ledger: bool,
    /// Whether it is an uncertain event of the previous round.
    pub is_from_last_round: bool,
    pub attempts: Vec<Attempt>,
}

impl Event {
    /// The attempts with an award, and the scores in their responses.
    pub fn awarded(&self) -> impl Iterator<Item = (&Attempt, i64)> {
        self.attempts.iter().filter_map(|attempt| match attempt.response {
            Response::Awarded { score } => Some((attempt, score)),
            _ => None,
        })
    }

    /// Whether the award may have been made without an acknowledgment.
    pub fn is_uncertain(&self) -> bool {
        self.attempts.iter().any(|attempt| attempt.response.is_uncertain())
    }

    /// All attempts, one a line.
    pub fn describe(&self, id: Uuid) -> String {
        let mut text = format!("event {id} of user {}, {} points by {}", self.user, self.points, self.flow);
        for Attempt { node, key, start, end, response } in &self.attempts {
            let (start, end) = (start.as_secs_f64(), end.as_secs_f64());
            let _ =
                write!(text, "\n      {start:.3} s to {end:.3} s, node {node}, key {key:?}: {response:?}");
        }
        text
    }
}

/// The events of one round, and the uncertain ones of the previous round.
pub struct History {
    started: Instant,
    events: Mutex<HashMap<Uuid, Event>>,
    pub requests: AtomicU64,
    pub acknowledged: AtomicU64,
    /// Requests for a token that got none, and the last error.
    pub not_issued: Mutex<(u64, String)>,
}

impl History {
    pub fn new() -> Self {
        Self {
            started: Instant::now(),
            events: Mutex::default(),
            requests: AtomicU64::new(0),
            acknowledged: AtomicU64::new(0),
            not_issued: Mutex::default(),
        }
    }

    /// The time since the start of the suite.
    pub fn now(&self) -> Duration {
        self.started.elapsed()
    }

    /// Records an issued token.
    pub fn add_issued(&self, id: Uuid, event: Event) {
        self.events.lock().insert(id, event);
    }

    /// Records a request for a token that got none.
    pub fn add_not_issued(&self, error: String) {
        let mut not_issued = self.not_issued.lock();
        *not_issued = (not_issued.0 + 1, error);
    }

    /// Records a request that redeemed a token.
    pub fn add_attempt(&self, id: Uuid, attempt: Attempt) {
        self.requests.fetch_add(1, Ordering::Relaxed);
        if let Response::Awarded { .. } = attempt.response {
            self.acknowledged.fetch_add(1, Ordering::Relaxed);
        }
        let mut events = self.events.lock();
        events.get_mut(&id).expect("a token is recorded when it is issued").attempts.push(attempt);
    }

    /// Takes all events.
    pub fn take(&self) -> HashMap<Uuid, Event> {
        std::mem::take(&mut *self.events.lock())
    }

    /// Keeps events that are not in the ledger but may still be written: a request without a response may be executed one round later.
    pub fn keep_open(&self, not_written: impl Iterator<Item = (Uuid, Event)>) {
        let open = not_written.filter(|(_, event)| event.is_uncertain() && !event.is_from_last_round);
        let open = open.map(|(id, mut event)| {
            event.attempts.retain(|attempt| attempt.response.is_uncertain());
            event.is_from_last_round = true;
            (id, event)
        });
        self.events.lock().extend(open);
    }
}
