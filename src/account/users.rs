//! The table `users`.

use sqlx::Row;
use uuid::Uuid;

use super::{Email, UserRef, Username};
use crate::app::App;
use crate::error::{Refusal, Result};
use crate::ledger::{sql_fault, timed};

/// A player.
#[derive(Clone, Debug)]
pub struct User {
    /// UUID v7: `id` in `/api/v1`.
    pub id: Uuid,
    /// Serial number: `id` in the game API.
    pub number: i64,
    /// As it was registered.
    pub username: String,
    /// `player` or `admin`.
    pub role: String,
    /// As far as the ledger has come.
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

/// Makes a user.
///
/// # Errors
/// The name or address is taken; Postgres is away.
pub async fn insert(
    app: &App,
    id: Uuid,
    username: &Username,
    email: &Email,
    password_hash: &str,
) -> Result<User> {
    let sql = "INSERT INTO users (id, username, email, password_hash) VALUES ($1, $2, $3, $4)
               RETURNING id, number, username, role, score";
    let doing = "make a user";
    let made = sqlx::query(sql).bind(id).bind(username.as_str()).bind(email.as_str()).bind(password_hash);
    match timed(&app.metrics, doing, made.fetch_one(&app.database)).await {
        Ok(row) => Ok(read(&row).map_err(|error| sql_fault("read a new user", error))?),
        Err(error) => match error.as_database_error().and_then(|it| it.constraint()) {
            Some("users_username_key") => Err(Refusal::AlreadyExists { field: "username" }.into()),
            Some("users_email_key") => Err(Refusal::AlreadyExists { field: "email" }.into()),
            _ => Err(sql_fault(doing, error).into()),
        },
    }
}

/// The user that a reference means.
///
/// # Errors
/// Postgres is away.
pub async fn find(app: &App, id: UserRef) -> Result<Option<User>> {
    let doing = "look up a user";
    let columns = "SELECT id, number, username, role, score FROM users WHERE";
    let sql = |is: &str| sqlx::AssertSqlSafe(format!("{columns} {is}"));
    let asked = match id {
        UserRef::Id(id) => sqlx::query(sql("id = $1")).bind(id),
        UserRef::Number(number) => sqlx::query(sql("number = $1")).bind(number),
        UserRef::Name(name) => sqlx::query(sql("lower(username) = lower($1)")).bind(name.as_str().to_owned()),
    };
    let row = timed(&app.metrics, doing, asked.fetch_optional(&app.database)).await;
    let row = row.map_err(|error| sql_fault(doing, error))?;
    row.map(|row| read(&row)).transpose().map_err(|error| sql_fault(doing, error).into())
}

/// A user and the password's hash, by name without regard to case.
///
/// # Errors
/// Postgres is away.
pub async fn find_by_name(app: &App, username: &Username) -> Result<Option<(User, String)>> {
    let doing = "look up a name";
    let sql = "SELECT id, number, username, role, score, password_hash FROM users WHERE lower(username) = lower($1)";
    let asked = sqlx::query(sql).bind(username.as_str()).fetch_optional(&app.database);
    let row = timed(&app.metrics, doing, asked).await;
    let row = row.map_err(|error| sql_fault(doing, error))?;
    row.map(|row| Ok((read(&row)?, row.try_get("password_hash")?)))
        .transpose()
        .map_err(|error| sql_fault(doing, error).into())
}
