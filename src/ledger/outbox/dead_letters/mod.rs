//! Dead letters: outbox entries that cannot be written to the ledger. Each is stored unchanged in `dead_letters` and leaves the outbox, so
//! a bad entry neither keeps a board closed nor holds up other entries. Admins decide what happens to it (`admin/dead_letters.rs`).

mod record;
mod retry;

pub use record::{record, record_unread};
pub use retry::{mark_lost, process, retry_dead_letters};

use std::collections::HashSet;

use parking_lot::Mutex;
use sqlx::{PgPool, Row};

use crate::db::sql_fault;
use crate::error::Fault;
use crate::ledger::chain::verify::Mismatch;

/// Why an entry cannot be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reason {
    /// Its user is not in Postgres.
    UnknownUser,
    /// It cannot be parsed.
    Unreadable,
    /// Postgres rejected its data.
    Refused,
}

impl Reason {
    /// The value in the table and in metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::UnknownUser => "unknown_user",
            Self::Unreadable => "unreadable",
            Self::Refused => "refused",
        }
    }
}

/// Most players (or entries without one) whose entries may fail in a row. Several attackers may have accounts whose data Postgres rejects,
/// and after a bug of ours an admin has no more than this to retry.
const MAX_SOURCES: usize = 100;

/// Failed writes since the last success. A few failing players are the fault of their entries. If nothing can be written, the fault is
/// ours, or it is the wrong Postgres: then entries stay in the outbox instead of all becoming dead letters.
#[derive(Default)]
pub struct WriteFailures {
    sources: Mutex<HashSet<(Reason, String)>>,
}

impl WriteFailures {
    /// Records a failed entry by its user, or by its position if the user is unknown. Returns whether it may become a dead letter.
    pub fn record(&self, reason: Reason, source: String) -> bool {
        let mut sources = self.sources.lock();
        let source = (reason, source);
        if sources.len() >= MAX_SOURCES && !sources.contains(&source) {
            return false;
        }
        sources.insert(source);
        true
    }

    /// An entry was written, so entries can be written in general.
    pub fn reset(&self) {
        self.sources.lock().clear();
    }
}

/// The mismatch that `verify` reports for open dead letters: their effect is in Redis but not in the ledger.
///
/// # Errors
/// Postgres is unavailable.
pub async fn open_mismatch(database: &PgPool) -> Result<Option<Mismatch>, Fault> {
    let row = sqlx::query(
        "SELECT count(*) AS entries, count(DISTINCT user_id) AS users,
                count(DISTINCT user_id) FILTER (WHERE reason = 'unknown_user') AS unknown
         FROM dead_letters WHERE state IN ('waiting', 'retrying')",
    );
    let row = row.fetch_one(database).await.map_err(|error| sql_fault("count_dead_letters", error))?;
    let (entries, users, unknown): (i64, i64, i64) =
        (row.get("entries"), row.get("users"), row.get("unknown"));
    Ok((entries > 0).then(|| Mismatch {
        subject: "dead letters".to_owned(),
        detail: format!(
            "{entries} entries of {users} players wait for a decision, {unknown} of the players are not in Postgres: \
             run laurel admin dead-letters list"
        ),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_of_at_most_a_hundred_players_become_dead_letters() {
        let failures = WriteFailures::default();
        let record = |user: usize| failures.record(Reason::Refused, user.to_string());
        assert!((0..MAX_SOURCES).all(record));
        assert!(record(0), "more entries of the same player");
        assert!(!record(MAX_SOURCES) && !record(MAX_SOURCES + 1));
        failures.reset();
        assert!(record(MAX_SOURCES));
    }
}
