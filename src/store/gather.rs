//! `lua/merge_shard.lua` and `lua/complete_answer.lua`: the board that is merged of several shards, and what an award made in one of them is
//! among all. With one shard none of this is asked.

use std::sync::Arc;

use super::keys::{BOARD_CHANNEL, personal_channel};
use super::shard::Shard;
use super::{Awarded, Redeem, Store};
use crate::error::Fault;

/// One shard's ten.
pub(super) struct Part<'a> {
    pub shard: &'a Shard,
    /// The epoch in which the shard is.
    pub epoch: i64,
    /// When its ten changed last.
    pub version: i64,
    pub top: &'a [String],
}

/// The merged board as it stands.
#[derive(PartialEq)]
pub struct Face {
    pub version: i64,
    pub published: i64,
    pub due_ms: i64,
    /// Of each shard, the epoch and the version of what is in it.
    pub parts: Vec<(i64, i64)>,
    /// If it is newer than the caller's.
    pub top: Vec<String>,
}

/// What an award changed of its shard's ten, if it did.
fn part<'a>(shard: &'a Shard, awarded: &'a Awarded, epoch: i64, replayed: bool) -> Option<Part<'a>> {
    let changed = !replayed && awarded.stamp.as_ref().is_some_and(|it| it.hlc_us == awarded.version);
    let top = awarded.top.as_deref().filter(|_| changed)?;
    Some(Part { shard, epoch, version: awarded.version, top })
}

impl Store {
    /// Of the outbox's most entries, those that one shard may have.
    pub(super) fn share_of(&self, outbox_max: u64) -> String {
        outbox_max.div_ceil(self.shards.len() as u64).to_string()
    }

    /// Where a script publishes the board it changed: of one shard of several, nowhere.
    pub(super) fn board_channel(&self) -> String {
        if self.face.is_some() { String::new() } else { BOARD_CHANNEL.to_owned() }
    }

    /// Where a script tells a user of an award: in one shard of several it does not know the rank.
    pub(super) fn channel_of(&self, user: uuid::Uuid) -> String {
        if self.face.is_some() { String::new() } else { personal_channel(user) }
    }

    /// The version of a shard's ten that a script need not give again.
    pub(super) fn known_version(&self, shard: &Shard, known_version: i64) -> i64 {
        if self.face.is_some() { shard.gathered() } else { known_version }
    }

    /// Takes a part to the merged board, or only looks at it.
    pub(super) async fn merge_shard(
        &self,
        face: &Shard,
        part: Option<Part<'_>>,
        known_version: i64,
        publish_interval_ms: u64,
    ) -> Result<Face, Fault> {
        let names = &face.keys;
        let keys = [names.state.as_str(), &names.top, &names.throttle, &names.shards];
        let mut arguments = vec![
            self.shards.len().to_string(),
            known_version.to_string(),
            BOARD_CHANNEL.to_owned(),
            publish_interval_ms.to_string(),
        ];
        match &part {
            None => arguments.push(String::new()),
            Some(part) => {
                arguments.extend([
                    part.shard.number.to_string(),
                    part.epoch.to_string(),
                    part.version.to_string(),
                ]);
                arguments.extend_from_slice(part.top);
            }
        }
        let mut reply = self.run(face, &self.scripts.merge_shard, &keys, &arguments).await?;
        face.server().binding.check_run(&reply.next::<String>()?);
        let (version, published, due_ms) = (reply.next()?, reply.next()?, reply.next()?);
        let mut parts = Vec::with_capacity(self.shards.len());
        for shard in &self.shards {
            let (epoch, version) = (reply.next()?, reply.next()?);
            shard.note_gathered(if epoch == shard.seen().epoch { version } else { -1 });
            parts.push((epoch, version));
        }
        Ok(Face { version, published, due_ms, parts, top: reply.rest()? })
    }

    /// Takes what changed in a shard to the merged board, where a script could not publish it (`due_ms` below 0). Returns when the
    /// board may be published, in ms. What fails here the next look finds.
    pub(super) async fn see_to(&self, shard: &Shard, due_ms: i64, publish_interval_ms: u64) -> u64 {
        if due_ms >= 0 {
            return due_ms.unsigned_abs();
        }
        match self.gather_shard(shard, publish_interval_ms).await {
            Ok(due_ms) => due_ms,
            Err(fault) => {
                tracing::warn!(%fault, "the merged board waits for the next look");
                0
            }
        }
    }

    async fn gather_shard(&self, shard: &Shard, publish_interval_ms: u64) -> Result<u64, Fault> {
        let Some(face) = &self.face else { return Ok(0) };
        let look = self.poll_shard(shard, -1, i64::MAX).await?;
        if !look.open {
            return Ok(0);
        }
        let part = Part { shard, epoch: look.epoch, version: look.version, top: &look.top };
        let face = self.merge_shard(face, Some(part), i64::MAX, publish_interval_ms).await?;
        Ok(face.due_ms.unsigned_abs())
    }

    /// Takes every open shard's ten to the merged board, where that has an older one. Returns when it may be published, in ms.
    pub async fn gather_all(&self, publish_interval_ms: u64) -> u64 {
        let mut due_ms = 0;
        for shard in &self.shards {
            due_ms = due_ms.max(self.see_to(shard, -1, publish_interval_ms).await);
        }
        due_ms
    }

    /// What an award made in one shard is among all. The points count, whatever fails here: then the answer has the board that the
    /// node knows, and a rank that takes a shard that does not answer to be like the others.
    pub(super) async fn among_all(
        &self,
        shard: &Shard,
        redeem: &Redeem<'_>,
        mut awarded: Awarded,
        epoch: i64,
        replayed: bool,
    ) -> Awarded {
        let before = awarded.score - awarded.points.min(awarded.score);
        let scores = [(awarded.score, awarded.rank), (before, awarded.rank_before.unwrap_or(0))];
        let part = part(shard, &awarded, epoch, replayed);
        // Whoever keeps the answer needs a board in any case; others, one that is no older than what was shown anywhere.
        let keyed = redeem.idempotency.is_some();
        let known_version = if keyed { -1 } else { redeem.known_version };
        let wanted = part.is_none().then_some(known_version);
        let (among, gathered) = futures::join!(
            self.among(shard, scores, wanted),
            self.gather_part(part, known_version, redeem.publish_interval_ms)
        );
        let face = gathered.map(Arc::new).or(among.face).filter(|it| it.version > known_version.max(0));
        (awarded.rank, awarded.rank_before) = (among.ranks[0], Some(among.ranks[1]).filter(|it| *it > 0));
        awarded.flush_due_ms = face.as_ref().map_or(0, |it| it.due_ms);
        (awarded.version, awarded.top) = match face {
            Some(face) => (face.version, Some(face.top.clone())),
            // The answer that is kept has a board, too: the one that the node shows.
            None => (redeem.known_version, keyed.then(|| (redeem.known_top)())),
        };
        let news = async {
            if !replayed {
                self.tell(shard, redeem, &awarded).await;
            }
        };
        let ((), kept) = futures::join!(news, self.complete_answer(shard, redeem, &awarded));
        if let Some((ranks, version, top)) = kept {
            (awarded.rank, awarded.rank_before) = (ranks.0, Some(ranks.1).filter(|it| *it > 0));
            (awarded.version, awarded.top) = (version, Some(top));
        }
        awarded
    }

    /// The merged board with an award in it; none where the award does not change it, or where it does not answer.
    async fn gather_part(
        &self,
        part: Option<Part<'_>>,
        known_version: i64,
        publish_interval_ms: u64,
    ) -> Option<Face> {
        let gathered =
            self.merge_shard(self.face.as_ref()?, Some(part?), known_version, publish_interval_ms).await;
        gathered.inspect_err(|fault| tracing::warn!(%fault, "the merged board waits for the next look")).ok()
    }

    /// Tells the user's sockets, which a script would do that knows the rank.
    async fn tell(&self, shard: &Shard, redeem: &Redeem<'_>, awarded: &Awarded) {
        let hlc_us = awarded.stamp.as_ref().map_or(0, |it| it.hlc_us);
        let news = (awarded.score, awarded.rank, awarded.rank_before, awarded.points as i64, hlc_us);
        self.publish_news(shard, redeem.user, news).await;
    }

    pub(super) async fn publish_news(
        &self,
        shard: &Shard,
        user: uuid::Uuid,
        (score, rank, rank_before, points, hlc_us): (u64, u64, Option<u64>, i64, i64),
    ) {
        let mut publish = redis::cmd("PUBLISH");
        let rank_before = rank_before.unwrap_or(0);
        publish.arg(personal_channel(user)).arg(format!("{score} {rank} {rank_before} {points} {hlc_us}"));
        if let Err(fault) = self.ask::<i64>(shard, "publish_award", &publish).await {
            tracing::debug!(%fault, "a user's sockets are not told of an award");
        }
    }

    /// Puts the whole answer where the script kept it, under the request's idempotency key. Returns what is kept, which is another
    /// answer if somebody was quicker.
    async fn complete_answer(
        &self,
        shard: &Shard,
        redeem: &Redeem<'_>,
        awarded: &Awarded,
    ) -> Option<((u64, u64), i64, Vec<String>)> {
        let key = redeem.idempotency?;
        let top = awarded.top.as_ref()?;
        let mut arguments = vec![
            key.request_digest.clone(),
            awarded.rank.to_string(),
            awarded.rank_before.unwrap_or(0).to_string(),
            awarded.version.to_string(),
        ];
        arguments.extend_from_slice(top);
        let answer = shard.keys.answer(redeem.user, &key.key_digest);
        let kept = self.run(shard, &self.scripts.complete_answer, &[&answer], &arguments).await;
        let read = kept.and_then(|mut it| Ok(((it.next()?, it.next()?), it.next()?, it.rest()?)));
        read.inspect_err(|fault| tracing::warn!(%fault, "an answer is not kept whole")).ok()
    }
}
