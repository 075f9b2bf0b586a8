//! The users of a batch.

use std::collections::{BTreeSet, HashMap, HashSet};

use sqlx::PgConnection;
use uuid::Uuid;

use crate::store::Entry;

/// What the ledger knows of a user.
#[derive(Clone, Copy)]
struct Known {
    held_cleared: i64,
    score: i64,
}

/// The users of a batch.
pub struct Users(HashMap<Uuid, Known>);

impl Users {
    /// Reads them, once for all rows of a batch. One whom Postgres does not know is an error that names them, where a foreign key
    /// would name its constraint.
    pub async fn read(transaction: &mut PgConnection, entries: &[Entry]) -> Result<Self, sqlx::Error> {
        let asked: BTreeSet<Uuid> = entries.iter().map(|it| it.user).collect();
        let rows: Vec<(Uuid, i64, i64)> =
            sqlx::query_as("SELECT id, held_cleared, score FROM users WHERE id = ANY($1)")
                .bind(asked.iter().copied().collect::<Vec<Uuid>>())
                .fetch_all(transaction)
                .await?;
        let known: HashMap<Uuid, Known> =
            rows.into_iter().map(|(id, held_cleared, score)| (id, Known { held_cleared, score })).collect();
        match asked.iter().find(|it| !known.contains_key(it)) {
            Some(unknown) => Err(sqlx::Error::Decode(format!("there is no user {unknown}").into())),
            None => Ok(Self(known)),
        }
    }

    /// Those of a batch whom Postgres does not know.
    pub async fn unknown(
        connection: &mut PgConnection,
        entries: &[Entry],
    ) -> Result<HashSet<Uuid>, sqlx::Error> {
        let asked: HashSet<Uuid> = entries.iter().map(|it| it.user).collect();
        let known: Vec<Uuid> = sqlx::query_scalar("SELECT id FROM users WHERE id = ANY($1)")
            .bind(asked.iter().copied().collect::<Vec<Uuid>>())
            .fetch_all(connection)
            .await?;
        let known: HashSet<Uuid> = known.into_iter().collect();
        Ok(asked.difference(&known).copied().collect())
    }

    /// The moment up to which nothing of a user's is held any more.
    pub fn held_cleared(&self, user: Uuid) -> i64 {
        self.0.get(&user).map_or(0, |it| it.held_cleared)
    }

    /// A user's total in the ledger, before the batch.
    pub fn score(&self, user: Uuid) -> i64 {
        self.0.get(&user).map_or(0, |it| it.score)
    }
}
