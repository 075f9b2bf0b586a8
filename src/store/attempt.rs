//! `lua/attempt.lua`.

use uuid::Uuid;

use super::keys::Keys;
use super::shard::Shard;
use super::{MINUTE_MS, Store};
use crate::error::{Fault, RateWindow};
use crate::network::Network;

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
    /// Logins from a network.
    LoginsFrom(Network),
    /// Registrations from a network.
    RegistersFrom(Network),
    /// Tokens given to a network, whose proof grows harder with the pace.
    InitsFrom(Network),
}

impl AttemptWindow {
    /// The setting that says how many attempts it has.
    pub fn limit(&self) -> &'static str {
        match self {
            Self::Awards(_) => "updates_per_minute",
            Self::Inits(_) => "inits_per_minute",
            Self::Starts(_) => "starts_per_hour",
            Self::Logins(_) => "logins_per_minute",
            Self::LoginsFrom(_) => "logins_per_minute_per_ip",
            Self::RegistersFrom(_) => "registers_per_minute_per_ip",
            // It only sets the pace of a proof.
            Self::InitsFrom(_) => "pace_per_minute_per_ip",
        }
    }

    fn shard<'a>(&self, store: &'a Store) -> &'a Shard {
        match self {
            Self::Awards(user) | Self::Inits(user) | Self::Starts(user) => store.shard(*user),
            Self::Logins(username_digest) => store.shard_by(username_digest),
            Self::LoginsFrom(network) | Self::RegistersFrom(network) | Self::InitsFrom(network) => {
                store.shard_by(&network.to_string())
            }
        }
    }

    fn key(&self, keys: &Keys) -> String {
        match self {
            Self::Awards(user) => keys.award_rate(*user),
            Self::Inits(user) => keys.init_rate(*user),
            Self::Starts(user) => keys.start_rate(*user),
            Self::Logins(username_digest) => keys.login_rate(username_digest),
            Self::LoginsFrom(network) => keys.login_rate_from(*network),
            Self::RegistersFrom(network) => keys.register_rate_from(*network),
            Self::InitsFrom(network) => keys.init_rate_from(*network),
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

impl Attempts {
    /// Adds what some windows said, which stand at these places among all: the one with the least room is told.
    fn take(&mut self, some: Self, places: &[usize]) {
        let room = |it: &Option<RateWindow>| it.map(|it| i64::from(it.limit) - i64::from(it.used));
        self.allowed &= some.allowed;
        if some.window.is_some() && (self.window.is_none() || room(&some.window) < room(&self.window)) {
            self.window = some.window;
            self.place = some.place.map(|it| places[it]);
        }
    }
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
        // Those of one shard are asked about at once.
        let shards: Vec<&Shard> = windows.iter().map(|(window, _)| window.shard(self)).collect();
        let mut all = Attempts { allowed: true, window: None, place: None };
        for (first, shard) in shards.iter().enumerate() {
            if shards[..first].iter().any(|it| it.number == shard.number) {
                continue;
            }
            let places = (first..windows.len()).filter(|it| shards[*it].number == shard.number);
            let places: Vec<usize> = places.collect();
            let asked: Vec<_> = places.iter().map(|it| &windows[*it]).collect();
            all.take(self.attempt_at(shard, &asked).await?, &places);
        }
        Ok(all)
    }

    async fn attempt_at(&self, shard: &Shard, windows: &[&(AttemptWindow, u32)]) -> Result<Attempts, Fault> {
        let keys: Vec<String> = windows.iter().map(|(window, _)| window.key(&shard.keys)).collect();
        let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
        let arguments: Vec<String> =
            windows.iter().flat_map(|(_, limit)| [limit.to_string(), MINUTE_MS.to_owned()]).collect();
        let mut reply = self.run(shard, &self.scripts.attempt, &keys, &arguments).await?;
        let allowed = reply.next::<u8>()? == 1;
        let limit = reply.next()?;
        let window = reply.rate(limit)?;
        Ok(Attempts { allowed, window, place: reply.next::<usize>()?.checked_sub(1) })
    }
}
