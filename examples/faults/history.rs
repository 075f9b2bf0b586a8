//! What was asked and answered: for each token, who it was given to, and every request that handed it in.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use uuid::Uuid;

/// How a request ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// 200: awarded, with this new score; now, or the first answer again.
    AwardReply { score: i64 },
    /// Refused for good, with the code.
    Refused(String),
    /// 5xx: perhaps it was done, and perhaps not.
    Failed(String),
    /// No answer.
    Nothing(String),
}

/// One request that handed a token in.
#[derive(Clone, Debug)]
pub struct Attempt {
    pub node: usize,
    /// Its idempotency key, or empty.
    pub key: String,
    pub start: Duration,
    pub end: Duration,
    pub answer: Answer,
}

/// One token, which is one event of the ledger at most.
#[derive(Clone, Debug)]
pub struct Event {
    pub user: Uuid,
    pub flow: &'static str,
    pub points: i64,
    /// Whether its action is acknowledged by the ledger.
    pub by_ledger: bool,
    /// Whether it is of the round before, where a request for it had no answer.
    pub late: bool,
    pub attempts: Vec<Attempt>,
}

impl Event {
    /// The requests that were answered with an award.
    pub fn awarded(&self) -> impl Iterator<Item = (&Attempt, i64)> {
        self.attempts.iter().filter_map(|it| match it.answer {
            Answer::AwardReply { score } => Some((it, score)),
            _ => None,
        })
    }

    /// Whether a request may have been done without an answer.
    pub fn is_unsure(&self) -> bool {
        self.attempts.iter().any(|it| matches!(it.answer, Answer::Failed(_) | Answer::Nothing(_)))
    }

    /// All that is known, for people.
    pub fn tell(&self, id: Uuid) -> String {
        let mut text = format!("event {id} of user {}, {} points at {}", self.user, self.points, self.flow);
        for it in &self.attempts {
            let (start, end) = (it.start.as_secs_f64(), it.end.as_secs_f64());
            let _ = write!(
                text,
                "\n      {start:.3} s to {end:.3} s, node {}, key {:?}: {:?}",
                it.node, it.key, it.answer
            );
        }
        text
    }
}

/// The record of one round, and what was still open before it.
pub struct History {
    began: Instant,
    events: Mutex<HashMap<Uuid, Event>>,
    pub requests: AtomicU64,
    pub acknowledged: AtomicU64,
    /// Requests for a token that got none, and why the last of them did not.
    pub not_issued: Mutex<(u64, String)>,
}

impl History {
    pub fn new() -> Self {
        Self {
            began: Instant::now(),
            events: Mutex::default(),
            requests: AtomicU64::new(0),
            acknowledged: AtomicU64::new(0),
            not_issued: Mutex::default(),
        }
    }

    /// Since the suite began.
    pub fn now(&self) -> Duration {
        self.began.elapsed()
    }

    /// A token that was given out.
    pub fn issued(&self, id: Uuid, event: Event) {
        self.events.lock().insert(id, event);
    }

    /// A token that was asked for, but not given out.
    pub fn not_issued(&self, why: String) {
        let mut known = self.not_issued.lock();
        *known = (known.0 + 1, why);
    }

    /// A request that handed it in.
    pub fn attempted(&self, id: Uuid, attempt: Attempt) {
        self.requests.fetch_add(1, Ordering::Relaxed);
        if let Answer::AwardReply { .. } = attempt.answer {
            self.acknowledged.fetch_add(1, Ordering::Relaxed);
        }
        self.events
            .lock()
            .get_mut(&id)
            .expect("a token is recorded when it is given out")
            .attempts
            .push(attempt);
    }

    /// Everything so far.
    pub fn take(&self) -> HashMap<Uuid, Event> {
        std::mem::take(&mut *self.events.lock())
    }

    /// What is not in the ledger, but may still come: a request without an answer may be done late, within a round.
    pub fn put_back(&self, open: impl Iterator<Item = (Uuid, Event)>) {
        let unsure = open.filter(|(_, it)| it.is_unsure() && !it.late).map(|(id, mut it)| {
            it.attempts.retain(|it| matches!(it.answer, Answer::Failed(_) | Answer::Nothing(_)));
            it.late = true;
            (id, it)
        });
        self.events.lock().extend(unsure);
    }
}
