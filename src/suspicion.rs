//! What looks like cheating: counted in memory, by user and address, and written to Postgres once a second by
//! `ledger::suspicions`. So a flood of forgeries costs a look into a map. What was not written when a node is killed is lost:
//! this is for operators to look at, nothing is decided by it.

use std::collections::HashMap;
use std::net::IpAddr;

use parking_lot::Mutex;
use uuid::Uuid;

/// A sign of cheating.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Sign {
    /// A token was handed in again.
    Replayed,
    /// A token that was never given out, or is signed by somebody else.
    Forged,
    /// Another user's token.
    Foreign,
    /// A token that had run out.
    Expired,
    /// A proof that does not verify.
    ProofFailed,
    /// An action that was finished sooner than it can be.
    TooFast,
    /// More attempts than allowed.
    Flooding,
    /// A login that is forged or has run out, or a wrong password.
    BadLogin,
}

impl Sign {
    /// All of them.
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

    /// As it stands in the table and in metrics.
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

    /// How much one counts: what no honest client does counts most, what a slow network does counts least.
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

/// A sign, and what is known of where it came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Observation {
    /// What was seen.
    pub sign: Sign,
    /// The user, if one is known.
    pub user: Option<Uuid>,
    /// The client's address.
    pub address: IpAddr,
}

/// Observations remembered between two writes. Beyond it new ones are only counted in the metrics, so that memory is bounded.
const MAX_OBSERVATIONS: usize = 5000;

/// The observations since the last write, and how often each was made.
#[derive(Default)]
pub struct Suspicions {
    seen: Mutex<HashMap<Observation, u64>>,
}

impl Suspicions {
    /// Adds observations, each so many times; also those that were taken and could not be written.
    pub fn note(&self, observations: impl IntoIterator<Item = (Observation, u64)>) {
        let mut seen = self.seen.lock();
        for (observation, count) in observations {
            if seen.len() < MAX_OBSERVATIONS || seen.contains_key(&observation) {
                *seen.entry(observation).or_default() += count;
            }
        }
    }

    /// Takes what was noted.
    pub fn take(&self) -> HashMap<Observation, u64> {
        std::mem::take(&mut *self.seen.lock())
    }
}
