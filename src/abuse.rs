//! Abuse signals: forged, replayed, foreign and expired tokens, failed proofs, floods, bad logins. They are counted per user and address in
//! memory, and `flush` writes them to Postgres once a second, so a flood of forgeries costs one map lookup per request.
//! Counts since the last flush are lost if the node is killed. The signals inform operators; nobody is banned automatically.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

use parking_lot::Mutex;
use uuid::Uuid;

use crate::metrics::Metrics;

/// A kind of suspicious request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AbuseSignal {
    /// A token was used again.
    Replayed,
    /// A token that was never issued, or has a wrong signature.
    Forged,
    /// Another user's token.
    Foreign,
    /// An expired token.
    Expired,
    /// A proof that failed.
    ProofFailed,
    /// An action that was finished before its minimum time.
    TooFast,
    /// More requests than a rate limit allows.
    Flooding,
    /// A forged or expired login token, or a wrong password.
    BadLogin,
}

impl AbuseSignal {
    /// All signals.
    pub const ALL: [Self; 8] = [
        Self::Replayed,
        Self::Forged,
        Self::Foreign,
        Self::Expired,
        Self::ProofFailed,
        Self::TooFast,
        Self::Flooding,
        Self::BadLogin,
    ];

    /// The name in the table and in metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Replayed => "replayed",
            Self::Forged => "forged",
            Self::Foreign => "foreign",
            Self::Expired => "expired",
            Self::ProofFailed => "proof_failed",
            Self::TooFast => "too_fast",
            Self::Flooding => "flooding",
            Self::BadLogin => "bad_login",
        }
    }

    /// The weight in a suspect's risk score: 10 for what no honest client does, 1 for what a slow network may cause.
    pub fn weight(self) -> i64 {
        match self {
            Self::Forged | Self::Foreign => 10,
            Self::TooFast => 5,
            Self::ProofFailed => 3,
            Self::Flooding => 2,
            Self::Replayed | Self::Expired | Self::BadLogin => 1,
        }
    }
}

/// A signal and its source.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Observation {
    /// What happened.
    pub signal: AbuseSignal,
    /// The user, if known.
    pub user: Option<Uuid>,
    /// The client's address.
    pub address: IpAddr,
}

/// Bounds memory: distinct observations between two flushes. Further ones are counted in the metrics only.
const MAX_OBSERVATIONS: usize = 5000;

/// The observations since the last flush, each with its count.
pub struct AbuseSignals {
    metrics: Arc<Metrics>,
    counts: Mutex<HashMap<Observation, u64>>,
}

impl AbuseSignals {
    /// No observations yet.
    pub fn new(metrics: Arc<Metrics>) -> Self {
        Self { metrics, counts: Mutex::default() }
    }

    /// Counts a signal, if there is one, in the metrics and for the next flush.
    pub fn note(&self, signal: Option<AbuseSignal>, user: Option<Uuid>, address: IpAddr) {
        if let Some(signal) = signal {
            self.metrics.abuse_signals.with_label_values(&[signal.as_str()]).inc();
            self.add([(Observation { signal, user, address }, 1)]);
        }
    }

    /// Adds observations with their counts; also used to put back what could not be written.
    pub fn add(&self, observations: impl IntoIterator<Item = (Observation, u64)>) {
        let mut counts = self.counts.lock();
        for (observation, count) in observations {
            if counts.len() < MAX_OBSERVATIONS || counts.contains_key(&observation) {
                *counts.entry(observation).or_default() += count;
            }
        }
    }

    /// Takes all observations.
    pub fn take(&self) -> HashMap<Observation, u64> {
        std::mem::take(&mut *self.counts.lock())
    }
}
