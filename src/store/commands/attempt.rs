//! `lua/attempt.lua`.

use uuid::Uuid;

use crate::error::{Fault, RateWindow};
use crate::network::Network;
use crate::store::keys::Keys;
use crate::store::script::declaration::script;
use crate::store::shard::Shard;
use crate::store::{MINUTE_MS, Store};

script! {
    attempt as AttemptCall needs [rate]
    keys [] more_keys windows
    args {}
    more_args { limits: (u32, u64) }
}

/// A rate-limit window that counts attempts.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum AttemptWindow {
    /// A user's attempts to redeem, in all flows together.
    Awards(Uuid),
    /// Tokens that a user requests.
    Inits(Uuid),
    /// Game sessions that a user starts; an hour long.
    Starts(Uuid),
    /// Logins under a username, given as a digest.
    Logins(String),
    /// Logins from a network.
    LoginsFrom(Network),
    /// Registrations from a network.
    RegistersFrom(Network),
    /// Tokens issued to a network, where a proof gets harder with the pace.
    InitsFrom(Network),
}

impl AttemptWindow {
    /// The setting that limits it.
    pub fn limit(&self) -> &'static str {
        match self {
            Self::Awards(_) => "updates_per_minute",
            Self::Inits(_) => "inits_per_minute",
            Self::Starts(_) => "starts_per_hour",
            Self::Logins(_) => "logins_per_minute",
            Self::LoginsFrom(_) => "logins_per_minute_per_ip",
            Self::RegistersFrom(_) => "registers_per_minute_per_ip",
            // It refuses nothing: it measures the pace for a proof.
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
    /// Whether every window allows the attempt.
    pub allowed: bool,
    /// The window with the fewest attempts left, if any has a limit.
    pub window: Option<RateWindow>,
    /// Its index estimated_ranks the given windows.
    pub place: Option<usize>,
}

impl Attempts {
    /// Adds the result of some windows, given with their indexes; keeps the window with the fewest attempts left.
    fn take(&mut self, some: Self, places: &[usize]) {
        let left = |window: &Option<RateWindow>| {
            window.map(|window| i64::from(window.limit) - i64::from(window.used))
        };
        self.allowed &= some.allowed;
        if some.window.is_some() && (self.window.is_none() || left(&some.window) < left(&self.window)) {
            self.window = some.window;
            self.place = some.place.map(|place| places[place]);
        }
    }
}

impl Store {
    /// Counts one attempt in each window, given with its limit per minute (0: any number). Without any limit this does not call Redis.
    ///
    /// # Errors
    /// Redis is unavailable, or the reply has another shape.
    pub async fn attempt(&self, windows: &[(AttemptWindow, u32)]) -> Result<Attempts, Fault> {
        if windows.iter().all(|(_, limit)| *limit == 0) {
            return Ok(Attempts { allowed: true, window: None, place: None });
        }
        // One call for the windows of one shard.
        let shards: Vec<&Shard> = windows.iter().map(|(window, _)| window.shard(self)).collect();
        let mut all = Attempts { allowed: true, window: None, place: None };
        for (first, shard) in shards.iter().enumerate() {
            if shards[..first].iter().any(|other| other.number == shard.number) {
                continue;
            }
            let places = (first..windows.len()).filter(|place| shards[*place].number == shard.number);
            let places: Vec<usize> = places.collect();
            let its_windows: Vec<_> = places.iter().map(|place| &windows[*place]).collect();
            all.take(self.attempt_at(shard, &its_windows).await?, &places);
        }
        Ok(all)
    }

    async fn attempt_at(&self, shard: &Shard, windows: &[&(AttemptWindow, u32)]) -> Result<Attempts, Fault> {
        let keys = windows.iter().map(|(window, _)| window.key(&shard.keys)).collect();
        let limits: Vec<_> = windows.iter().map(|(_, limit)| (*limit, MINUTE_MS)).collect();
        let mut reply = self.run(shard, &AttemptCall { windows: keys, limits: &limits }).await?;
        let allowed = reply.next::<u8>()? == 1;
        let limit = reply.next()?;
        let window = reply.rate(limit)?;
        Ok(Attempts { allowed, window, place: reply.next::<usize>()?.checked_sub(1) })
    }
}
