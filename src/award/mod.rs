//! The one door behind all doors: a token is issued, and redeemed for points. It knows no HTTP; the rules that have to
//! be atomic are in `lua/`.

mod issue;
mod permission;
mod redeem;

pub use issue::{Issued, issue};
pub use permission::Permission;
pub use redeem::{Award, Submission, rate_limited, redeem};

use crate::error::{RateWindow, Result};

/// An outcome and where the caller's window of attempts stands, which is told whatever the outcome is.
pub struct Metered<T> {
    /// What came of it.
    pub outcome: Result<T>,
    /// The window, where there is a limit and Redis could be asked.
    pub rate: Option<RateWindow>,
    /// Whether this is the first answer under an idempotency key again.
    pub replayed: bool,
}

impl<T, E: Into<crate::error::Error>> From<E> for Metered<T> {
    fn from(error: E) -> Self {
        Self { outcome: Err(error.into()), rate: None, replayed: false }
    }
}

/// What a caller hears while awards cannot be taken.
pub const CLOSED: &str = "Awards are closed for the moment, please try again";
