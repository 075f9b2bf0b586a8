//! `lua/apply_restrictions.lua` and `lua/adjust.lua`: what operators do to a user.

use uuid::Uuid;

use super::keys::personal_channel;
use super::reply::ReplyCode;
use super::totals::in_order;
use super::{Mended, Store};
use crate::error::Fault;

/// What `restrict` needs to know.
#[derive(Clone, Copy)]
pub struct Restrict<'a> {
    /// Whom it is about.
    pub user: Uuid,
    /// Whether the user is banned.
    pub banned: bool,
    /// Whether the user is set aside.
    pub quarantined: bool,
    /// Points that the ledger holds back, for a Redis that does not know what it shows of somebody who is set aside.
    pub held: u64,
    /// Id of the event that confirms held points, if this does.
    pub event_id: Uuid,
    /// Least time between publications.
    pub publish_interval_ms: u64,
    /// Most entries in the outbox.
    pub outbox_max: u64,
    /// The ledger's candidates for the ten, the user among them.
    pub candidates: &'a [String],
}

/// What `adjust` needs to know.
pub struct Adjust<'a> {
    /// Whose total.
    pub user: Uuid,
    /// The user's serial number.
    pub number: i64,
    /// The name that boards show.
    pub username: &'a str,
    /// Id of the event in the ledger; within a day it is taken once.
    pub event_id: Uuid,
    /// Points, below 0 to take away; `None` voids what is held.
    pub points: Option<i64>,
    /// Who and why, as JSON.
    pub note: &'a str,
    /// Least time between publications.
    pub publish_interval_ms: u64,
    /// Most entries in the outbox.
    pub outbox_max: u64,
    /// The ledger's candidates for the ten.
    pub candidates: &'a [String],
}

/// A total that was changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Adjusted {
    /// The total before.
    pub before: u64,
    /// And after.
    pub after: u64,
    /// What became of the ten.
    pub top: Mended,
}

/// What Redis holds of a user's restrictions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InForce {
    /// Whether scripts refuse the user.
    pub banned: bool,
    /// Whether nodes are told that the user is banned.
    pub listed: bool,
    /// Whether the user's points are held back.
    pub quarantined: bool,
}

/// Why an operator's wish was not done; nothing was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotDone {
    /// Awards are closed, or the outbox is full.
    Unavailable,
    /// The total would be below 0 or above 2^53 - 1.
    OutOfRange,
    /// Nothing is held of a user who is not set aside; and what is shown of one who is stays as it is.
    Quarantined,
}

impl Store {
    /// Makes Redis hold what the ledger says of a user's restrictions.
    ///
    /// # Errors
    /// Redis is away, or answers what the script cannot.
    pub async fn apply_restrictions(&self, it: &Restrict<'_>) -> Result<Result<Mended, NotDone>, Fault> {
        let shard = self.shard(it.user);
        let names = &shard.keys;
        let keys = [
            names.board.as_str(),
            &names.state,
            &names.top,
            &names.throttle,
            &names.outbox,
            &names.user_score(it.user),
            &names.ban(it.user),
            &names.quarantine(it.user),
            &names.banned,
        ];
        let mut arguments = vec![
            it.user.to_string(),
            u8::from(it.banned).to_string(),
            u8::from(it.quarantined).to_string(),
            it.event_id.to_string(),
            self.board_channel(),
            it.publish_interval_ms.to_string(),
            personal_channel(it.user),
            self.share_of(it.outbox_max),
            it.held.to_string(),
            shard.least(),
        ];
        arguments.extend_from_slice(it.candidates);
        let mut reply = self.run(shard, &self.scripts.apply_restrictions, &keys, &arguments).await?;
        match reply.code()? {
            ReplyCode::Ok => Ok(Ok(self.mended(shard, reply, it.publish_interval_ms).await?)),
            code => not_done(code).map(Err).ok_or_else(|| reply.impossible(code)),
        }
    }

    /// Changes a total.
    ///
    /// # Errors
    /// Redis is away, or answers what the script cannot.
    pub async fn adjust(&self, it: &Adjust<'_>) -> Result<Result<Adjusted, NotDone>, Fault> {
        let shard = self.shard(it.user);
        let names = &shard.keys;
        let keys = [
            names.board.as_str(),
            &names.state,
            &names.top,
            &names.throttle,
            &names.outbox,
            &names.user_score(it.user),
            &names.ban(it.user),
            &names.quarantine(it.user),
            &names.once(&it.event_id.to_string()),
        ];
        let mut arguments = vec![
            it.user.to_string(),
            it.number.to_string(),
            it.username.to_owned(),
            it.event_id.to_string(),
            it.points.map(|it| it.to_string()).unwrap_or_default(),
            it.note.to_owned(),
            self.board_channel(),
            it.publish_interval_ms.to_string(),
            self.channel_of(it.user),
            self.share_of(it.outbox_max),
            shard.least(),
        ];
        arguments.extend_from_slice(it.candidates);
        let mut reply = self.run(shard, &self.scripts.adjust, &keys, &arguments).await?;
        match reply.code()? {
            ReplyCode::Ok => {
                let (before, after, hlc_us): (u64, u64, i64) = (reply.next()?, reply.next()?, reply.next()?);
                let rank: i64 = reply.next()?;
                let top = self.mended(shard, reply, it.publish_interval_ms).await?;
                // The script tells it itself where the rank in its shard is the rank.
                if let (true, Some(points), Ok(rank)) = (self.face.is_some(), it.points, u64::try_from(rank))
                {
                    let [rank] = self.among(shard, [(after, rank)], None).await.ranks;
                    self.publish_news(shard, it.user, (after, rank, None, points, hlc_us)).await;
                }
                Ok(Ok(Adjusted { before, after, top }))
            }
            code => not_done(code).map(Err).ok_or_else(|| reply.impossible(code)),
        }
    }

    /// What Redis holds of each user's restrictions.
    ///
    /// # Errors
    /// Redis is away.
    pub async fn restrictions(&self, users: &[Uuid]) -> Result<Vec<InForce>, Fault> {
        let mut told = Vec::with_capacity(users.len());
        for (shard, places) in self.places_by_shard(users) {
            let mut pipeline = redis::pipe();
            for user in places.iter().map(|it| users[*it]) {
                pipeline.exists(shard.keys.ban(user)).exists(shard.keys.quarantine(user));
                pipeline.zscore(&shard.keys.banned, user.to_string());
            }
            // 1 or 0 for each that exists, a moment or nothing for who is listed.
            let found: Vec<Option<f64>> = self.ask_all(shard, "find_restrictions", &pipeline).await?;
            let is_there = |it: Option<f64>| it.is_some_and(|it| it > 0.0);
            told.extend(places.into_iter().zip(found.chunks(3).map(|it| InForce {
                banned: is_there(it[0]),
                quarantined: is_there(it[1]),
                listed: it[2].is_some(),
            })));
        }
        Ok(in_order(told))
    }

    /// Which of some users are banned.
    ///
    /// # Errors
    /// Redis is away.
    pub async fn banned_among(&self, users: &[Uuid]) -> Result<Vec<Uuid>, Fault> {
        let mut banned = Vec::new();
        for (shard, places) in self.places_by_shard(users) {
            let mut scores = redis::cmd("ZMSCORE");
            scores.arg(&shard.keys.banned);
            for place in &places {
                scores.arg(users[*place].to_string());
            }
            let bans: Vec<Option<f64>> = self.ask(shard, "find_bans", &scores).await?;
            let its = places.into_iter().zip(bans).filter(|(_, ban)| ban.is_some());
            banned.extend(its.map(|(place, _)| users[place]));
        }
        Ok(banned)
    }

    /// Whether a user is banned.
    ///
    /// # Errors
    /// Redis is away.
    pub async fn is_banned(&self, user: Uuid) -> Result<bool, Fault> {
        let shard = self.shard(user);
        let mut exists = redis::cmd("EXISTS");
        exists.arg(shard.keys.ban(user));
        self.ask(shard, "find_ban", &exists).await
    }
}

fn not_done(code: ReplyCode) -> Option<NotDone> {
    match code {
        ReplyCode::BoardClosed | ReplyCode::OutboxFull => Some(NotDone::Unavailable),
        ReplyCode::ScoreFull => Some(NotDone::OutOfRange),
        ReplyCode::Quarantined => Some(NotDone::Quarantined),
        _ => None,
    }
}
