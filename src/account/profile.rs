//! Profiles: what everyone may see of a player, and what players see of themselves.

use sqlx::Row;
use uuid::Uuid;

use super::external_identities::placeholder_email;
use super::{Accounts, Identity, UserRef, users};
use crate::db::{sql_fault, timed};
use crate::error::{Refusal, Result};

/// What everyone may see of a player.
#[derive(Clone, Debug)]
pub struct Profile {
    /// UUID.
    pub id: Uuid,
    /// Spelled as registered.
    pub username: String,
    /// Registration time in ms since the Unix epoch.
    pub created_at_ms: i64,
    /// Score shown on the board `global`. A quarantined player's is that before the quarantine.
    pub score: u64,
    /// Rank on it. None without points.
    pub rank: Option<u64>,
}

/// What players see of themselves.
#[derive(Clone, Debug)]
pub struct OwnProfile {
    /// What everyone may see.
    pub public: Profile,
    /// Serial number: `userId` of the game API.
    pub number: i64,
    /// None for users of an identity provider, whose address is not known.
    pub email: Option<String>,
    /// `player` or `admin`.
    pub role: String,
}

/// A row of `users`.
struct Details {
    id: Uuid,
    number: i64,
    username: String,
    email: String,
    role: String,
    created_at_ms: i64,
    is_banned: bool,
}

/// A player's public profile.
///
/// # Errors
/// There is no such user, or the user is banned; a store is unavailable; the board is not loaded yet.
pub async fn profile(accounts: &Accounts, id: UserRef) -> Result<Profile> {
    let user = find_visible(accounts, id).await?;
    with_standing(accounts, &user).await
}

/// The id of a player who is visible to everyone.
///
/// # Errors
/// There is no such user, or the user is banned; Postgres is unavailable.
pub async fn find_player(accounts: &Accounts, id: UserRef) -> Result<Uuid> {
    find_visible(accounts, id).await.map(|user| user.id)
}

/// The caller's own profile.
///
/// # Errors
/// The caller is banned; Postgres does not have the caller; a store is unavailable; the board is not loaded yet.
pub async fn own_profile(accounts: &Accounts, caller: &Identity) -> Result<OwnProfile> {
    let user = find(accounts, UserRef::Id(caller.user)).await?.ok_or(Refusal::UserNotFound)?;
    if user.is_banned {
        return Err(Refusal::Banned.into());
    }
    let public = with_standing(accounts, &user).await?;
    let email = Some(user.email).filter(|email| *email != placeholder_email(user.id));
    Ok(OwnProfile { public, number: user.number, email, role: user.role })
}

async fn find_visible(accounts: &Accounts, id: UserRef) -> Result<Details> {
    // Banned players are on no board, so for others they do not exist.
    let user = find(accounts, id).await?.filter(|user| !user.is_banned);
    Ok(user.ok_or(Refusal::UserNotFound)?)
}

async fn find(accounts: &Accounts, id: UserRef) -> Result<Option<Details>> {
    let operation = "find_profile";
    let columns = "id, number, username, email, role, banned_at IS NOT NULL AS is_banned,
                   (extract(epoch FROM created_at) * 1000)::bigint AS created_at_ms";
    let query = users::select(columns, id).fetch_optional(&accounts.database);
    let row = timed(&accounts.metrics, operation, query).await;
    let read = |row: sqlx::postgres::PgRow| {
        Ok(Details {
            id: row.try_get("id")?,
            number: row.try_get("number")?,
            username: row.try_get("username")?,
            email: row.try_get("email")?,
            role: row.try_get("role")?,
            created_at_ms: row.try_get("created_at_ms")?,
            is_banned: row.try_get("is_banned")?,
        })
    };
    row.and_then(|row| row.map(read).transpose()).map_err(|error| sql_fault(operation, error).into())
}

async fn with_standing(accounts: &Accounts, user: &Details) -> Result<Profile> {
    let standing = accounts.store.standing(user.id).await?;
    let (score, rank) =
        standing.ok_or(Refusal::Unavailable("The board is still loading, please try again"))?;
    let Details { id, username, created_at_ms, .. } = user;
    Ok(Profile { id: *id, username: username.clone(), created_at_ms: *created_at_ms, score, rank })
}
