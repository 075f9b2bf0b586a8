//! The board: `lua/poll.lua`, `lua/flush.lua` and `lua/refill_top.lua`.

use futures::future::{join_all, try_join_all};
use uuid::Uuid;

use crate::error::Fault;
use crate::store::board::merged::MergedBoard;
use crate::store::script::declaration::{Fields, fields, script};
use crate::store::script::reply::Reply;
use crate::store::shard::Shard;
use crate::store::{BoardEntry, BoardId, Load, ShardPosition, Store};

script! {
    poll as PollCall needs [clock epoch]
    keys [shard_state board_state top outbox banned]
    args {
        known_version: i64 => tonumber,
        bans_since_ms: i64,
    }
    fields { POLL: PollFields }
}

fields! {
    /// How the reply begins.
    struct PollFields {
        open: bool,
        epoch: i64,
        run: String,
        hlc_us: i64,
        loading: bool,
        loaded: u64,
        top_is_complete: bool,
        outbox: u64,
        at_ms: i64,
        version: i64,
        published: i64,
        new_bans: usize,
    }
}

script! {
    flush as FlushCall needs [clock entry board]
    keys [board_state top throttle]
    args {
        board_channel: &'a str,
        publish_interval_ms: u64,
    }
}

script! {
    refill_top as RefillTopCall needs [clock epoch entry board merge]
    keys [board shard_state board_state top throttle]
    args {
        board_channel: Option<&'a str>,
        publish_interval_ms: u64,
        loader: &'a str,
        latest: ShardPosition,
    }
    more_args { candidates: BoardEntry }
}

/// The state of the board and of all shards, as one poll returns it.
#[derive(Debug, Default)]
pub struct BoardState {
    /// Whether every shard agrees with the ledger, so that awards are accepted.
    pub open: bool,
    /// Users that the last loads from the ledger have loaded so far.
    pub loaded: u64,
    /// Whether no entry is known to be missing from the top list.
    pub top_is_complete: bool,
    /// Outbox entries that Postgres does not have yet.
    pub outbox: u64,
    /// The same if every shard had as many as the fullest one.
    pub outbox_at_most: u64,
    /// Time of the poll in ms, by the slowest of the shards' clocks.
    pub at_ms: i64,
    /// The board's version.
    pub version: i64,
    /// The newest version that was published.
    pub published: i64,
    /// Users banned since the given time.
    pub banned: Vec<Uuid>,
    /// The top list, best first, if it is newer than the caller's.
    pub top: Vec<BoardEntry>,
    /// Whether the merged board lacks a change of a shard; `merge_all_shards` brings it.
    pub has_unmerged_shards: bool,
    /// Whether clients may see the board. A closed board may be old.
    pub shows: bool,
}

/// The state of one shard, as one poll returns it.
#[derive(Debug)]
pub struct ShardState {
    /// Whether this run of Redis agrees with the ledger.
    pub open: bool,
    /// The epoch in which a run of it last agreed with the ledger; -1 if none did.
    pub epoch: i64,
    /// The run of Redis: its `run_id`, then its replication id.
    pub run: String,
    /// HLC of the last spent token or changed total.
    pub hlc_us: i64,
    /// Whether this node has seen a later HLC in this epoch: then Redis lost what came after.
    pub behind: bool,
    /// Whether a load from the ledger is running, or was cut short.
    pub loading: bool,
    /// Users that the last load from the ledger has loaded so far.
    pub loaded: u64,
    /// Whether no entry is known to be missing from its top list.
    pub top_is_complete: bool,
    /// Outbox entries that Postgres does not have yet.
    pub outbox: u64,
    /// Time of the poll in ms, by Redis' clock.
    pub at_ms: i64,
    /// The version of its top list.
    pub version: i64,
    /// The newest published version, where this is the only shard.
    pub published: i64,
    /// Users banned since the given time.
    pub banned: Vec<Uuid>,
    /// The top list, best first, if it is newer than the caller's.
    pub top: Vec<BoardEntry>,
}

impl BoardState {
    /// Adds up the shards. The board is the last shard's, which is right if there is one shard.
    fn all(shards: Vec<ShardState>) -> Self {
        let count = shards.len() as u64;
        let mut all = Self { open: true, top_is_complete: true, at_ms: i64::MAX, ..Self::default() };
        for shard in shards {
            all.open &= shard.open;
            all.loaded += shard.loaded;
            all.top_is_complete &= shard.top_is_complete;
            all.outbox += shard.outbox;
            all.outbox_at_most = all.outbox_at_most.max(shard.outbox * count);
            all.at_ms = all.at_ms.min(shard.at_ms);
            all.banned.extend(shard.banned);
            (all.version, all.published, all.top) = (shard.version, shard.published, shard.top);
        }
        all
    }
}

/// The result of a change of the top list that was not an award.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TopChange {
    /// Milliseconds until the changed board may be published; 0: it was published.
    pub flush_due_ms: u64,
    /// Whether the top list has the best scores. If not, a user is missing whose newest award was not in the ledger yet.
    pub top_is_complete: bool,
}

impl Store {
    /// Reads the state of all shards, the bans since a time (ms by Redis' clock), and the board if it is newer.
    ///
    /// # Errors
    /// Redis is unavailable, or the reply has another shape.
    pub async fn poll(&self, known_version: i64, bans_since_ms: i64) -> Result<BoardState, Fault> {
        let Some(place) = &self.merged else {
            let shard = self.poll_shard(&self.shards[0], known_version, bans_since_ms).await?;
            let state = BoardState::all(vec![shard]);
            return Ok(BoardState { shows: state.open, ..state });
        };
        let polls = self.shards.iter().map(|shard| self.poll_shard(shard, i64::MAX, bans_since_ms));
        let (shards, board) =
            futures::join!(join_all(polls), self.merge_shard(place, None, known_version, 0));
        let MergedBoard { version, published, top, shards: merged, .. } = board?;
        let is_unmerged = |(shard, merged): (&Result<ShardState, Fault>, &(i64, i64))| {
            shard.as_ref().is_ok_and(|shard| shard.open && (shard.epoch, shard.version) > *merged)
        };
        let has_unmerged_shards = shards.iter().zip(&merged).any(is_unmerged);
        // A shard that does not answer counts as closed and does not hold up the others.
        let (mut answered, mut failure) = (Vec::new(), None);
        for shard in shards {
            match shard {
                Ok(shard) => answered.push(shard),
                Err(fault) => failure = Some(fault),
            }
        }
        if let Some(fault) = failure.take_if(|_| answered.is_empty()) {
            return Err(fault);
        }
        let mut state = BoardState::all(answered);
        state.open &= failure.is_none();
        Ok(BoardState { version, published, top, has_unmerged_shards, shows: version > 0, ..state })
    }

    /// Reads the state of all shards without the board.
    ///
    /// # Errors
    /// Redis is unavailable.
    pub async fn poll_state(&self) -> Result<BoardState, Fault> {
        let shards = (0..self.shards.len()).map(|shard| self.poll_shard_state(shard));
        Ok(BoardState::all(try_join_all(shards).await?))
    }

    /// Reads the state of one shard without its top list.
    ///
    /// # Errors
    /// Redis is unavailable.
    pub async fn poll_shard_state(&self, shard: usize) -> Result<ShardState, Fault> {
        self.poll_shard(&self.shards[shard], i64::MAX, i64::MAX).await
    }

    pub(in crate::store) async fn poll_shard(
        &self,
        shard: &Shard,
        known_version: i64,
        bans_since_ms: i64,
    ) -> Result<ShardState, Fault> {
        let (names, board) = (&shard.keys, shard.keys.board(BoardId::GLOBAL));
        let call = PollCall {
            shard_state: (&names.shard_state).into(),
            board_state: (&board.state).into(),
            top: (&board.top).into(),
            outbox: (&names.outbox).into(),
            banned: (&names.banned).into(),
            known_version,
            bans_since_ms,
        };
        // From before the call: other replies arrive meanwhile.
        let seen = shard.latest_position();
        let mut reply = self.run(shard, &call).await?;
        let PollFields {
            open,
            epoch,
            run,
            hlc_us,
            loading,
            loaded,
            top_is_complete,
            outbox,
            at_ms,
            version,
            published,
            new_bans,
        } = PollFields::read(&mut reply)?;
        let banned = reply.take::<String>(new_bans)?.iter().filter_map(|user| user.parse().ok()).collect();
        shard.server().binding.check_run(&run);
        // A Redis that was left behind, or lost data, may have an open state.
        let behind = epoch == seen.epoch && hlc_us < seen.hlc_us;
        let open = open && epoch >= seen.epoch && !behind;
        if open {
            shard.record_position(epoch, hlc_us);
        }
        Ok(ShardState {
            open,
            epoch,
            run,
            hlc_us,
            behind,
            loading,
            loaded,
            top_is_complete,
            outbox,
            at_ms,
            version,
            published,
            banned,
            top: reply.rest()?,
        })
    }

    /// The newest published version of the board.
    ///
    /// # Errors
    /// Redis is unavailable.
    pub async fn published(&self) -> Result<i64, Fault> {
        let shown = self.shown();
        let mut get = redis::cmd("HGET");
        get.arg(&shown.keys.board(BoardId::GLOBAL).state).arg("published");
        let version: Option<i64> = self.ask(shown, "read_published_version", &get).await?;
        Ok(version.unwrap_or(0))
    }

    /// Publishes a board that the throttle held back. Returns the ms until the next call is due, 0 if nothing is left to publish.
    ///
    /// # Errors
    /// Redis is unavailable, or the reply has another shape.
    pub async fn flush(&self, publish_interval_ms: u64) -> Result<u64, Fault> {
        let shown = self.shown();
        let board = shown.keys.board(BoardId::GLOBAL);
        let call = FlushCall {
            board_state: (&board.state).into(),
            top: (&board.top).into(),
            throttle: (&board.throttle).into(),
            board_channel: &board.channel,
            publish_interval_ms,
        };
        self.run(shown, &call).await?.next()
    }

    /// Merges candidates into the top list of a shard that is open or that this load fills; does nothing to any other. Skips
    /// candidates of other shards.
    ///
    /// # Errors
    /// Redis is unavailable, or the reply has another shape.
    pub async fn refill_top(
        &self,
        shard: usize,
        candidates: &[BoardEntry],
        publish_interval_ms: u64,
        load: Option<&Load<'_>>,
    ) -> Result<TopChange, Fault> {
        let shard = &self.shards[shard];
        let (names, board) = (&shard.keys, shard.keys.board(BoardId::GLOBAL));
        let call = RefillTopCall {
            board: (&board.scores).into(),
            shard_state: (&names.shard_state).into(),
            board_state: (&board.state).into(),
            top: (&board.top).into(),
            throttle: (&board.throttle).into(),
            board_channel: self.script_channel(board),
            publish_interval_ms,
            loader: load.map_or("", |load| &load.loader),
            latest: shard.latest_position(),
            candidates,
        };
        let reply = self.run(shard, &call).await?;
        self.top_change(shard, reply, publish_interval_ms).await
    }

    /// Reads how a shard's top list changed, and brings the change to the merged board.
    pub(in crate::store) async fn top_change(
        &self,
        shard: &Shard,
        mut reply: Reply,
        publish_interval_ms: u64,
    ) -> Result<TopChange, Fault> {
        let (due_ms, top_is_complete) = (reply.next()?, reply.next::<u8>()? == 1);
        Ok(TopChange {
            flush_due_ms: self.merge_if_due(shard, due_ms, publish_interval_ms).await,
            top_is_complete,
        })
    }

    /// The best users of a shard with their scores, in no order within a tie.
    ///
    /// # Errors
    /// Redis is unavailable.
    pub async fn best(&self, shard: usize, count: usize) -> Result<Vec<(Uuid, u64)>, Fault> {
        let shard = &self.shards[shard];
        let mut range = redis::cmd("ZREVRANGE");
        range
            .arg(&shard.keys.board(BoardId::GLOBAL).scores)
            .arg(0)
            .arg(count.saturating_sub(1))
            .arg("WITHSCORES");
        let best: Vec<(String, f64)> = self.ask(shard, "read_best", &range).await?;
        Ok(best.into_iter().filter_map(|(user, score)| Some((user.parse().ok()?, score as u64))).collect())
    }
}
