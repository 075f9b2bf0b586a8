//! Which deployment this is: an id that the first migration of a database draws, the same for all nodes on it.

use sqlx::PgPool;
use uuid::Uuid;

use super::sql_fault;
use crate::error::Fault;

/// The deployment's id.
///
/// # Errors
/// Postgres is away, or its one row was deleted.
pub async fn deployment(database: &PgPool) -> Result<Uuid, Fault> {
    let read = sqlx::query_scalar("SELECT id FROM deployment").fetch_one(database).await;
    read.map_err(|error| sql_fault("read the deployment's id", error))
}
