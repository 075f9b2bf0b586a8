//! What looks like cheating: counted in memory, by user and by address, and written to Postgres once a second by
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

/// Whom a sign is held against.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Suspect {
    /// A user.
    User(Uuid),
    /// An address.
    Address(IpAddr),
}

/// Suspects remembered between two writes. Beyond it new ones are only counted in the metrics, so that memory is bounded.
const MAX_SUSPECTS: usize = 5000;

/// The signs since the last write.
#[derive(Default)]
pub struct Suspicions {
    seen: Mutex<HashMap<(Suspect, Sign), u64>>,
}

impl Suspicions {
    /// Notes a sign against a user, if one is known, and the address it came from.
    pub fn note(&self, sign: Sign, user: Option<Uuid>, from: IpAddr) {
        let mut seen = self.seen.lock();
        for suspect in user.map(Suspect::User).into_iter().chain([Suspect::Address(from)]) {
            if seen.len() < MAX_SUSPECTS || seen.contains_key(&(suspect, sign)) {
                *seen.entry((suspect, sign)).or_default() += 1;
            }
        }
    }

    /// Takes what was noted.
    pub fn take(&self) -> HashMap<(Suspect, Sign), u64> {
        std::mem::take(&mut *self.seen.lock())
    }

    /// Gives back what could not be written.
    pub fn give_back(&self, signs: HashMap<(Suspect, Sign), u64>) {
        let mut seen = self.seen.lock();
        for (key, count) in signs {
            if seen.len() < MAX_SUSPECTS || seen.contains_key(&key) {
                *seen.entry(key).or_default() += count;
            }
        }
    }
}
