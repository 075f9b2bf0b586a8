//! Game sessions: `lua/start.lua`, `lua/session.lua`, `lua/finish.lua`; and `lua/standing.lua`.

use uuid::Uuid;

use crate::error::{Fault, RateWindow};
use crate::store::script::declaration::{Fields, fields, script};
use crate::store::script::reply::ReplyCode;
use crate::store::{BoardId, ScriptRefusal, Store};

/// Starts are limited by the hour.
const HOUR_MS: u64 = 3_600_000;

script! {
    start as StartCall needs [reply clock epoch rate precheck session token outbox]
    keys [shard_state outbox session token rate ban]
    args {
        user: Uuid,
        session_id: &'a str,
        first_token: &'a str,
        token_hash: &'a str,
        ttl_ms: u64,
        rate_limit: u32 => tonumber,
        rate_window_ms: u64,
        outbox_max: u64 => tonumber,
        event_id: Uuid,
        end_event_id: Uuid,
    }
}

script! {
    session as SessionCall needs [reply clock session]
    keys [session]
    args {}
    fields { SESSION: Session }
}

script! {
    finish as FinishCall needs [reply clock epoch session outbox]
    keys [shard_state outbox session score]
    args {
        user: Uuid,
        outbox_max: u64 => tonumber,
        event_id: Uuid,
    }
}

script! {
    standing as StandingCall needs [reply clock epoch]
    keys [board shard_state]
    args { user: Uuid }
}

/// Input of `start`.
pub struct Start<'a> {
    /// UUID of the user.
    pub user: Uuid,
    /// Id of the new session.
    pub session_id: &'a str,
    /// Its first token.
    pub token: &'a str,
    /// SHA-256 of the token, in hex.
    pub token_hash: &'a str,
    /// Time to live of the session.
    pub ttl_ms: u64,
    /// Starts allowed per hour (0: any number).
    pub per_hour: u32,
    /// Most entries in the outbox, over all shards.
    pub outbox_max: u64,
    /// Ids of the events: the start, and the end of an earlier session.
    pub event_ids: (Uuid, Uuid),
}

fields! {
    /// A live game session.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct Session {
        /// Its id.
        id: String,
        /// The token that can be redeemed next; empty after a failed proof.
        token: String,
        /// When it started, by Redis' clock.
        started_at_ms: i64,
        /// When it and its token expire.
        expires_at_ms: i64,
        /// Awards so far.
        actions: u64,
    }
}

/// The totals of a session that ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FinishedSession {
    /// The user's total.
    pub score: u64,
    /// Awards in the session.
    pub actions: u64,
    /// Time from start to end.
    pub played_ms: u64,
}

impl Store {
    /// Starts a game session and returns when it expires, in Unix ms; an earlier session ends.
    ///
    /// # Errors
    /// Redis is unavailable, or the reply has another shape.
    pub async fn start(
        &self,
        start: &Start<'_>,
    ) -> Result<(Result<i64, ScriptRefusal>, Option<RateWindow>), Fault> {
        let shard = self.shard(start.user);
        let names = &shard.keys;
        let call = StartCall {
            shard_state: (&names.shard_state).into(),
            outbox: (&names.outbox).into(),
            session: names.session(start.user).into(),
            token: names.token(start.token_hash).into(),
            rate: names.start_rate(start.user).into(),
            ban: names.ban(start.user).into(),
            user: start.user,
            session_id: start.session_id,
            first_token: start.token,
            token_hash: start.token_hash,
            ttl_ms: start.ttl_ms,
            rate_limit: start.per_hour,
            rate_window_ms: HOUR_MS,
            outbox_max: self.outbox_share(start.outbox_max),
            event_id: start.event_ids.0,
            end_event_id: start.event_ids.1,
        };
        let mut reply = self.run(shard, &call).await?;
        let code = reply.code()?;
        let rate = reply.rate(start.per_hour)?;
        let outcome = match code {
            ReplyCode::Ok => Ok(reply.next()?),
            code => Err(ScriptRefusal::read(code, &mut reply)?),
        };
        Ok((outcome, rate))
    }

    /// The user's live session.
    ///
    /// # Errors
    /// Redis is unavailable, or the reply has another shape.
    pub async fn session(&self, user: Uuid) -> Result<Result<Session, ScriptRefusal>, Fault> {
        let shard = self.shard(user);
        let call = SessionCall { session: shard.keys.session(user).into() };
        let mut reply = self.run(shard, &call).await?;
        match reply.code()? {
            ReplyCode::Ok => Ok(Ok(Session::read(&mut reply)?)),
            code => Ok(Err(ScriptRefusal::read(code, &mut reply)?)),
        }
    }

    /// Ends the user's live session.
    ///
    /// # Errors
    /// Redis is unavailable, or the reply has another shape.
    pub async fn finish(
        &self,
        user: Uuid,
        outbox_max: u64,
        event_id: Uuid,
    ) -> Result<Result<FinishedSession, ScriptRefusal>, Fault> {
        let shard = self.shard(user);
        let call = FinishCall {
            shard_state: (&shard.keys.shard_state).into(),
            outbox: (&shard.keys.outbox).into(),
            session: shard.keys.session(user).into(),
            score: shard.keys.user_score(user).into(),
            user,
            outbox_max: self.outbox_share(outbox_max),
            event_id,
        };
        let mut reply = self.run(shard, &call).await?;
        match reply.code()? {
            ReplyCode::Ok => Ok(Ok(FinishedSession {
                score: reply.next()?,
                actions: reply.next()?,
                played_ms: reply.next()?,
            })),
            code => Ok(Err(ScriptRefusal::read(code, &mut reply)?)),
        }
    }

    /// A user's score and, with points, rank; nothing while the board is closed, since its data may be old.
    ///
    /// # Errors
    /// Redis is unavailable, or the reply has another shape.
    pub async fn standing(&self, user: Uuid) -> Result<Option<(u64, Option<u64>)>, Fault> {
        let shard = self.shard(user);
        let call = StandingCall {
            board: (&shard.keys.board(BoardId::GLOBAL).scores).into(),
            shard_state: (&shard.keys.shard_state).into(),
            user,
        };
        let mut reply = self.run(shard, &call).await?;
        match reply.code()? {
            ReplyCode::Ok => {
                let (total, rank) = (reply.next()?, reply.next()?);
                let [rank] = self.ranks(shard, [(total, rank)]).await?;
                Ok(Some((total, Some(rank).filter(|rank| *rank > 0))))
            }
            ReplyCode::BoardClosed => Ok(None),
            code => Err(reply.impossible(code)),
        }
    }
}
