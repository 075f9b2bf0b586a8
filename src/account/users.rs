//! The table `users`.

use sqlx::postgres::PgArguments;
use sqlx::query::Query;
use sqlx::{Postgres, Row};
use uuid::Uuid;

use super::{Email, UserRef, Username};
use crate::account::Accounts;
use crate::db::{sql_fault, timed};
use crate::error::{Refusal, Result};

/// A player.
#[derive(Clone, Debug)]
pub struct User {
    /// UUID v7: `id` in `/api/v1`.
    pub id: Uuid,
    /// Serial number: `id` in the game API.
    pub number: i64,
    /// Spelled as registered.
    pub username: String,
    /// `player` or `admin`.
    pub role: String,
    /// The score in the ledger, which may be behind Redis.
    pub score: i64,
}

fn read(row: &sqlx::postgres::PgRow) -> Result<User, sqlx::Error> {
    Ok(User {
        id: row.try_get("id")?,
        number: row.try_get("number")?,
        username: row.try_get("username")?,
        role: row.try_get("role")?,
        score: row.try_get("score")?,
    })
}

/// Creates a user.
///
/// # Errors
/// The name or email address is taken; Postgres is unavailable.
pub async fn insert(
    accounts: &Accounts,
    id: Uuid,
    username: &Username,
    email: &Email,
    password_hash: &str,
) -> Result<User> {
    let sql = "INSERT INTO users (id, username, email, password_hash) VALUES ($1, $2, $3, $4)
               RETURNING id, number, username, role, score";
    let operation = "create_user";
    let query = sqlx::query(sql).bind(id).bind(username.as_str()).bind(email.as_str()).bind(password_hash);
    match timed(&accounts.metrics, operation, query.fetch_one(&accounts.database)).await {
        Ok(row) => Ok(read(&row).map_err(|error| sql_fault("read_new_user", error))?),
        Err(error) => match error.as_database_error().and_then(|it| it.constraint()) {
            Some("users_username_key") => Err(Refusal::AlreadyExists { field: "username" }.into()),
            Some("users_email_key") => Err(Refusal::AlreadyExists { field: "email" }.into()),
            _ => Err(sql_fault(operation, error).into()),
        },
    }
}

/// A query for columns of the user of a reference.
pub fn select(columns: &str, id: UserRef) -> Query<'static, Postgres, PgArguments> {
    let sql = |condition: &str| sqlx::AssertSqlSafe(format!("SELECT {columns} FROM users WHERE {condition}"));
    match id {
        UserRef::Id(id) => sqlx::query(sql("id = $1")).bind(id),
        UserRef::Number(number) => sqlx::query(sql("number = $1")).bind(number),
        UserRef::Name(name) => sqlx::query(sql("lower(username) = lower($1)")).bind(name.as_str().to_owned()),
    }
}

/// Finds the user of a reference.
///
/// # Errors
/// Postgres is unavailable.
pub async fn find(accounts: &Accounts, id: UserRef) -> Result<Option<User>> {
    let operation = "find_user";
    let query = select("id, number, username, role, score", id).fetch_optional(&accounts.database);
    let row = timed(&accounts.metrics, operation, query).await;
    let row = row.map_err(|error| sql_fault(operation, error))?;
    row.map(|row| read(&row)).transpose().map_err(|error| sql_fault(operation, error).into())
}

/// True if a user has the role `admin` and is not banned. Postgres decides: revoking a role takes effect at once.
///
/// # Errors
/// Postgres is unavailable.
pub async fn is_admin(accounts: &Accounts, user: Uuid) -> Result<bool> {
    let operation = "find_role";
    let query = sqlx::query("SELECT role = 'admin' AND banned_at IS NULL AS admin FROM users WHERE id = $1");
    let row = query.bind(user).fetch_optional(&accounts.database);
    let row = timed(&accounts.metrics, operation, row).await.map_err(|error| sql_fault(operation, error))?;
    Ok(row.is_some_and(|row| row.get("admin")))
}

/// Finds a user and the password hash by name, ignoring case.
///
/// # Errors
/// Postgres is unavailable.
pub async fn find_by_name(accounts: &Accounts, username: &Username) -> Result<Option<(User, String)>> {
    let operation = "find_user_by_name";
    let sql = "SELECT id, number, username, role, score, password_hash FROM users WHERE lower(username) = lower($1)";
    let query = sqlx::query(sql).bind(username.as_str()).fetch_optional(&accounts.database);
    let row = timed(&accounts.metrics, operation, query).await;
    let row = row.map_err(|error| sql_fault(operation, error))?;
    row.map(|row| Ok((read(&row)?, row.try_get("password_hash")?)))
        .transpose()
        .map_err(|error| sql_fault(operation, error).into())
}
