//! Users: registration, passwords, and logins, with our own tokens or those of identity providers. Stored in the tables `users` and
//! `external_identities`. Does not depend on awards.

mod credentials;
mod external_identities;
mod external_login;
mod fair_semaphore;
mod issuers;
mod jwt;
mod password;
mod profile;
mod user_ref;
mod users;

pub use credentials::{Email, Password, Username};
pub use issuers::{IssuerProblems, Issuers};
pub use jwt::{Identity, LoginKeys};
pub use password::Passwords;
pub use profile::{OwnProfile, Profile, find_player, own_profile, profile};
pub use user_ref::UserRef;
pub use users::{User, find, find_by_name, is_admin};

use std::net::IpAddr;
use std::sync::Arc;

use crate::abuse::{AbuseSignal, AbuseSignals};
use crate::clock::Clock;
use crate::config;
use crate::crypto::sha256_hex;
use crate::db::Database;
use crate::error::{Error, RateWindow, Refusal, Result};
use crate::health::Health;
use crate::keyring::MAX_TOKEN_BYTES;
use crate::metrics::Metrics;
use crate::network::Network;
use crate::rate_limit::RateLimiter;
use crate::store::{AttemptWindow, Store};

/// What accounts work with.
#[allow(missing_docs, reason = "each part is documented at its type")]
pub struct Accounts {
    pub limits: config::Limits,
    pub clock: Clock,
    pub metrics: Arc<Metrics>,
    pub store: Arc<Store>,
    pub database: Database,
    pub health: Arc<Health>,
    pub rate_limiter: Arc<RateLimiter>,
    pub abuse_signals: Arc<AbuseSignals>,
    pub logins: LoginKeys,
    pub issuers: Issuers,
    pub passwords: Passwords,
}

/// A user with a new login.
pub struct LoggedIn {
    /// The user.
    pub user: User,
    /// The login JWT.
    pub token: String,
}

/// Identifies the caller by an access token: a login of ours, verified without a store, or a token of an identity provider, whose first
/// use creates the user.
///
/// # Errors
/// Malformed, forged or expired, with the same refusal for all; too long; Postgres is unavailable, for an external user that is not cached.
pub async fn identify(accounts: &Accounts, token: &str) -> Result<Identity> {
    if token.len() > MAX_TOKEN_BYTES {
        return Err(Refusal::AccessTokenTooLong { max_bytes: MAX_TOKEN_BYTES }.into());
    }
    let now_s = accounts.clock.now_s();
    let refusal = match accounts.logins.read(token, now_s) {
        Ok(identity) => return Ok(identity),
        Err(refusal) => refusal,
    };
    match accounts.issuers.read(token, now_s) {
        Some(login) => external_login::identity(accounts, login).await,
        None => Err(refusal.into()),
    }
}

/// Identifies the caller and counts the request against the user's rate limit. Records abuse signals.
///
/// # Errors
/// As `identify`; the rate limit of this minute is reached.
pub async fn admit(accounts: &Accounts, token: &str, from: IpAddr) -> Result<Identity> {
    let identity = identify(accounts, token).await.inspect_err(|error| {
        if let Error::Refused(Refusal::InvalidAccessToken) = error {
            accounts.abuse_signals.note(Some(AbuseSignal::BadLogin), None, from);
        }
    })?;
    accounts.rate_limiter.user(identity.user).await.inspect_err(|_| {
        accounts.abuse_signals.note(Some(AbuseSignal::Flooding), Some(identity.user), from);
    })?;
    Ok(identity)
}

/// Admits a caller to a live connection. While Redis is unavailable, bans are not checked; banned users are disconnected when it is back.
///
/// # Errors
/// As `admit`; a banned user.
pub async fn admit_listener(accounts: &Accounts, token: &str, from: IpAddr) -> Result<Identity> {
    let identity = admit(accounts, token, from).await?;
    let is_stale = accounts.health.stale_since_ms().is_some();
    if !is_stale && accounts.store.is_banned(identity.user).await.unwrap_or(false) {
        return Err(Refusal::Banned.into());
    }
    Ok(identity)
}

/// Creates a user and a login.
///
/// # Errors
/// The name or email address is taken; too many password hashes are queued; Postgres is unavailable.
pub async fn register(
    accounts: &Accounts,
    username: Username,
    email: Email,
    password: Password,
    from: IpAddr,
) -> Result<LoggedIn> {
    let hash = accounts.passwords.hash(password, Network::widest(from)).await?;
    let user = users::insert(accounts, accounts.clock.new_id(), &username, &email, &hash).await?;
    let token = accounts.logins.sign(&user, accounts.clock.now_s())?;
    Ok(LoggedIn { user, token })
}

/// Logs a user in. An unknown name and a wrong password give the same refusal after the same time.
///
/// # Errors
/// Wrong username or password; too many password hashes are queued; a store is unavailable.
pub async fn login(
    accounts: &Accounts,
    username: &str,
    password: Password,
    from: IpAddr,
) -> Result<LoggedIn> {
    // Postgres rejects some texts, such as one with a NUL, so only valid names are looked up.
    let found = match Username::parse(username) {
        Ok(username) => users::find_by_name(accounts, &username).await?,
        Err(_) => None,
    };
    // External users have no hash. Verifying their placeholder would fail at once and reveal them, so the dummy hash is used.
    let hash = found.as_ref().map(|(_, hash)| hash.clone()).filter(|it| it.starts_with('$'));
    let is_correct = accounts.passwords.verify(password, hash, Network::widest(from)).await?;
    match found {
        Some((user, _)) if is_correct => {
            if accounts.store.is_banned(user.id).await? {
                return Err(Refusal::Banned.into());
            }
            let token = accounts.logins.sign(&user, accounts.clock.now_s())?;
            Ok(LoggedIn { user, token })
        }
        _ => Err(Refusal::InvalidCredentials.into()),
    }
}

/// Counts a login attempt against the limits of the username and of the address.
///
/// # Errors
/// A limit is reached; Redis is unavailable.
pub async fn count_login(accounts: &Accounts, username: &str, from: IpAddr) -> Result<Option<RateWindow>> {
    let digest = sha256_hex(&[username.to_lowercase().as_bytes()]);
    let limits = &accounts.limits;
    let mut windows = vec![(AttemptWindow::Logins(digest), limits.logins_per_minute)];
    windows.extend(network_windows(from, limits.logins_per_minute_per_ip, AttemptWindow::LoginsFrom));
    let was_full = windows.iter().any(|(window, _)| accounts.rate_limiter.is_full(window));
    let counted = count(accounts, &windows).await;
    // Log once per window.
    if let (false, Err(Error::Refused(Refusal::RateLimited { .. }))) = (was_full, &counted) {
        tracing::info!(username, address = %from, "login rate limit reached");
    }
    counted
}

/// Counts a registration against the limit of the address.
///
/// # Errors
/// The limit is reached; Redis is unavailable.
pub async fn count_register(accounts: &Accounts, from: IpAddr) -> Result<Option<RateWindow>> {
    let limit = accounts.limits.registers_per_minute_per_ip;
    let windows: Vec<_> = network_windows(from, limit, AttemptWindow::RegistersFrom).collect();
    count(accounts, &windows).await
}

/// The windows of an address: of its household and its site.
fn network_windows(
    from: IpAddr,
    limit: u32,
    window: fn(Network) -> AttemptWindow,
) -> impl Iterator<Item = (AttemptWindow, u32)> {
    Network::counted(from, limit).map(move |(network, limit)| (window(network), limit))
}

async fn count(accounts: &Accounts, windows: &[(AttemptWindow, u32)]) -> Result<Option<RateWindow>> {
    let attempts = accounts.rate_limiter.attempt(windows).await?;
    match attempts.window {
        Some(window) if !attempts.allowed => {
            let limit = attempts.place.map_or("", |index| windows[index].0.limit());
            Err(Refusal::RateLimited { limit, window }.into())
        }
        window => Ok(window),
    }
}
