//! `lua/issue.lua`.

use std::net::IpAddr;

use uuid::Uuid;

use crate::action::Limits;
use crate::error::{Fault, RateWindow};
use crate::network::Network;
use crate::store::script::declaration::script;
use crate::store::script::reply::{ReplyCode, window};
use crate::store::{AttemptWindow, MINUTE_MS, ScriptRefusal, Store};

script! {
    issue as IssueCall needs [reply clock epoch rate precheck limits token outbox]
    keys [shard_state outbox token rate ban limit questions]
    args {
        user: Uuid,
        action: &'a str,
        token_id: Uuid,
        ttl_ms: u64,
        points: u64,
        rate_limit: u32 => tonumber,
        rate_window_ms: u64,
        limits: &'a Limits => read_limits,
        outbox_max: u64 => tonumber,
        always_counts: bool,
        draws_question: bool,
    }
}

/// Input of `issue`.
pub struct Issue<'a> {
    /// UUID of the user.
    pub user: Uuid,
    /// Action type.
    pub action: &'a str,
    /// Points of the action.
    pub points: u64,
    /// Id of the new token.
    pub token_id: Uuid,
    /// Time to live of the token.
    pub ttl_ms: u64,
    /// Tokens allowed per minute (0: any number).
    pub per_minute: u32,
    /// The action's own limits.
    pub limits: &'a Limits,
    /// Most entries in the outbox, over all shards.
    pub outbox_max: u64,
    /// Count tokens by this address too, for a proof that gets harder with the pace.
    pub paced_from: Option<IpAddr>,
    /// Whether to draw a question.
    pub draws: bool,
}

/// What a challenge is made from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChallengeSeed {
    /// Time of issue, by Redis' clock.
    pub issued_at_ms: i64,
    /// Tokens of the user and of the address in this minute, with this one; 0 if they were not counted.
    pub paces: (u32, u32),
    /// Questions that the user got before.
    pub drawn: u64,
}

impl Store {
    /// Issues a single-use token.
    ///
    /// # Errors
    /// Redis is unavailable, or the reply has another shape.
    pub async fn issue(
        &self,
        issue: &Issue<'_>,
    ) -> Result<(Result<ChallengeSeed, ScriptRefusal>, Option<RateWindow>), Fault> {
        let shard = self.shard(issue.user);
        let names = &shard.keys;
        let call = IssueCall {
            shard_state: (&names.shard_state).into(),
            outbox: (&names.outbox).into(),
            token: names.token(&issue.token_id.to_string()).into(),
            rate: names.init_rate(issue.user).into(),
            ban: names.ban(issue.user).into(),
            limit: names.action_limit(issue.user, issue.action).into(),
            questions: names.questions(issue.user, issue.action).into(),
            user: issue.user,
            action: issue.action,
            token_id: issue.token_id,
            ttl_ms: issue.ttl_ms,
            points: issue.points,
            rate_limit: issue.per_minute,
            rate_window_ms: MINUTE_MS,
            limits: issue.limits,
            outbox_max: self.outbox_share(issue.outbox_max),
            always_counts: issue.paced_from.is_some(),
            draws_question: issue.draws,
        };
        let mut reply = self.run(shard, &call).await?;
        let code = reply.code()?;
        let (used, reset_ms) = reply.window()?;
        let rate = window(issue.per_minute, used, reset_ms);
        let outcome = match code {
            ReplyCode::Ok => Ok(ChallengeSeed {
                issued_at_ms: reply.next()?,
                paces: (used, self.count_from(issue.paced_from).await?),
                drawn: reply.next()?,
            }),
            code => Err(ScriptRefusal::read(code, &mut reply)?),
        };
        Ok((outcome, rate))
    }

    /// Counts a token of an address and returns the pace: that of its household, or a household's share of its site. The network's key may be in
    /// another shard than the user's.
    async fn count_from(&self, address: Option<IpAddr>) -> Result<u32, Fault> {
        let Some(address) = address else { return Ok(0) };
        let mut pace = 0;
        for (network, households) in Network::counted(address, 1) {
            let attempts = self.attempt(&[(AttemptWindow::InitsFrom(network), u32::MAX)]).await?;
            pace = pace.max(attempts.window.map_or(0, |window| window.used.div_ceil(households)));
        }
        Ok(pace)
    }
}
