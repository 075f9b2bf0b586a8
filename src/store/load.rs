//! `lua/load.lua`: a board that is loaded from the ledger.

use uuid::Uuid;

use super::connection::server::Request;
use super::shard::Shard;
use super::{Store, keys};
use crate::error::Fault;

/// What an action's own limits have counted of a user, as `lua/lib/limits.lua` keeps it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Counted {
    /// Who.
    pub user: Uuid,
    /// Of which action.
    pub action: String,
    /// When the last award was, in ms.
    pub at_ms: i64,
    /// The UTC hour's number.
    pub hour: i64,
    /// Awards in it.
    pub in_hour: i64,
    /// The UTC day's number.
    pub day: i64,
    /// Awards in it.
    pub in_day: i64,
    /// When no limit can look at it any more, in ms.
    pub until_ms: i64,
}

/// What a user has won in an hour, where that is limited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PointsWon {
    /// Who.
    pub user: Uuid,
    /// How many points.
    pub points: i64,
    /// When the hour ends, in ms.
    pub until_ms: i64,
}

/// What Redis holds of a user.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    /// Who.
    pub user: Uuid,
    /// The total.
    pub total: u64,
    /// How much of it is not shown.
    pub held: u64,
    /// Whether the user is banned.
    pub banned: bool,
    /// Whether the user is set aside.
    pub quarantined: bool,
}

impl Standing {
    /// Of a user without restrictions.
    pub fn of(user: Uuid, total: u64) -> Self {
        Self { user, total, held: 0, banned: false, quarantined: false }
    }
}

/// A load of one shard that was begun. It ends without effect as soon as somebody else begins one.
pub struct Load<'a> {
    store: &'a Store,
    shard: &'a Shard,
    /// Empty where nothing is guarded.
    pub(super) loader: String,
}

impl Store {
    /// Closes a shard, by its number, and begins to load it; its epoch stays known.
    ///
    /// # Errors
    /// Redis is away.
    pub async fn begin_load(&self, shard: usize) -> Result<Load<'_>, Fault> {
        let shard = &self.shards[shard];
        let state = &shard.keys.state;
        let loader = Uuid::new_v4().to_string();
        let mut begin = redis::pipe();
        begin.cmd("HDEL").arg(state).arg("run").ignore();
        begin.cmd("HSET").arg(state).arg("loader").arg(&loader).arg("loaded").arg(0).ignore();
        self.ask_all::<()>(shard, "begin_board_load", &begin).await?;
        Ok(Load { store: self, shard, loader })
    }

    /// Sets what users have who are new; the board may be open.
    ///
    /// # Errors
    /// Redis is away; some may be set.
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

    /// Sets what users have, those of other shards left out.
    ///
    /// # Errors
    /// Redis is away, or somebody else loads the board.
    pub async fn totals(&self, standings: &[Standing]) -> Result<(), Fault> {
        // Bans count from now on, so that nodes are told of whoever came in while the board was loaded.
        let now_ms = self.store.now_us().await? / 1000;
        let names = &self.shard.keys;
        let its: Vec<Standing> = standings.iter().copied().filter(|it| self.has(it.user)).collect();
        for some in its.chunks(AT_ONCE) {
            let shown = some.iter().filter(|it| !it.banned && it.total > it.held);
            let totals = some.iter().filter(|it| it.total > 0);
            let quarantined = some.iter().filter(|it| it.quarantined);
            let banned = || some.iter().filter(|it| it.banned);
            let commands = [
                command(
                    &["ZADD", &names.board],
                    shown.flat_map(|it| [it.total.saturating_sub(it.held).to_string(), it.user.to_string()]),
                ),
                command(&["MSET"], totals.flat_map(|it| [names.user_score(it.user), it.total.to_string()])),
                command(
                    &["MSET"],
                    quarantined.flat_map(|it| {
                        [names.quarantine(it.user), it.total.saturating_sub(it.held).to_string()]
                    }),
                ),
                command(&["MSET"], banned().flat_map(|it| [names.ban(it.user), "1".to_owned()])),
                command(
                    &["ZADD", &names.banned],
                    banned().flat_map(|it| [now_ms.to_string(), it.user.to_string()]),
                ),
            ];
            self.load(commands.into_iter().flatten()).await?;
        }
        // Whoever waits for a load hears how far it has come.
        let count = its.len().to_string();
        let loaded = (!self.loader.is_empty())
            .then(|| ["HINCRBY", &names.state, "loaded", &count].map(str::to_owned).to_vec());
        self.load(loaded).await
    }

    /// Sets what limits have counted.
    ///
    /// # Errors
    /// Redis is away, or somebody else loads the board.
    pub async fn limits(&self, counted: &[Counted]) -> Result<(), Fault> {
        let set = |it: &Counted| {
            let key = self.shard.keys.action_limit(it.user, &it.action);
            let fields = [
                ("at", it.at_ms),
                ("hour", it.hour),
                ("in_hour", it.in_hour),
                ("day", it.day),
                ("in_day", it.in_day),
            ];
            let words = fields.into_iter().flat_map(|(name, value)| [name.to_owned(), value.to_string()]);
            [
                command(&["HSET", &key], words),
                command(&["PEXPIREAT", &key], [it.until_ms.to_string()].into_iter()),
            ]
        };
        let its: Vec<&Counted> = counted.iter().filter(|it| self.has(it.user)).collect();
        self.load(its.into_iter().flat_map(set).flatten()).await
    }

    /// Sets what users have won in their hour.
    ///
    /// # Errors
    /// Redis is away, or somebody else loads the board.
    pub async fn points(&self, won: &[PointsWon]) -> Result<(), Fault> {
        let set = |it: &PointsWon| {
            let key = self.shard.keys.points(it.user);
            ["SET", &key, &it.points.to_string(), "PXAT", &it.until_ms.to_string()]
                .map(str::to_owned)
                .to_vec()
        };
        self.load(won.iter().filter(|it| self.has(it.user)).map(set)).await
    }

    /// Notes attestations that were used, each by its digest and with when it runs out (ms). As in `lua/lib/proof.lua` they are
    /// remembered for a day longer.
    ///
    /// # Errors
    /// Redis is away, or somebody else loads the board.
    pub async fn used(&self, used: &[(String, i64)]) -> Result<(), Fault> {
        let set = |(digest, until_ms): &(String, i64)| {
            let forgotten_ms = until_ms + REMEMBERED_MS;
            ["SET", &self.shard.keys.once(digest), "1", "PXAT", &forgotten_ms.to_string()]
                .map(str::to_owned)
                .to_vec()
        };
        self.load(used.iter().map(set)).await
    }

    /// Takes all totals and restrictions out, so that they can be loaded anew; of an older copy the tokens and sessions too, since
    /// nobody can say which were used. The ten stay: nodes may look at them meanwhile, and `mend` takes out what no longer
    /// holds. One step of a walk: returns where to go on, 0 at the end.
    ///
    /// # Errors
    /// Redis is away, or somebody else loads the board.
    pub async fn empty_some(&self, cursor: u64, older_copy: bool) -> Result<u64, Fault> {
        let names = &self.shard.keys;
        let first = [names.board.clone(), names.banned.clone()].into_iter().filter(|_| cursor == 0);
        let mut scan = redis::cmd("SCAN");
        scan.arg(cursor).arg("COUNT").arg(AT_ONCE);
        let (next, found): (u64, Vec<String>) = self.store.ask(self.shard, "empty_board", &scan).await?;
        // A server has keys of several shards.
        let goes = |it: &String| {
            it.strip_prefix(&names.tag).is_some_and(|bare| {
                let begins = |prefixes: &[&str]| prefixes.iter().any(|prefix| bare.starts_with(prefix));
                begins(&keys::IN_THE_LEDGER) || (older_copy && begins(&keys::USED_UP))
            })
        };
        self.load(command(&["UNLINK"], first.chain(found.into_iter().filter(goes)))).await?;
        Ok(next)
    }

    /// Runs some commands, all or none of them.
    ///
    /// # Errors
    /// Redis is away, or somebody else loads the board: then nothing was done.
    pub async fn load(&self, commands: impl IntoIterator<Item = Vec<String>>) -> Result<(), Fault> {
        let mut arguments = vec![self.loader.clone()];
        for command in commands {
            arguments.push(command.len().to_string());
            arguments.extend(command);
        }
        if arguments.len() == 1 {
            return Ok(());
        }
        let store = self.store;
        match store
            .run(self.shard, &store.scripts.load, &[&self.shard.keys.state], &arguments)
            .await?
            .next()?
        {
            1u8 => Ok(()),
            _ => Err(Fault::retryable("load_board", "somebody else loads it by now")),
        }
    }
}

impl Store {
    /// Removes some keys of a board that is split otherwise by now: one step of a walk over its servers. Returns where to go on; none
    /// at the end.
    ///
    /// # Errors
    /// Redis is away.
    pub async fn remove_some(&self, (place, cursor): (usize, u64)) -> Result<Option<(usize, u64)>, Fault> {
        let doing = "remove_board";
        let Some(server) = self.distinct_servers().get(place).cloned() else { return Ok(None) };
        let mut scan = redis::cmd("SCAN");
        scan.arg(cursor).arg("COUNT").arg(AT_ONCE);
        let (next, found): (u64, Vec<String>) = server.ask_here(doing, &scan).await?;
        let is_of = |shard: &&Shard, key: &str| {
            let bare = key.strip_prefix(&shard.keys.tag);
            bare.is_some_and(|it| keys::ALL.iter().any(|kind| it.starts_with(kind)))
        };
        // Of several slots at once a cluster would not take them.
        let mut unlink = redis::pipe();
        for key in found.iter().filter(|key| self.all_shards().iter().any(|it| is_of(it, key))) {
            unlink.unlink(key).ignore();
        }
        if !unlink.is_empty() {
            let removed = server.ask::<()>(Request::Pipeline(&unlink)).await;
            removed.map_err(|it| it.into_fault(doing))?;
        }
        Ok(Some(if next == 0 { (place + 1, 0) } else { (place, next) }))
    }
}

/// How much longer than it counts a used attestation is remembered: by as much Redis' clock may be set back.
pub const REMEMBERED_MS: i64 = 86_400_000;

/// Users a command: Lua takes no more than 8,000 words.
const AT_ONCE: usize = 2000;

/// One command with all these words, if there are any.
fn command(first: &[&str], words: impl Iterator<Item = String>) -> Option<Vec<String>> {
    let mut command: Vec<String> = first.iter().map(|it| (*it).to_owned()).collect();
    command.extend(words);
    (command.len() > first.len()).then_some(command)
}
