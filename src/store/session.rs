//! `lua/start.lua`, `lua/session.lua`, `lua/finish.lua` and `lua/standing.lua`.

use uuid::Uuid;

use super::Store;
use super::reply::ReplyCode;
use crate::error::{Fault, RateWindow};

/// Starts are limited by the hour.
const HOUR_MS: &str = "3600000";

/// What `start` needs to know.
pub struct Start<'a> {
    /// Who plays.
    pub user: Uuid,
    /// The new session's id.
    pub session_id: &'a str,
    /// Its first token.
    pub token: &'a str,
    /// The token's SHA-256, in hex.
    pub token_hash: &'a str,
    /// How long the session lives.
    pub ttl_ms: u64,
    /// Starts allowed in an hour (0: any).
    pub per_hour: u32,
    /// Most entries in the outbox.
    pub outbox_max: u64,
    /// Ids of the events: this start, and the end of an earlier session.
    pub event_ids: (Uuid, Uuid),
}

/// What `start` answered.
#[derive(Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "named like the refusals they become")]
pub enum StartOutcome {
    Started { expires_at_ms: i64 },
    RateLimited,
    Banned,
    BoardClosed,
    OutboxFull,
}

/// What keeps a session from being played.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoSession {
    /// There is none.
    None,
    /// It has run out.
    Expired,
    /// Nothing can be written for the moment.
    Unavailable,
}

/// A live game session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Session {
    /// Its id.
    pub id: String,
    /// The token that can be redeemed next; empty after a failed proof.
    pub token: String,
    /// When it began, by Redis' clock.
    pub started_at_ms: i64,
    /// When it runs out, and all its tokens with it.
    pub expires_at_ms: i64,
    /// Awards in it.
    pub actions: u64,
}

/// A session that was ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finished {
    /// The user's total.
    pub score: u64,
    /// Awards in the session.
    pub actions: u64,
    /// How long it was played.
    pub played_ms: u64,
}

impl Store {
    /// Starts a game session; an earlier one ends.
    ///
    /// # Errors
    /// Redis is away, or answers what the script cannot.
    pub async fn start(&self, start: &Start<'_>) -> Result<(StartOutcome, Option<RateWindow>), Fault> {
        let shard = self.shard(start.user);
        let keys = [
            shard.keys.state.as_str(),
            &shard.keys.outbox,
            &shard.keys.session(start.user),
            &shard.keys.token(start.token_hash),
            &shard.keys.start_rate(start.user),
            &shard.keys.ban(start.user),
        ];
        let arguments = [
            start.user.to_string(),
            start.session_id.to_owned(),
            start.token.to_owned(),
            start.token_hash.to_owned(),
            start.ttl_ms.to_string(),
            start.per_hour.to_string(),
            HOUR_MS.to_owned(),
            self.share_of(start.outbox_max),
            start.event_ids.0.to_string(),
            start.event_ids.1.to_string(),
        ];
        let mut reply = self.run(shard, &self.scripts.start, &keys, &arguments).await?;
        let code = reply.code()?;
        let rate = reply.rate(start.per_hour)?;
        let outcome = match code {
            ReplyCode::Ok => StartOutcome::Started { expires_at_ms: reply.next()? },
            ReplyCode::RateLimited => StartOutcome::RateLimited,
            ReplyCode::Banned => StartOutcome::Banned,
            ReplyCode::BoardClosed => StartOutcome::BoardClosed,
            ReplyCode::OutboxFull => StartOutcome::OutboxFull,
            code => return Err(reply.impossible(code)),
        };
        Ok((outcome, rate))
    }

    /// The user's live session.
    ///
    /// # Errors
    /// Redis is away, or answers what the script cannot.
    pub async fn session(&self, user: Uuid) -> Result<Result<Session, NoSession>, Fault> {
        let shard = self.shard(user);
        let keys = [shard.keys.session(user)];
        let mut reply = self.run(shard, &self.scripts.session, &[&keys[0]], &[]).await?;
        match reply.code()? {
            ReplyCode::Ok => Ok(Ok(Session {
                id: reply.next()?,
                token: reply.next()?,
                started_at_ms: reply.next()?,
                expires_at_ms: reply.next()?,
                actions: reply.next()?,
            })),
            code => no_session(code).map(Err).ok_or_else(|| reply.impossible(code)),
        }
    }

    /// Ends the user's live session.
    ///
    /// # Errors
    /// Redis is away, or answers what the script cannot.
    pub async fn finish(
        &self,
        user: Uuid,
        outbox_max: u64,
        event_id: Uuid,
    ) -> Result<Result<Finished, NoSession>, Fault> {
        let shard = self.shard(user);
        let (session, score) = (shard.keys.session(user), shard.keys.user_score(user));
        let keys = [shard.keys.state.as_str(), &shard.keys.outbox, &session, &score];
        let arguments = [user.to_string(), self.share_of(outbox_max), event_id.to_string()];
        let mut reply = self.run(shard, &self.scripts.finish, &keys, &arguments).await?;
        match reply.code()? {
            ReplyCode::Ok => {
                Ok(Ok(Finished { score: reply.next()?, actions: reply.next()?, played_ms: reply.next()? }))
            }
            code => no_session(code).map(Err).ok_or_else(|| reply.impossible(code)),
        }
    }

    /// A user's total and rank, with no rank without points; nothing while the board is closed, since what Redis holds may be old.
    ///
    /// # Errors
    /// Redis is away, or answers what the script cannot.
    pub async fn standing(&self, user: Uuid) -> Result<Option<(u64, Option<u64>)>, Fault> {
        let shard = self.shard(user);
        let keys = [shard.keys.board.as_str(), &shard.keys.state];
        let mut reply = self.run(shard, &self.scripts.standing, &keys, &[user.to_string()]).await?;
        match reply.code()? {
            ReplyCode::Ok => {
                let (total, rank) = (reply.next()?, reply.next()?);
                let [rank] = self.ranks(shard, [(total, rank)]).await?;
                Ok(Some((total, Some(rank).filter(|it| *it > 0))))
            }
            ReplyCode::BoardClosed => Ok(None),
            code => Err(reply.impossible(code)),
        }
    }
}

fn no_session(code: ReplyCode) -> Option<NoSession> {
    match code {
        ReplyCode::NoSession => Some(NoSession::None),
        ReplyCode::TokenExpired => Some(NoSession::Expired),
        ReplyCode::BoardClosed | ReplyCode::OutboxFull => Some(NoSession::Unavailable),
        _ => None,
    }
}
