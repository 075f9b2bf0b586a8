//! Loading a board from the ledger: `lua/load.lua`.

use uuid::Uuid;

use crate::error::Fault;
use crate::store::connection::server::Request;
use crate::store::script::declaration::script;
use crate::store::shard::Shard;
use crate::store::{BoardId, Store, keys};

script! {
    load as LoadCall needs []
    keys [shard_state]
    args { loader: &'a str }
    more_args { commands: Vec<String> }
}

/// The counts of one user for one action's own limits, as `lua/lib/limits.lua` stores them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LimitCounts {
    /// UUID of the user.
    pub user: Uuid,
    /// Action type.
    pub action: String,
    /// Time of the last award (ms).
    pub at_ms: i64,
    /// Number of the UTC hour.
    pub hour: i64,
    /// Awards in it.
    pub in_hour: i64,
    /// Number of the UTC day.
    pub day: i64,
    /// Awards in it.
    pub in_day: i64,
    /// When no limit needs the counts any more (ms).
    pub until_ms: i64,
}

/// Points of a user in the current hour, where that is limited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PointsWon {
    /// UUID of the user.
    pub user: Uuid,
    /// Points so far.
    pub points: i64,
    /// When the hour ends (ms).
    pub until_ms: i64,
}

/// Awards of a user that count in a period of a board with `attempts`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AttemptCount {
    /// UUID of the user.
    pub user: Uuid,
    /// Address of the board.
    pub address: String,
    /// Id of the period.
    pub period: String,
    /// The awards, from 1.
    pub awards: i64,
    /// When the period ends (ms); `None`: never.
    pub until_ms: Option<i64>,
}

/// A user's total and restrictions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    /// UUID of the user.
    pub user: Uuid,
    /// The total.
    pub total: u64,
    /// Points of it that the board does not show.
    pub held: u64,
    /// Whether the user is banned.
    pub banned: bool,
    /// Whether the user is quarantined.
    pub quarantined: bool,
}

impl Standing {
    /// The score that the board shows.
    fn shown(&self) -> u64 {
        self.total.saturating_sub(self.held)
    }

    /// A user without restrictions.
    pub fn of(user: Uuid, total: u64) -> Self {
        Self { user, total, held: 0, banned: false, quarantined: false }
    }
}

/// A load of one shard. It has no more effect once another load of the shard begins.
pub struct Load<'a> {
    store: &'a Store,
    shard: &'a Shard,
    /// Id of the load; empty if none is needed.
    pub(in crate::store) loader: String,
}

impl Store {
    /// Closes a shard and begins to load it. Its epoch stays.
    ///
    /// # Errors
    /// Redis is unavailable.
    pub async fn begin_load(&self, shard: usize) -> Result<Load<'_>, Fault> {
        let shard = &self.shards[shard];
        let state = &shard.keys.shard_state;
        let loader = Uuid::new_v4().to_string();
        let mut begin = redis::pipe();
        begin.cmd("HDEL").arg(state).arg("run").ignore();
        begin.cmd("HSET").arg(state).arg("loader").arg(&loader).arg("loaded").arg(0).ignore();
        self.ask_all::<()>(shard, "begin_board_load", &begin).await?;
        Ok(Load { store: self, shard, loader })
    }

    /// Sets the totals of new users. The board may be open.
    ///
    /// # Errors
    /// Redis is unavailable; some totals may be set.
    pub async fn add_totals(&self, standings: &[Standing]) -> Result<(), Fault> {
        for shard in &self.shards {
            Load { store: self, shard, loader: String::new() }.totals(standings).await?;
        }
        Ok(())
    }
}

impl Load<'_> {
    /// The number of the shard.
    pub fn shard(&self) -> usize {
        self.shard.number
    }

    fn has(&self, user: Uuid) -> bool {
        self.store.shard_number(user) == self.shard.number
    }

    /// Sets totals and restrictions; skips users of other shards.
    ///
    /// # Errors
    /// Redis is unavailable, or another load has begun.
    pub async fn totals(&self, standings: &[Standing]) -> Result<(), Fault> {
        // Bans get the present time, so that the next poll returns them to every node.
        let now_ms = self.store.now_us().await? / 1000;
        let names = &self.shard.keys;
        let its: Vec<Standing> =
            standings.iter().copied().filter(|standing| self.has(standing.user)).collect();
        for some in its.chunks(AT_ONCE) {
            let shown = some.iter().filter(|user| !user.banned && user.total > user.held);
            let totals = some.iter().filter(|user| user.total > 0);
            let quarantined = some.iter().filter(|it| it.quarantined);
            let banned = || some.iter().filter(|it| it.banned);
            let commands = [
                command(
                    &["ZADD", &names.board(BoardId::GLOBAL).scores],
                    shown.flat_map(|user| [user.shown().to_string(), user.user.to_string()]),
                ),
                command(
                    &["MSET"],
                    totals.flat_map(|user| [names.user_score(user.user), user.total.to_string()]),
                ),
                command(
                    &["MSET"],
                    quarantined.flat_map(|it| {
                        [names.quarantine(it.user), it.total.saturating_sub(it.held).to_string()]
                    }),
                ),
                command(&["MSET"], banned().flat_map(|user| [names.ban(user.user), "1".to_owned()])),
                command(
                    &["ZADD", &names.banned],
                    banned().flat_map(|user| [now_ms.to_string(), user.user.to_string()]),
                ),
            ];
            self.load(commands.into_iter().flatten()).await?;
        }
        // The poll reports how many users are loaded.
        let count = its.len().to_string();
        let loaded = (!self.loader.is_empty())
            .then(|| ["HINCRBY", &names.shard_state, "loaded", &count].map(str::to_owned).to_vec());
        self.load(loaded).await
    }

    /// Sets the counts of actions' own limits.
    ///
    /// # Errors
    /// Redis is unavailable, or another load has begun.
    pub async fn limits(&self, counted: &[LimitCounts]) -> Result<(), Fault> {
        let set = |counts: &LimitCounts| {
            let key = self.shard.keys.action_limit(counts.user, &counts.action);
            let fields = [
                ("at", counts.at_ms),
                ("hour", counts.hour),
                ("in_hour", counts.in_hour),
                ("day", counts.day),
                ("in_day", counts.in_day),
            ];
            let words = fields.into_iter().flat_map(|(name, value)| [name.to_owned(), value.to_string()]);
            [
                command(&["HSET", &key], words),
                command(&["PEXPIREAT", &key], [counts.until_ms.to_string()].into_iter()),
            ]
        };
        let its: Vec<&LimitCounts> = counted.iter().filter(|counts| self.has(counts.user)).collect();
        self.load(its.into_iter().flat_map(set).flatten()).await
    }

    /// Sets users' points of the current hour.
    ///
    /// # Errors
    /// Redis is unavailable, or another load has begun.
    pub async fn points(&self, won: &[PointsWon]) -> Result<(), Fault> {
        let set = |won: &PointsWon| {
            let key = self.shard.keys.points(won.user);
            ["SET", &key, &won.points.to_string(), "PXAT", &won.until_ms.to_string()]
                .map(str::to_owned)
                .to_vec()
        };
        self.load(won.iter().filter(|won| self.has(won.user)).map(set)).await
    }

    /// Sets users' attempts. Periods that end later come later, and decide how long a user's are kept.
    ///
    /// # Errors
    /// Redis is unavailable, or another load has begun.
    pub async fn attempts(&self, counted: &[AttemptCount]) -> Result<(), Fault> {
        let set = |count: &AttemptCount| {
            let key = self.shard.keys.attempts(count.user);
            let awards = format!("{} {}", count.period, count.awards);
            let keep = match count.until_ms {
                Some(until_ms) => {
                    vec!["PEXPIREAT".to_owned(), key.clone(), (until_ms + REMEMBERED_MS).to_string()]
                }
                None => vec!["PERSIST".to_owned(), key.clone()],
            };
            [vec!["HSET".to_owned(), key, count.address.clone(), awards], keep]
        };
        let its: Vec<_> = counted.iter().filter(|count| self.has(count.user)).collect();
        self.load(its.into_iter().flat_map(set)).await
    }

    /// Marks attestations as used, given by their digests and expiries (ms). As in `lua/lib/proof.lua` they are remembered for a day longer.
    ///
    /// # Errors
    /// Redis is unavailable, or another load has begun.
    pub async fn used(&self, used: &[(String, i64)]) -> Result<(), Fault> {
        let set = |(digest, until_ms): &(String, i64)| {
            let forgotten_ms = until_ms + REMEMBERED_MS;
            ["SET", &self.shard.keys.once(digest), "1", "PXAT", &forgotten_ms.to_string()]
                .map(str::to_owned)
                .to_vec()
        };
        self.load(used.iter().map(set)).await
    }

    /// Removes totals and restrictions before a load; in an older copy also tokens and sessions, since any of them may have been used. The top
    /// list stays for nodes that read it meanwhile; `refill_top` removes outdated entries. One step of a scan: returns the next cursor, 0 at the end.
    ///
    /// # Errors
    /// Redis is unavailable, or another load has begun.
    pub async fn empty_some(&self, cursor: u64, older_copy: bool) -> Result<u64, Fault> {
        let names = &self.shard.keys;
        let first = [names.board(BoardId::GLOBAL).scores.clone(), names.banned.clone()]
            .into_iter()
            .filter(|_| cursor == 0);
        let mut scan = redis::cmd("SCAN");
        scan.arg(cursor).arg("COUNT").arg(AT_ONCE);
        let (next, found): (u64, Vec<String>) = self.store.ask(self.shard, "empty_board", &scan).await?;
        // A server may have keys of several shards.
        let goes = |key: &String| {
            key.strip_prefix(&names.tag).is_some_and(|bare| {
                let begins = |prefixes: &[&str]| prefixes.iter().any(|prefix| bare.starts_with(prefix));
                begins(&keys::IN_THE_LEDGER) || (older_copy && begins(&keys::USED_UP))
            })
        };
        self.load(command(&["UNLINK"], first.chain(found.into_iter().filter(goes)))).await?;
        Ok(next)
    }

    /// Runs all of the commands, or none.
    ///
    /// # Errors
    /// Redis is unavailable, or another load has begun: then no command ran.
    pub async fn load(&self, commands: impl IntoIterator<Item = Vec<String>>) -> Result<(), Fault> {
        let commands: Vec<_> = commands.into_iter().collect();
        if commands.is_empty() {
            return Ok(());
        }
        let call = LoadCall {
            shard_state: (&self.shard.keys.shard_state).into(),
            loader: &self.loader,
            commands: &commands,
        };
        match self.store.run(self.shard, &call).await?.next()? {
            1u8 => Ok(()),
            _ => Err(Fault::retryable("load_board", "another load has begun")),
        }
    }
}

impl Store {
    /// Removes some keys of a board that has another number of shards now. One step of a scan over its servers: returns the next cursor, none at
    /// the end.
    ///
    /// # Errors
    /// Redis is unavailable.
    pub async fn remove_some(&self, (place, cursor): (usize, u64)) -> Result<Option<(usize, u64)>, Fault> {
        let query_name = "remove_board";
        let Some(server) = self.distinct_servers().get(place).cloned() else { return Ok(None) };
        let mut scan = redis::cmd("SCAN");
        scan.arg(cursor).arg("COUNT").arg(AT_ONCE);
        let (next, found): (u64, Vec<String>) = server.ask_here(query_name, &scan).await?;
        let is_of = |shard: &&Shard, key: &str| {
            let bare = key.strip_prefix(&shard.keys.tag);
            bare.is_some_and(|bare| keys::ALL.iter().any(|kind| bare.starts_with(kind)))
        };
        // A cluster refuses one command for keys of several slots.
        let mut unlink = redis::pipe();
        for key in found.iter().filter(|key| self.all_shards().iter().any(|shard| is_of(shard, key))) {
            unlink.unlink(key).ignore();
        }
        if !unlink.is_empty() {
            let removed = server.ask::<()>(Request::Pipeline(&unlink)).await;
            removed.map_err(|it| it.into_fault(query_name))?;
        }
        Ok(Some(if next == 0 { (place + 1, 0) } else { (place, next) }))
    }
}

/// How long a used attestation is remembered after its expiry, and attempts after their period: as much as Redis' clock may be set back.
pub const REMEMBERED_MS: i64 = 86_400_000;

/// Users per command: Lua's unpack takes at most 8,000 words.
const AT_ONCE: usize = 2000;

/// One command with these words, if there are any.
fn command(first: &[&str], words: impl Iterator<Item = String>) -> Option<Vec<String>> {
    let mut command: Vec<String> = first.iter().map(|word| (*word).to_owned()).collect();
    command.extend(words);
    (command.len() > first.len()).then_some(command)
}
