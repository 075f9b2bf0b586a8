//! What operators look at, summed up from the ledger and beside it (migrations/README.md).

mod sessions;

pub use sessions::{SESSION_CLASSES, UNCOUNTED_SESSIONS};
