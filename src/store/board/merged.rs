//! The board that is merged from several shards, and the global rank of an award: `lua/merge_shard.lua` and `lua/complete_answer.lua`. With one shard
//! nothing of this runs.

use std::sync::Arc;

use crate::error::Fault;
use crate::store::commands::redeem_reply::{AwardFields, existing_rank};
use crate::store::keys::{BoardKeys, PERSONAL, personal_channel};
use crate::store::script::declaration::{Fields, fields, script};
use crate::store::shard::Shard;
use crate::store::{AwardReply, BoardEntry, BoardId, PersonalUpdate, Redeem, Store};

script! {
    merge_shard as MergeShardCall needs [clock epoch entry board merge]
    keys [board_state top throttle shards]
    args {
        shard_count: usize => tonumber,
        known_version: i64 => tonumber,
        board_channel: &'a str,
        publish_interval_ms: u64,
    }
    optional {
        shard: usize,
        epoch: i64,
        shard_version: i64,
    }
    more_args { entries: BoardEntry }
    fields { MERGED: MergedFields }
}

fields! {
    /// How the reply begins.
    struct MergedFields {
        run: String,
        version: i64,
        published: i64,
        flush_due_ms: i64,
    }
}

script! {
    complete_answer as CompleteAnswerCall needs []
    keys [answer]
    args {
        request_digest: &'a str,
        rank: u64,
        rank_before: u64,
        version: i64,
    }
    more_args { top: BoardEntry }
    positions { ANSWER: [&["request_digest", "code"], AwardFields::FIELDS, &["top"]] }
}

/// The top list of one shard.
pub(in crate::store) struct ShardTop<'a> {
    pub shard: &'a Shard,
    /// The shard's epoch.
    pub epoch: i64,
    /// HLC of its last change.
    pub version: i64,
    pub top: &'a [BoardEntry],
}

/// The merged board.
#[derive(PartialEq)]
pub struct MergedBoard {
    pub version: i64,
    pub published: i64,
    pub due_ms: i64,
    /// For each shard: epoch and version of the top list that it was merged from.
    pub shards: Vec<(i64, i64)>,
    /// If it is newer than the caller's.
    pub top: Vec<BoardEntry>,
}

/// The shard's top list, if the award changed it.
fn changed_top<'a>(
    shard: &'a Shard,
    awarded: &'a AwardReply,
    epoch: i64,
    replayed: bool,
) -> Option<ShardTop<'a>> {
    let changed = !replayed && awarded.receipt_data.hlc_us == awarded.version;
    let top = awarded.top.as_deref().filter(|_| changed)?;
    Some(ShardTop { shard, epoch, version: awarded.version, top })
}

impl Store {
    /// One shard's part of the most entries in the outbox.
    pub(in crate::store) fn outbox_share(&self, outbox_max: u64) -> u64 {
        outbox_max.div_ceil(self.shards.len() as u64)
    }

    /// The channel on which a script publishes the board; none if this is one of several shards.
    pub(in crate::store) fn script_channel<'k>(&self, board: &'k BoardKeys) -> Option<&'k str> {
        self.merged.is_none().then_some(&board.channel)
    }

    /// The channel on which a script publishes a user's update; none if this is one of several shards, which has no global rank.
    pub(in crate::store) fn user_channel(&self, user: uuid::Uuid) -> Option<String> {
        self.merged.is_none().then(|| personal_channel(user))
    }

    /// What the channel begins with; none as above.
    pub(in crate::store) fn user_channels(&self) -> Option<&'static str> {
        self.merged.is_none().then_some(PERSONAL)
    }

    /// The version of a shard's top list that a script need not return again.
    pub(in crate::store) fn known_version(&self, shard: &Shard, known_version: i64) -> i64 {
        if self.merged.is_some() { shard.merged_version() } else { known_version }
    }

    /// Takes a shard's top list into the merged board, or only reads the merged board.
    pub(in crate::store) async fn merge_shard(
        &self,
        place: &Shard,
        changed: Option<ShardTop<'_>>,
        known_version: i64,
        publish_interval_ms: u64,
    ) -> Result<MergedBoard, Fault> {
        let board = place.keys.board(BoardId::GLOBAL);
        let call = MergeShardCall {
            board_state: (&board.state).into(),
            top: (&board.top).into(),
            throttle: (&board.throttle).into(),
            shards: (&board.shards).into(),
            shard_count: self.shards.len(),
            known_version,
            board_channel: &board.channel,
            publish_interval_ms,
            shard: changed.as_ref().map(|top| top.shard.number),
            epoch: changed.as_ref().map(|top| top.epoch),
            shard_version: changed.as_ref().map(|top| top.version),
            entries: changed.as_ref().map_or(&[][..], |top| top.top),
        };
        let mut reply = self.run(place, &call).await?;
        let MergedFields { run, version, published, flush_due_ms } = MergedFields::read(&mut reply)?;
        place.server().binding.check_run(&run);
        let mut shards = Vec::with_capacity(self.shards.len());
        for shard in &self.shards {
            let (epoch, version) = (reply.next()?, reply.next()?);
            shard.set_merged_version(if epoch == shard.latest_position().epoch { version } else { -1 });
            shards.push((epoch, version));
        }
        Ok(MergedBoard { version, published, due_ms: flush_due_ms, shards, top: reply.rest()? })
    }

    /// Brings a shard's change to the merged board, where the script could not publish it (`due_ms` below 0). Returns the ms until the board
    /// may be published. If this fails, the next poll finds the change.
    pub(in crate::store) async fn merge_if_due(
        &self,
        shard: &Shard,
        due_ms: i64,
        publish_interval_ms: u64,
    ) -> u64 {
        if due_ms >= 0 {
            return due_ms.unsigned_abs();
        }
        match self.merge_changed_shard(shard, publish_interval_ms).await {
            Ok(due_ms) => due_ms,
            Err(fault) => {
                tracing::warn!(%fault, "merging a shard failed, the next poll tries again");
                0
            }
        }
    }

    async fn merge_changed_shard(&self, shard: &Shard, publish_interval_ms: u64) -> Result<u64, Fault> {
        let Some(place) = &self.merged else { return Ok(0) };
        let state = self.poll_shard(shard, -1, i64::MAX).await?;
        if !state.open {
            return Ok(0);
        }
        let top = ShardTop { shard, epoch: state.epoch, version: state.version, top: &state.top };
        let board = self.merge_shard(place, Some(top), i64::MAX, publish_interval_ms).await?;
        Ok(board.due_ms.unsigned_abs())
    }

    /// Takes the top list of every open shard into the merged board, where that has an older one. Returns the ms until it may be published.
    pub async fn merge_all_shards(&self, publish_interval_ms: u64) -> u64 {
        let mut due_ms = 0;
        for shard in &self.shards {
            due_ms = due_ms.max(self.merge_if_due(shard, -1, publish_interval_ms).await);
        }
        due_ms
    }

    /// Completes an award of one shard with its global rank and the merged board. The award is already durable. If a call fails, the answer
    /// has the node's own board, and a rank that assumes that missing shards are like the others.
    pub(in crate::store) async fn complete_award(
        &self,
        shard: &Shard,
        redeem: &Redeem<'_>,
        mut awarded: AwardReply,
        epoch: i64,
        replayed: bool,
    ) -> AwardReply {
        let before = awarded.score - awarded.points.min(awarded.score);
        let scores = [(awarded.score, awarded.rank.unwrap_or(0)), (before, awarded.rank_before.unwrap_or(0))];
        let changed = changed_top(shard, &awarded, epoch, replayed);
        // A stored answer needs a board in any case; another one needs a board no older than any that was shown.
        let keyed = redeem.idempotency.is_some();
        let known_version = if keyed { -1 } else { redeem.known_version };
        let wanted = changed.is_none().then_some(known_version);
        let (ranks, merged) = futures::join!(
            self.estimated_ranks(shard, scores, wanted),
            self.merge_award(changed, known_version, redeem.publish_interval_ms)
        );
        let board = merged.map(Arc::new).or(ranks.board).filter(|board| board.version > known_version.max(0));
        [awarded.rank, awarded.rank_before] = ranks.ranks.map(existing_rank);
        awarded.flush_due_ms = board.as_ref().map_or(0, |board| board.due_ms);
        (awarded.version, awarded.top) = match board {
            Some(board) => (board.version, Some(board.top.clone())),
            // A stored answer gets the board that the node shows.
            None => (redeem.known_version, keyed.then(|| (redeem.known_top)())),
        };
        let update = async {
            if !replayed {
                self.publish_award(shard, redeem, &awarded).await;
            }
        };
        let ((), stored) = futures::join!(update, self.complete_answer(shard, redeem, &awarded));
        if let Some((ranks, version, top)) = stored {
            [awarded.rank, awarded.rank_before] = ranks.map(existing_rank);
            (awarded.version, awarded.top) = (version, Some(top));
        }
        awarded
    }

    /// The merged board with the award in it; none if the award does not change it, or on failure.
    async fn merge_award(
        &self,
        changed: Option<ShardTop<'_>>,
        known_version: i64,
        publish_interval_ms: u64,
    ) -> Option<MergedBoard> {
        let place = self.merged.as_ref()?;
        let board = self.merge_shard(place, Some(changed?), known_version, publish_interval_ms).await;
        board
            .inspect_err(|fault| tracing::warn!(%fault, "merging a shard failed, the next poll tries again"))
            .ok()
    }

    /// Sends the user's update, which the script does where it has the rank.
    async fn publish_award(&self, shard: &Shard, redeem: &Redeem<'_>, awarded: &AwardReply) {
        let update = PersonalUpdate {
            score: awarded.score,
            rank: awarded.rank,
            rank_before: awarded.rank_before,
            points: awarded.points as i64,
            hlc_us: awarded.receipt_data.hlc_us,
        };
        self.publish_update(shard, redeem.user, update).await;
    }

    pub(in crate::store) async fn publish_update(
        &self,
        shard: &Shard,
        user: uuid::Uuid,
        update: PersonalUpdate,
    ) {
        let mut publish = redis::cmd("PUBLISH");
        publish.arg(personal_channel(user)).arg(update.to_string());
        if let Err(fault) = self.ask::<i64>(shard, "publish_award", &publish).await {
            tracing::debug!(%fault, "publishing a user's update failed");
        }
    }

    /// Completes the answer that the script stored under the request's idempotency key. Returns the stored answer, which differs if another
    /// request was quicker.
    async fn complete_answer(
        &self,
        shard: &Shard,
        redeem: &Redeem<'_>,
        awarded: &AwardReply,
    ) -> Option<([u64; 2], i64, Vec<BoardEntry>)> {
        let key = redeem.idempotency?;
        let top = awarded.top.as_ref()?;
        let call = CompleteAnswerCall {
            answer: shard.keys.answer(redeem.user, &key.key_digest).into(),
            request_digest: &key.request_digest,
            rank: awarded.rank.unwrap_or(0),
            rank_before: awarded.rank_before.unwrap_or(0),
            version: awarded.version,
            top,
        };
        let reply = self.run(shard, &call).await;
        let stored =
            reply.and_then(|mut reply| Ok(([reply.next()?, reply.next()?], reply.next()?, reply.rest()?)));
        stored.inspect_err(|fault| tracing::warn!(%fault, "completing a stored answer failed")).ok()
    }
}
