//! The table `outside_users`.

use sqlx::postgres::PgRow;
use sqlx::{PgPool, Row};
use uuid::Uuid;

use super::Username;
use crate::app::App;
use crate::error::Result;
use crate::ledger::{begin, sql_fault, timed};

/// Who somebody is here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KnownUser {
    /// The user's UUID.
    pub user: Uuid,
    /// The user's serial number.
    pub number: i64,
    /// The name that boards show.
    pub username: String,
}

fn read(row: &PgRow) -> Result<KnownUser, sqlx::Error> {
    Ok(KnownUser {
        user: row.try_get("id")?,
        number: row.try_get("number")?,
        username: row.try_get("username")?,
    })
}

/// Whom a provider means by a subject.
///
/// # Errors
/// Postgres is away.
pub async fn find(app: &App, issuer: &str, subject: &str) -> Result<Option<KnownUser>> {
    let doing = "look up an outside user";
    let sql = "SELECT u.id, u.number, u.username FROM external_identities o JOIN users u ON u.id = o.user_id
               WHERE o.issuer = $1 AND o.subject = $2";
    let asked = sqlx::query(sql).bind(issuer).bind(subject).fetch_optional(&app.database);
    let row = timed(&app.metrics, doing, asked).await;
    let row = row.map_err(|error| sql_fault(doing, error))?;
    row.map(|row| read(&row)).transpose().map_err(|error| sql_fault(doing, error).into())
}

/// Makes a user for a provider's subject. `None` if the name is taken or the subject has a user: then nothing is left
/// behind.
///
/// # Errors
/// Postgres is away.
pub async fn insert(
    app: &App,
    id: Uuid,
    username: &Username,
    issuer: &str,
    subject: &str,
) -> Result<Option<KnownUser>> {
    let doing = "make an outside user";
    let made = insert_in_transaction(&app.database, id, username, issuer, subject);
    timed(&app.metrics, doing, made).await.map_err(|error| sql_fault(doing, error).into())
}

async fn insert_in_transaction(
    database: &PgPool,
    id: Uuid,
    username: &Username,
    issuer: &str,
    subject: &str,
) -> Result<Option<KnownUser>, sqlx::Error> {
    let mut transaction = begin(database, "BEGIN").await?;
    // The address can reach nobody (RFC 2606), and the hash is none, so no password fits.
    let user = "INSERT INTO users (id, username, email, password_hash) VALUES ($1, $2, $3, '!')
                ON CONFLICT DO NOTHING RETURNING id, number, username";
    let email = format!("{id}@outside.invalid");
    let made = sqlx::query(user).bind(id).bind(username.as_str()).bind(email);
    let Some(made) = made.fetch_optional(&mut *transaction).await? else { return Ok(None) };
    let link = "INSERT INTO external_identities (issuer, subject, user_id) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING";
    let linked = sqlx::query(link).bind(issuer).bind(subject).bind(id).execute(&mut *transaction).await?;
    // A transaction that is dropped is rolled back.
    if linked.rows_affected() == 0 {
        return Ok(None);
    }
    transaction.commit().await?;
    read(&made).map(Some)
}
