//! What admins do to a user: `lua/apply_restrictions.lua` and `lua/adjust.lua`.

use uuid::Uuid;

use crate::error::Fault;
use crate::store::board::load_totals::in_order;
use crate::store::keys::personal_channel;
use crate::store::script::declaration::{Fields, fields, script};
use crate::store::script::reply::ReplyCode;
use crate::store::{BoardEntry, BoardId, PersonalUpdate, ShardPosition, Store, TopChange};

script! {
    apply_restrictions as ApplyRestrictionsCall needs [reply clock epoch entry board merge outbox]
    keys [board shard_state board_state top throttle outbox score ban quarantine banned]
    args {
        user: Uuid,
        is_banned: bool,
        is_quarantined: bool,
        event_id: Uuid,
        board_channel: Option<&'a str>,
        publish_interval_ms: u64,
        user_channel: String,
        outbox_max: u64 => tonumber,
        held: u64 => tonumber,
        latest: ShardPosition,
    }
    more_args { candidates: BoardEntry }
}

script! {
    adjust as AdjustCall needs [reply clock epoch entry board merge personal_update outbox]
    keys [board shard_state board_state top throttle outbox score ban quarantine once]
    args {
        user: Uuid,
        number: i64,
        username: &'a str,
        event_id: Uuid,
        points: Option<i64>,
        note: &'a str,
        board_channel: Option<&'a str>,
        publish_interval_ms: u64,
        user_channel: Option<String>,
        outbox_max: u64 => tonumber,
        latest: ShardPosition,
    }
    more_args { candidates: BoardEntry }
    fields { ADJUSTED: AdjustedFields }
}

fields! {
    /// The reply after its code, before what `top_change` reads.
    struct AdjustedFields {
        before: u64,
        after: u64,
        hlc_us: i64,
        rank: i64,
    }
}

/// Input of `apply_restrictions`.
#[derive(Clone, Copy)]
pub struct Restrict<'a> {
    /// The board that shows the score.
    pub board: BoardId,
    /// UUID of the user.
    pub user: Uuid,
    /// Whether the user is banned.
    pub banned: bool,
    /// Whether the user is quarantined.
    pub quarantined: bool,
    /// Points that the ledger holds back, in case Redis has no shown score of a quarantined user.
    pub held: u64,
    /// Id of the event that approves held points, if this call does.
    pub event_id: Uuid,
    /// Least time between publications.
    pub publish_interval_ms: u64,
    /// Most entries in the outbox, over all shards.
    pub outbox_max: u64,
    /// Candidates from the ledger for the top list, the user estimated_ranks them.
    pub candidates: &'a [BoardEntry],
}

/// Input of `adjust`.
pub struct Adjust<'a> {
    /// The board that shows the score.
    pub board: BoardId,
    /// UUID of the user.
    pub user: Uuid,
    /// The user's serial number.
    pub number: i64,
    /// The name that boards show.
    pub username: &'a str,
    /// Id of the ledger entry. Within a day it runs once.
    pub event_id: Uuid,
    /// Points to add, negative to remove; `None` voids the held points.
    pub points: Option<i64>,
    /// Actor and reason as JSON.
    pub note: &'a str,
    /// Least time between publications.
    pub publish_interval_ms: u64,
    /// Most entries in the outbox, over all shards.
    pub outbox_max: u64,
    /// Candidates from the ledger for the top list.
    pub candidates: &'a [BoardEntry],
}

/// How a total changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TotalChange {
    /// Total before.
    pub before: u64,
    /// Total after.
    pub after: u64,
    /// How the top list changed.
    pub top: TopChange,
}

/// A user's restrictions as Redis has them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Restrictions {
    /// Whether scripts refuse the user.
    pub banned: bool,
    /// Whether polls return the ban.
    pub listed: bool,
    /// Whether the user's points are held.
    pub quarantined: bool,
}

/// Why a call of an admin changed nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AdminRefusal {
    /// The board is closed, or the outbox is full.
    Unavailable,
    /// The total would be below 0 or above 2^53 - 1.
    OutOfRange,
    /// A user who is not quarantined has no held points; the total of one who is cannot be adjusted.
    Quarantined,
}

impl Store {
    /// Makes a user's restrictions in Redis agree with the ledger.
    ///
    /// # Errors
    /// Redis is unavailable, or the reply has another shape.
    pub async fn apply_restrictions(
        &self,
        request: &Restrict<'_>,
    ) -> Result<Result<TopChange, AdminRefusal>, Fault> {
        let shard = self.shard(request.user);
        let (names, board) = (&shard.keys, shard.keys.board(request.board));
        let call = ApplyRestrictionsCall {
            board: (&board.scores).into(),
            shard_state: (&names.shard_state).into(),
            board_state: (&board.state).into(),
            top: (&board.top).into(),
            throttle: (&board.throttle).into(),
            outbox: (&names.outbox).into(),
            score: names.user_score(request.user).into(),
            ban: names.ban(request.user).into(),
            quarantine: names.quarantine(request.user).into(),
            banned: (&names.banned).into(),
            user: request.user,
            is_banned: request.banned,
            is_quarantined: request.quarantined,
            event_id: request.event_id,
            board_channel: self.script_channel(board),
            publish_interval_ms: request.publish_interval_ms,
            user_channel: personal_channel(request.user),
            outbox_max: self.outbox_share(request.outbox_max),
            held: request.held,
            latest: shard.latest_position(),
            candidates: request.candidates,
        };
        let mut reply = self.run(shard, &call).await?;
        match reply.code()? {
            ReplyCode::Ok => Ok(Ok(self.top_change(shard, reply, request.publish_interval_ms).await?)),
            code => admin_refusal(code).map(Err).ok_or_else(|| reply.impossible(code)),
        }
    }

    /// Changes a total.
    ///
    /// # Errors
    /// Redis is unavailable, or the reply has another shape.
    pub async fn adjust(&self, request: &Adjust<'_>) -> Result<Result<TotalChange, AdminRefusal>, Fault> {
        let shard = self.shard(request.user);
        let (names, board) = (&shard.keys, shard.keys.board(request.board));
        let call = AdjustCall {
            board: (&board.scores).into(),
            shard_state: (&names.shard_state).into(),
            board_state: (&board.state).into(),
            top: (&board.top).into(),
            throttle: (&board.throttle).into(),
            outbox: (&names.outbox).into(),
            score: names.user_score(request.user).into(),
            ban: names.ban(request.user).into(),
            quarantine: names.quarantine(request.user).into(),
            once: names.once(&request.event_id.to_string()).into(),
            user: request.user,
            number: request.number,
            username: request.username,
            event_id: request.event_id,
            points: request.points,
            note: request.note,
            board_channel: self.script_channel(board),
            publish_interval_ms: request.publish_interval_ms,
            user_channel: self.user_channel(request.user),
            outbox_max: self.outbox_share(request.outbox_max),
            latest: shard.latest_position(),
            candidates: request.candidates,
        };
        let mut reply = self.run(shard, &call).await?;
        match reply.code()? {
            ReplyCode::Ok => {
                let AdjustedFields { before, after, hlc_us, rank } = AdjustedFields::read(&mut reply)?;
                let top = self.top_change(shard, reply, request.publish_interval_ms).await?;
                // With one shard the script publishes the update, because its rank is the rank.
                if let (true, Some(points), Ok(rank)) =
                    (self.merged.is_some(), request.points, u64::try_from(rank))
                {
                    let [rank] = self.estimated_ranks(shard, [(after, rank)], None).await.ranks;
                    let rank = Some(rank).filter(|rank| *rank > 0);
                    let news = PersonalUpdate { score: after, rank, rank_before: None, points, hlc_us };
                    self.publish_update(shard, request.user, news).await;
                }
                Ok(Ok(TotalChange { before, after, top }))
            }
            code => admin_refusal(code).map(Err).ok_or_else(|| reply.impossible(code)),
        }
    }

    /// Each user's restrictions as Redis has them.
    ///
    /// # Errors
    /// Redis is unavailable.
    pub async fn restrictions(&self, users: &[Uuid]) -> Result<Vec<Restrictions>, Fault> {
        let mut results = Vec::with_capacity(users.len());
        for (shard, places) in self.places_by_shard(users) {
            let mut pipeline = redis::pipe();
            for user in places.iter().map(|place| users[*place]) {
                pipeline.exists(shard.keys.ban(user)).exists(shard.keys.quarantine(user));
                pipeline.zscore(&shard.keys.banned, user.to_string());
            }
            // EXISTS returns 1 or 0, ZSCORE a time or nothing.
            let found: Vec<Option<f64>> = self.ask_all(shard, "find_restrictions", &pipeline).await?;
            let exists = |reply: Option<f64>| reply.is_some_and(|count| count > 0.0);
            results.extend(places.into_iter().zip(found.chunks(3).map(|replies| Restrictions {
                banned: exists(replies[0]),
                quarantined: exists(replies[1]),
                listed: replies[2].is_some(),
            })));
        }
        Ok(in_order(results))
    }

    /// Those of the users who are banned.
    ///
    /// # Errors
    /// Redis is unavailable.
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
    /// Redis is unavailable.
    pub async fn is_banned(&self, user: Uuid) -> Result<bool, Fault> {
        let shard = self.shard(user);
        let mut exists = redis::cmd("EXISTS");
        exists.arg(shard.keys.ban(user));
        self.ask(shard, "find_ban", &exists).await
    }
}

fn admin_refusal(code: ReplyCode) -> Option<AdminRefusal> {
    match code {
        ReplyCode::BoardClosed | ReplyCode::OutboxFull => Some(AdminRefusal::Unavailable),
        ReplyCode::ScoreFull => Some(AdminRefusal::OutOfRange),
        ReplyCode::Quarantined => Some(AdminRefusal::Quarantined),
        _ => None,
    }
}
