//! `lua/poll.lua`, `lua/flush.lua`, `lua/refill_top.lua`.

use futures::future::{join_all, try_join_all};
use uuid::Uuid;

use super::gather::Face;
use super::keys::BOARD_CHANNEL;
use super::reply::Reply;
use super::shard::Shard;
use super::{Load, Store};
use crate::error::Fault;

/// What a node sees when it looks at the board.
#[derive(Debug, Default)]
pub struct BoardState {
    /// Whether every shard was found to hold what the ledger holds, so that awards can be taken.
    pub open: bool,
    /// Users whom the last loads from the ledger have loaded so far.
    pub loaded: u64,
    /// Whether nobody is known to be missing among the ten.
    pub whole: bool,
    /// Entries that Postgres does not have yet.
    pub outbox: u64,
    /// So many it would be if all shards had as many as the one with the most.
    pub outbox_at_most: u64,
    /// When this was, in ms by the clock of the Redis that is behind the others.
    pub at_ms: i64,
    /// The board's version.
    pub version: i64,
    /// The newest version that was published.
    pub published: i64,
    /// Who was banned from the moment on that was asked for.
    pub banned: Vec<Uuid>,
    /// The ten, best first, if they are newer than the caller's.
    pub top: Vec<String>,
    /// Whether the merged board lacks what changed in a shard: `gather_all` brings it.
    pub ungathered: bool,
    /// Whether the board is one to show: what a closed one holds may be old.
    pub shows: bool,
}

/// What a node sees when it looks at one shard.
#[derive(Debug)]
pub struct ShardState {
    /// Whether this run of Redis was found to hold what the ledger holds.
    pub open: bool,
    /// The epoch in which some run of it was: -1 if none, 0 if that was before epochs had numbers.
    pub epoch: i64,
    /// Which run of Redis it is: its `run_id`, then its replication id.
    pub run: String,
    /// When a token was spent last, or a total changed: µs by Redis' clock.
    pub hlc_us: i64,
    /// Whether this node has seen a later moment of this epoch: then Redis lost what came after.
    pub behind: bool,
    /// Whether a load from the ledger goes on, or was cut short.
    pub loading: bool,
    /// Users whom the last load from the ledger has loaded so far.
    pub loaded: u64,
    /// Whether nobody is known to be missing among its ten.
    pub whole: bool,
    /// Entries that Postgres does not have yet.
    pub outbox: u64,
    /// When this was, in ms by Redis' clock.
    pub at_ms: i64,
    /// The version of its ten.
    pub version: i64,
    /// The newest version that was published, where this is the only shard.
    pub published: i64,
    /// Who was banned from the moment on that was asked for.
    pub banned: Vec<Uuid>,
    /// The ten, best first, if they are newer than the caller's.
    pub top: Vec<String>,
}

impl BoardState {
    /// What was seen of all shards; the board is that of the last, which is right where it is the only one.
    fn all(shards: Vec<ShardState>) -> Self {
        let count = shards.len() as u64;
        let mut all = Self { open: true, whole: true, at_ms: i64::MAX, ..Self::default() };
        for shard in shards {
            all.open &= shard.open;
            all.loaded += shard.loaded;
            all.whole &= shard.whole;
            all.outbox += shard.outbox;
            all.outbox_at_most = all.outbox_at_most.max(shard.outbox * count);
            all.at_ms = all.at_ms.min(shard.at_ms);
            all.banned.extend(shard.banned);
            (all.version, all.published, all.top) = (shard.version, shard.published, shard.top);
        }
        all
    }
}

/// The ten after something else than an award.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mended {
    /// When the changed board may be published, if the script could not; 0: it was.
    pub flush_due_ms: u64,
    /// Whether the ten hold the ten best scores. If not, somebody's newest award was not in the ledger yet.
    pub whole: bool,
}

impl Store {
    /// Looks at the board, the outbox, and the bans from a moment on (ms by Redis' clock).
    ///
    /// # Errors
    /// Redis is away, or answers what the script cannot.
    pub async fn poll(&self, known_version: i64, bans_since_ms: i64) -> Result<BoardState, Fault> {
        let Some(face) = &self.face else {
            let look =
                BoardState::all(vec![self.poll_shard(&self.shards[0], known_version, bans_since_ms).await?]);
            return Ok(BoardState { shows: look.open, ..look });
        };
        let shards = join_all(self.shards.iter().map(|it| self.poll_shard(it, i64::MAX, bans_since_ms)));
        let (shards, face) = futures::join!(shards, self.merge_shard(face, None, known_version, 0));
        let Face { version, published, top, parts, .. } = face?;
        let lacks = |(shard, part): (&Result<ShardState, Fault>, &(i64, i64))| {
            shard.as_ref().is_ok_and(|it| it.open && (it.epoch, it.version) > *part)
        };
        let ungathered = shards.iter().zip(&parts).any(lacks);
        // A shard that does not answer is closed, and holds up no other.
        let (mut there, mut away) = (Vec::new(), None);
        for shard in shards {
            match shard {
                Ok(shard) => there.push(shard),
                Err(fault) => away = Some(fault),
            }
        }
        if let Some(fault) = away.take_if(|_| there.is_empty()) {
            return Err(fault);
        }
        let mut look = BoardState::all(there);
        look.open &= away.is_none();
        Ok(BoardState { version, published, top, ungathered, shows: version > 0, ..look })
    }

    /// Looks without the board itself.
    ///
    /// # Errors
    /// Redis is away.
    pub async fn poll_state(&self) -> Result<BoardState, Fault> {
        let shards = (0..self.shards.len()).map(|it| self.poll_shard_state(it));
        Ok(BoardState::all(try_join_all(shards).await?))
    }

    /// Looks at one shard, by its number, without its ten.
    ///
    /// # Errors
    /// Redis is away.
    pub async fn poll_shard_state(&self, shard: usize) -> Result<ShardState, Fault> {
        self.poll_shard(&self.shards[shard], i64::MAX, i64::MAX).await
    }

    pub(super) async fn poll_shard(
        &self,
        shard: &Shard,
        known_version: i64,
        bans_since_ms: i64,
    ) -> Result<ShardState, Fault> {
        let names = &shard.keys;
        let keys = [names.state.as_str(), &names.top, &names.outbox, &names.banned];
        let arguments = [known_version.to_string(), bans_since_ms.to_string()];
        // From before it is asked: other replies come meanwhile.
        let seen = shard.seen();
        let mut reply = self.run(shard, &self.scripts.poll, &keys, &arguments).await?;
        let (open, epoch, run) = (reply.next::<u8>()? == 1, reply.next()?, reply.next::<String>()?);
        let (hlc_us, loading, loaded) = (reply.next()?, reply.next::<u8>()? == 1, reply.next()?);
        let (whole, outbox) = (reply.next::<u8>()? == 1, reply.next()?);
        let (at_ms, version, published, bans) = (reply.next()?, reply.next()?, reply.next()?, reply.next()?);
        let banned = reply.take::<String>(bans)?.iter().filter_map(|it| it.parse().ok()).collect();
        shard.server().binding.check_run(&run);
        // A Redis that was left behind, or lost something, may think that it is open.
        let behind = epoch == seen.epoch && hlc_us < seen.hlc_us;
        let open = open && epoch >= seen.epoch && !behind;
        if open {
            shard.see(epoch, hlc_us);
        }
        Ok(ShardState {
            open,
            epoch,
            run,
            hlc_us,
            behind,
            loading,
            loaded,
            whole,
            outbox,
            at_ms,
            version,
            published,
            banned,
            top: reply.rest()?,
        })
    }

    /// The version of the newest board that was published.
    ///
    /// # Errors
    /// Redis is away.
    pub async fn published(&self) -> Result<i64, Fault> {
        let shown = self.shown();
        let mut get = redis::cmd("HGET");
        get.arg(&shown.keys.state).arg("published");
        let version: Option<i64> = self.ask(shown, "read_published_version", &get).await?;
        Ok(version.unwrap_or(0))
    }

    /// Publishes a board that was held back. Returns the ms until it should be called again, 0 if nothing is left.
    ///
    /// # Errors
    /// Redis is away, or answers what the script cannot.
    pub async fn flush(&self, publish_interval_ms: u64) -> Result<u64, Fault> {
        let shown = self.shown();
        let keys = [shown.keys.state.as_str(), &shown.keys.top, &shown.keys.throttle];
        let arguments = [BOARD_CHANNEL.to_owned(), publish_interval_ms.to_string()];
        self.run(shown, &self.scripts.flush, &keys, &arguments).await?.next()
    }

    /// Merges candidates (`score moment userId number username`) into the ten of a shard, by its number: of an open one or of one that
    /// this load fills. Of any other nothing changes; candidates of other shards are passed over.
    ///
    /// # Errors
    /// Redis is away, or answers what the script cannot.
    pub async fn refill_top(
        &self,
        shard: usize,
        candidates: &[String],
        publish_interval_ms: u64,
        load: Option<&Load<'_>>,
    ) -> Result<Mended, Fault> {
        let shard = &self.shards[shard];
        let names = &shard.keys;
        let keys = [names.board.as_str(), &names.state, &names.top, &names.throttle];
        let mut arguments = vec![
            self.board_channel(),
            publish_interval_ms.to_string(),
            load.map(|it| it.loader.clone()).unwrap_or_default(),
            shard.least(),
        ];
        arguments.extend_from_slice(candidates);
        let reply = self.run(shard, &self.scripts.refill_top, &keys, &arguments).await?;
        self.mended(shard, reply, publish_interval_ms).await
    }

    /// Reads what became of a shard's ten, and sees to the merged board.
    pub(super) async fn mended(
        &self,
        shard: &Shard,
        mut reply: Reply,
        publish_interval_ms: u64,
    ) -> Result<Mended, Fault> {
        let (due_ms, whole) = (reply.next()?, reply.next::<u8>()? == 1);
        Ok(Mended { flush_due_ms: self.see_to(shard, due_ms, publish_interval_ms).await, whole })
    }

    /// The best members of a shard, by its number, with their scores; within a tie in no order that matters.
    ///
    /// # Errors
    /// Redis is away.
    pub async fn best(&self, shard: usize, count: usize) -> Result<Vec<(Uuid, u64)>, Fault> {
        let shard = &self.shards[shard];
        let mut range = redis::cmd("ZREVRANGE");
        range.arg(&shard.keys.board).arg(0).arg(count.saturating_sub(1)).arg("WITHSCORES");
        let best: Vec<(String, f64)> = self.ask(shard, "read_best", &range).await?;
        Ok(best.into_iter().filter_map(|(user, score)| Some((user.parse().ok()?, score as u64))).collect())
    }
}
