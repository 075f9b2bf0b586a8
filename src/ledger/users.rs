//! The users of a batch.

use std::collections::{BTreeSet, HashMap};

use sqlx::PgConnection;
use uuid::Uuid;

use crate::store::Entry;

/// The users of a batch, each with the moment up to which nothing of theirs is held any more.
pub struct Users(HashMap<Uuid, i64>);

impl Users {
    /// Reads them, once for all rows of a batch. One whom Postgres does not know is an error that names them, where a foreign key
    /// would name its constraint: such an entry stays in the outbox, where it is seen.
    pub async fn read(transaction: &mut PgConnection, entries: &[Entry]) -> Result<Self, sqlx::Error> {
        let asked: BTreeSet<Uuid> = entries.iter().map(|it| it.user).collect();
        let known: Vec<(Uuid, i64)> = sqlx::query_as("SELECT id, held_cleared FROM users WHERE id = ANY($1)")
            .bind(asked.iter().copied().collect::<Vec<Uuid>>())
            .fetch_all(transaction)
            .await?;
        let known: HashMap<Uuid, i64> = known.into_iter().collect();
        match asked.iter().find(|it| !known.contains_key(it)) {
            Some(unknown) => Err(sqlx::Error::Decode(format!("there is no user {unknown}").into())),
            None => Ok(Self(known)),
        }
    }

    /// The moment up to which nothing of a user's is held any more.
    pub fn held_cleared(&self, user: Uuid) -> i64 {
        self.0.get(&user).copied().unwrap_or(0)
    }
}
