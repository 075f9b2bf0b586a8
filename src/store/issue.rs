//! `lua/issue.lua`.

use uuid::Uuid;

use super::reply::ReplyCode;
use super::{MINUTE_MS, Store, keys};
use crate::action::Limits;
use crate::error::{Fault, RateWindow};

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
}

/// What `issue` answered.
#[derive(Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "named like the refusals they become")]
pub enum IssueOutcome {
    /// By Redis' clock.
    Issued {
        issued_at_ms: i64,
    },
    RateLimited,
    Banned,
    ActionLimited {
        wait_ms: u64,
    },
    BoardClosed,
    OutboxFull,
}

impl Store {
    /// Gives out a single-use token.
    ///
    /// # Errors
    /// Redis is away, or answers what the script cannot.
    pub async fn issue(&self, issue: &Issue<'_>) -> Result<(IssueOutcome, Option<RateWindow>), Fault> {
        let token_id = issue.token_id.to_string();
        let keys = [
            keys::BOARD_STATE,
            keys::OUTBOX,
            &keys::token(&token_id),
            &keys::init_rate(issue.user),
            &keys::ban(issue.user),
            &keys::action_limit(issue.user, issue.action),
        ];
        let arguments = [
            issue.user.to_string(),
            issue.action.to_owned(),
            token_id.clone(),
            issue.ttl_ms.to_string(),
            issue.points.to_string(),
            issue.per_minute.to_string(),
            MINUTE_MS.to_owned(),
            issue.limits.cooldown_ms.to_string(),
            issue.limits.cap_per_day.to_string(),
            issue.outbox_max.to_string(),
        ];
        let mut reply = self.run("issue", &self.scripts.issue, &keys, &arguments).await?;
        let code = reply.code()?;
        let rate = reply.rate(issue.per_minute)?;
        let outcome = match code {
            ReplyCode::Ok => IssueOutcome::Issued { issued_at_ms: reply.next()? },
            ReplyCode::RateLimited => IssueOutcome::RateLimited,
            ReplyCode::Banned => IssueOutcome::Banned,
            ReplyCode::ActionLimited => IssueOutcome::ActionLimited { wait_ms: reply.next()? },
            ReplyCode::BoardClosed => IssueOutcome::BoardClosed,
            ReplyCode::OutboxFull => IssueOutcome::OutboxFull,
            code => return Err(reply.impossible(code)),
        };
        Ok((outcome, rate))
    }
}
