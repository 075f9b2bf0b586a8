//! `lua/issue.lua`.

use std::net::IpAddr;

use uuid::Uuid;

use super::reply::{ReplyCode, window};
use super::{AttemptWindow, MINUTE_MS, Store, limits_text};
use crate::action::Limits;
use crate::error::{Fault, RateWindow};
use crate::network::Network;

/// What `issue` needs to know.
pub struct Issue<'a> {
    /// Who asks.
    pub user: Uuid,
    /// For which action.
    pub action: &'a str,
    /// What it will be worth.
    pub points: u64,
    /// The new token's id.
    pub token_id: Uuid,
    /// How long it lives.
    pub ttl_ms: u64,
    /// Tokens a user may ask for in a minute (0: any).
    pub per_minute: u32,
    /// The action's own limits.
    pub limits: &'a Limits,
    /// Most entries in the outbox.
    pub outbox_max: u64,
    /// Count tokens by address too, for a proof that grows harder for who is too fast.
    pub paced_from: Option<IpAddr>,
    /// Draw a question.
    pub draws: bool,
}

/// What `issue` answered.
#[derive(Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "named like the refusals they become")]
pub enum IssueOutcome {
    /// By Redis' clock.
    Issued(ChallengeSeed),
    RateLimited,
    Banned,
    ActionLimited {
        limit: String,
        wait_ms: u64,
    },
    NotOpen,
    BoardClosed,
    OutboxFull,
}

/// What a challenge is made from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChallengeSeed {
    /// By Redis' clock.
    pub issued_at_ms: i64,
    /// Tokens in the user's and in the address's minute, this one included; 0 where they were not counted.
    pub paces: (u32, u32),
    /// Questions that the user was asked before.
    pub drawn: u64,
}

impl Store {
    /// Gives out a single-use token.
    ///
    /// # Errors
    /// Redis is away, or answers what the script cannot.
    pub async fn issue(&self, issue: &Issue<'_>) -> Result<(IssueOutcome, Option<RateWindow>), Fault> {
        let token_id = issue.token_id.to_string();
        let shard = self.shard(issue.user);
        let keys = [
            shard.keys.state.as_str(),
            &shard.keys.outbox,
            &shard.keys.token(&token_id),
            &shard.keys.init_rate(issue.user),
            &shard.keys.ban(issue.user),
            &shard.keys.action_limit(issue.user, issue.action),
            &shard.keys.asked(issue.user, issue.action),
        ];
        let mut arguments = vec![
            issue.user.to_string(),
            issue.action.to_owned(),
            token_id.clone(),
            issue.ttl_ms.to_string(),
            issue.points.to_string(),
            issue.per_minute.to_string(),
            MINUTE_MS.to_owned(),
        ];
        arguments.push(limits_text(issue.limits));
        arguments.push(self.share_of(issue.outbox_max));
        arguments.push(u8::from(issue.paced_from.is_some()).to_string());
        arguments.push(u8::from(issue.draws).to_string());
        let mut reply = self.run(shard, &self.scripts.issue, &keys, &arguments).await?;
        let code = reply.code()?;
        let (used, reset_ms) = reply.window()?;
        let rate = window(issue.per_minute, used, reset_ms);
        let outcome = match code {
            ReplyCode::Ok => IssueOutcome::Issued(ChallengeSeed {
                issued_at_ms: reply.next()?,
                paces: (used, self.count_from(issue.paced_from).await?),
                drawn: reply.next()?,
            }),
            ReplyCode::RateLimited => IssueOutcome::RateLimited,
            ReplyCode::Banned => IssueOutcome::Banned,
            ReplyCode::ActionLimited => {
                IssueOutcome::ActionLimited { wait_ms: reply.next()?, limit: reply.next()? }
            }
            ReplyCode::NotOpen => IssueOutcome::NotOpen,
            ReplyCode::BoardClosed => IssueOutcome::BoardClosed,
            ReplyCode::OutboxFull => IssueOutcome::OutboxFull,
            code => return Err(reply.impossible(code)),
        };
        Ok((outcome, rate))
    }

    /// Counts a token that an address was given, and tells its pace: its household's, or a household's share of its site's. A network is
    /// no user's, and may be of another shard.
    async fn count_from(&self, address: Option<IpAddr>) -> Result<u32, Fault> {
        let Some(address) = address else { return Ok(0) };
        let mut pace = 0;
        for (network, households) in Network::counted(address, 1) {
            let attempts = self.attempt(&[(AttemptWindow::InitsFrom(network), u32::MAX)]).await?;
            pace = pace.max(attempts.window.map_or(0, |it| it.used.div_ceil(households)));
        }
        Ok(pace)
    }
}
