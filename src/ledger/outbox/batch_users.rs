//! The users of a batch.

use std::collections::{BTreeSet, HashMap, HashSet};

use sqlx::PgConnection;
use uuid::Uuid;

use crate::store::Entry;

/// The users of a batch and their totals, as Postgres has them before the batch.
pub struct BatchUsers(HashMap<Uuid, i64>);

impl BatchUsers {
    /// Reads all users of the batch in one query. If a user is missing, the error names the user.
    pub async fn read(transaction: &mut PgConnection, entries: &[Entry]) -> Result<Self, sqlx::Error> {
        let ids: BTreeSet<Uuid> = entries.iter().map(|it| it.user).collect();
        let rows: Vec<(Uuid, i64)> = sqlx::query_as("SELECT id, score FROM users WHERE id = ANY($1)")
            .bind(ids.iter().copied().collect::<Vec<Uuid>>())
            .fetch_all(transaction)
            .await?;
        let users: HashMap<Uuid, i64> = rows.into_iter().collect();
        match ids.iter().find(|id| !users.contains_key(id)) {
            Some(missing) => Err(sqlx::Error::Decode(format!("there is no user {missing}").into())),
            None => Ok(Self(users)),
        }
    }

    /// The users of a batch that are not in Postgres.
    pub async fn find_unknown(
        connection: &mut PgConnection,
        entries: &[Entry],
    ) -> Result<HashSet<Uuid>, sqlx::Error> {
        let ids: HashSet<Uuid> = entries.iter().map(|it| it.user).collect();
        let found: Vec<Uuid> = sqlx::query_scalar("SELECT id FROM users WHERE id = ANY($1)")
            .bind(ids.iter().copied().collect::<Vec<Uuid>>())
            .fetch_all(connection)
            .await?;
        let found: HashSet<Uuid> = found.into_iter().collect();
        Ok(ids.difference(&found).copied().collect())
    }

    /// The user's total in the ledger.
    pub fn score(&self, user: Uuid) -> i64 {
        self.0.get(&user).copied().unwrap_or(0)
    }
}
