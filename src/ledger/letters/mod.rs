//! Dead letters: entries of the outbox that cannot be written to the ledger. Each goes to a table of its own, as it lay in the outbox,
//! and leaves the outbox like one that was written; so no entry keeps a board closed, or holds up another one. Operators decide
//! what becomes of it (`admin/letters.rs`).

mod bury;
mod failures;
mod tend;

pub use bury::{bury, bury_unread};
pub use failures::Failures;
pub use tend::{note_loaded, retry_letters, tend};

use sqlx::{PgPool, Row};

use super::sql_fault;
use super::verify::Difference;
use crate::error::Fault;

/// Why an entry cannot be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reason {
    /// Postgres does not know its user.
    UnknownUser,
    /// It has not the shape of an entry.
    Unreadable,
    /// Postgres refuses what is in it.
    Refused,
}

impl Reason {
    /// As it stands in the table and in metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::UnknownUser => "unknown_user",
            Self::Unreadable => "unreadable",
            Self::Refused => "refused",
        }
    }
}

/// What `verify` says of dead letters that wait: what they moved in Redis is not in the ledger.
///
/// # Errors
/// Postgres is away.
pub async fn waiting(database: &PgPool) -> Result<Option<Difference>, Fault> {
    let row = sqlx::query(
        "SELECT count(*) AS letters, count(DISTINCT user_id) AS users,
                count(DISTINCT user_id) FILTER (WHERE reason = 'unknown_user') AS unknown
         FROM dead_letters WHERE state IN ('waiting', 'retrying')",
    );
    let row = row.fetch_one(database).await.map_err(|error| sql_fault("count dead letters", error))?;
    let (letters, users, unknown): (i64, i64, i64) =
        (row.get("letters"), row.get("users"), row.get("unknown"));
    Ok((letters > 0).then(|| Difference {
        of: "dead letters".to_owned(),
        what: format!(
            "{letters} entries of {users} players wait for an operator, of {unknown} whom Postgres does not know: \
             see laurel admin dead-letters list"
        ),
    }))
}
