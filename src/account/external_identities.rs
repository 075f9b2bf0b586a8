//! The table `external_identities`: which user a subject of an identity provider is.

use sqlx::postgres::PgRow;
use sqlx::{PgPool, Row};
use uuid::Uuid;

use super::Username;
use crate::account::Accounts;
use crate::db::{begin, sql_fault, timed};
use crate::error::Result;

/// The user of an external identity.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExternalUser {
    /// The user's UUID.
    pub user: Uuid,
    /// The user's serial number.
    pub number: i64,
    /// The name on the board.
    pub username: String,
}

fn read(row: &PgRow) -> Result<ExternalUser, sqlx::Error> {
    Ok(ExternalUser {
        user: row.try_get("id")?,
        number: row.try_get("number")?,
        username: row.try_get("username")?,
    })
}

/// The email address of an external user in `users`: it can't receive mail (RFC 2606).
pub fn placeholder_email(id: Uuid) -> String {
    format!("{id}@external.invalid")
}

/// Finds the user of a provider's subject.
///
/// # Errors
/// Postgres is unavailable.
pub async fn find(accounts: &Accounts, issuer: &str, subject: &str) -> Result<Option<ExternalUser>> {
    let operation = "find_external_user";
    let sql = "SELECT u.id, u.number, u.username FROM external_identities o JOIN users u ON u.id = o.user_id
               WHERE o.issuer = $1 AND o.subject = $2";
    let query = sqlx::query(sql).bind(issuer).bind(subject).fetch_optional(&accounts.database);
    let row = timed(&accounts.metrics, operation, query).await;
    let row = row.map_err(|error| sql_fault(operation, error))?;
    row.map(|row| read(&row)).transpose().map_err(|error| sql_fault(operation, error).into())
}

/// Creates a user for a provider's subject. Returns `None`, and changes nothing, if the name is taken or the subject has a user.
///
/// # Errors
/// Postgres is unavailable.
pub async fn insert(
    accounts: &Accounts,
    id: Uuid,
    username: &Username,
    issuer: &str,
    subject: &str,
) -> Result<Option<ExternalUser>> {
    let operation = "create_external_user";
    let inserted = insert_in_transaction(&accounts.database, id, username, issuer, subject);
    timed(&accounts.metrics, operation, inserted).await.map_err(|error| sql_fault(operation, error).into())
}

async fn insert_in_transaction(
    database: &PgPool,
    id: Uuid,
    username: &Username,
    issuer: &str,
    subject: &str,
) -> Result<Option<ExternalUser>, sqlx::Error> {
    let mut transaction = begin(database, "BEGIN").await?;
    // No password matches this hash.
    let sql = "INSERT INTO users (id, username, email, password_hash) VALUES ($1, $2, $3, '!')
               ON CONFLICT DO NOTHING RETURNING id, number, username";
    let user = sqlx::query(sql).bind(id).bind(username.as_str()).bind(placeholder_email(id));
    let Some(user) = user.fetch_optional(&mut *transaction).await? else { return Ok(None) };
    let sql = "INSERT INTO external_identities (issuer, subject, user_id) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING";
    let linked = sqlx::query(sql).bind(issuer).bind(subject).bind(id).execute(&mut *transaction).await?;
    // Dropping the transaction rolls it back.
    if linked.rows_affected() == 0 {
        return Ok(None);
    }
    transaction.commit().await?;
    read(&user).map(Some)
}
