//! Players: who they are, their passwords and their logins, our own and those of outside providers. It knows Postgres'
//! `users` and `outside_users`, and nothing of scores being won.

mod issuers;
mod jwt;
mod lately;
mod names;
mod outside;
mod outside_users;
mod password;
mod turns;
mod user_ref;
mod users;

pub use issuers::{IssuerProblems, Issuers};
pub use jwt::{Identity, LoginKeys};
pub use names::{Email, Password, Username};
pub use password::Passwords;
pub use user_ref::UserRef;
pub use users::{User, find, find_by_name};

use std::net::IpAddr;

use crate::app::App;
use crate::crypto::sha256_hex;
use crate::error::{Error, RateWindow, Refusal, Result};
use crate::keys::MAX_TOKEN_BYTES;
use crate::network::Network;
use crate::store::AttemptWindow;
use crate::suspicion::Sign;

/// A user and the login that was just made.
pub struct LoggedIn {
    /// Who.
    pub user: User,
    /// The login JWT.
    pub token: String,
}

/// Who a token says is calling, for every door: a login of ours, which no store is asked about, or one of an outside
/// provider, whose user is made on first sight.
///
/// # Errors
/// Malformed, forged, or run out, without saying which; too long; Postgres is away, for an outside user that this node does not know.
pub async fn identify(app: &App, token: &str) -> Result<Identity> {
    if token.len() > MAX_TOKEN_BYTES {
        return Err(Refusal::AccessTokenTooLong { max_bytes: MAX_TOKEN_BYTES }.into());
    }
    let now_s = app.clock.now_s();
    let refusal = match app.logins.read(token, now_s) {
        Ok(identity) => return Ok(identity),
        Err(refusal) => refusal,
    };
    match app.issuers.read(token, now_s) {
        Some(login) => outside::identity(app, login).await,
        None => Err(refusal.into()),
    }
}

/// Lets a caller in at any door: who it is, and whether there is room for one more request. What looks like an attack is noted.
///
/// # Errors
/// As `identify`; too many requests this minute.
pub async fn admit(app: &App, token: &str, from: IpAddr) -> Result<Identity> {
    let identity = identify(app, token).await.inspect_err(|error| {
        if let Error::Refused(Refusal::InvalidAccessToken) = error {
            app.note(Some(Sign::BadLogin), None, from);
        }
    })?;
    app.rate_limiter.user(identity.user).await.inspect_err(|_| {
        app.note(Some(Sign::Flooding), Some(identity.user), from);
    })?;
    Ok(identity)
}

/// Lets a caller listen. While Redis is away nobody can say who is banned: whoever is, is closed when it is back.
///
/// # Errors
/// As `admit`; a banned user.
pub async fn admit_listener(app: &App, token: &str, from: IpAddr) -> Result<Identity> {
    let identity = admit(app, token, from).await?;
    let away = app.health.stale_since_ms().is_some();
    if !away && app.store.is_banned(identity.user).await.unwrap_or(false) {
        return Err(Refusal::Banned.into());
    }
    Ok(identity)
}

/// Makes a user and logs them in.
///
/// # Errors
/// The name or address is taken; too many hashes wait; Postgres is away.
pub async fn register(
    app: &App,
    username: Username,
    email: Email,
    password: Password,
    from: IpAddr,
) -> Result<LoggedIn> {
    let hash = app.passwords.hash(password, Network::widest(from)).await?;
    let user = users::insert(app, app.clock.new_id(), &username, &email, &hash).await?;
    let token = app.logins.sign(&user, app.clock.now_s())?;
    Ok(LoggedIn { user, token })
}

/// Logs a user in. Whatever is wrong, the refusal and the time it takes are the same.
///
/// # Errors
/// Wrong username or password; too many hashes wait; a store is away.
pub async fn login(app: &App, username: &str, password: Password, from: IpAddr) -> Result<LoggedIn> {
    // What is no username belongs to nobody; Postgres could not even be asked for some of it.
    let found = match Username::parse(username) {
        Ok(username) => users::find_by_name(app, &username).await?,
        Err(_) => None,
    };
    // A text that is no hash would be refused at once, and so tell that its user never has a password.
    let hash = found.as_ref().map(|(_, hash)| hash.clone()).filter(|it| it.starts_with('$'));
    let holds = app.passwords.verify(password, hash, Network::widest(from)).await?;
    match found {
        Some((user, _)) if holds => {
            if app.store.is_banned(user.id).await? {
                return Err(Refusal::Banned.into());
            }
            let token = app.logins.sign(&user, app.clock.now_s())?;
            Ok(LoggedIn { user, token })
        }
        _ => Err(Refusal::InvalidCredentials.into()),
    }
}

/// Counts a login against the username's and the address's windows.
///
/// # Errors
/// Too many; Redis is away.
pub async fn count_login(app: &App, username: &str, from: IpAddr) -> Result<Option<RateWindow>> {
    let digest = sha256_hex(&[username.to_lowercase().as_bytes()]);
    let limits = &app.config.limits;
    let mut windows = vec![(AttemptWindow::Logins(digest), limits.logins_per_minute)];
    windows.extend(counted(from, limits.logins_per_minute_per_ip, AttemptWindow::LoginsFrom));
    let known = windows.iter().any(|(window, _)| app.rate_limiter.is_full(window));
    let counted = count(app, &windows).await;
    // Once a window: what is known to be full is not told again.
    if let (false, Err(Error::Refused(Refusal::RateLimited { .. }))) = (known, &counted) {
        tracing::info!(username, address = %from, "too many logins, refused for now");
    }
    counted
}

/// Counts a registration against the address's window.
///
/// # Errors
/// Too many; Redis is away.
pub async fn count_register(app: &App, from: IpAddr) -> Result<Option<RateWindow>> {
    let limit = app.config.limits.registers_per_minute_per_ip;
    let windows: Vec<_> = counted(from, limit, AttemptWindow::RegistersFrom).collect();
    count(app, &windows).await
}

/// The windows of the networks that count an address.
fn counted(
    from: IpAddr,
    limit: u32,
    window: fn(Network) -> AttemptWindow,
) -> impl Iterator<Item = (AttemptWindow, u32)> {
    Network::counted(from, limit).map(move |(network, limit)| (window(network), limit))
}

async fn count(app: &App, windows: &[(AttemptWindow, u32)]) -> Result<Option<RateWindow>> {
    let attempts = app.rate_limiter.attempt(windows).await?;
    match attempts.window {
        Some(window) if !attempts.allowed => {
            let limit = attempts.place.map_or("", |it| windows[it].0.limit());
            Err(Refusal::RateLimited { limit, window }.into())
        }
        window => Ok(window),
    }
}
