//! `lua/attempt.lua`.

use std::net::IpAddr;

use uuid::Uuid;

use super::{MINUTE_MS, Store, keys};
use crate::error::{Fault, RateWindow};

/// Whose attempts a window counts.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum AttemptWindow {
    /// A user's attempts to redeem, at all doors together.
    Awards(Uuid),
    /// Tokens that a user asks for.
    Inits(Uuid),
    /// Game sessions that a user starts; an hour long.
    Starts(Uuid),
    /// Logins under a username, given as a digest.
    Logins(String),
    /// Logins from an address.
    LoginsFrom(IpAddr),
    /// Registrations from an address.
    RegistersFrom(IpAddr),
}

impl AttemptWindow {
    fn key(&self) -> String {
        match self {
            Self::Awards(user) => keys::award_rate(*user),
            Self::Inits(user) => keys::init_rate(*user),
            Self::Starts(user) => keys::start_rate(*user),
            Self::Logins(username_digest) => keys::login_rate(username_digest),
            Self::LoginsFrom(address) => keys::login_rate_from(*address),
            Self::RegistersFrom(address) => keys::register_rate_from(*address),
        }
    }
}

/// What `attempt` answered.
#[derive(Debug, PartialEq, Eq)]
pub struct Attempts {
    /// Whether every window has room.
    pub allowed: bool,
    /// The window with the least room, if any has a limit.
    pub window: Option<RateWindow>,
    /// Its place among those that were asked about.
    pub place: Option<usize>,
}

impl Store {
    /// Counts one attempt against each window; each comes with its limit a minute (0: any). Where nothing has a limit
    /// Redis is not asked.
    ///
    /// # Errors
    /// Redis is away, or answers what the script cannot.
    pub async fn attempt(&self, windows: &[(AttemptWindow, u32)]) -> Result<Attempts, Fault> {
        if windows.iter().all(|(_, limit)| *limit == 0) {
            return Ok(Attempts { allowed: true, window: None, place: None });
        }
        let keys: Vec<String> = windows.iter().map(|(window, _)| window.key()).collect();
        let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
        let arguments: Vec<String> =
            windows.iter().flat_map(|(_, limit)| [limit.to_string(), MINUTE_MS.to_owned()]).collect();
        let mut reply = self.run("attempt", &self.scripts.attempt, &keys, &arguments).await?;
        let allowed = reply.next::<u8>()? == 1;
        let limit = reply.next()?;
        let window = reply.rate(limit)?;
        Ok(Attempts { allowed, window, place: reply.next::<usize>()?.checked_sub(1) })
    }
}
