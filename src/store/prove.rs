//! `lua/prove.lua`, and a look at a proven token.

use uuid::Uuid;

use super::judging::Judging;
use super::redeem::{Elsewhere, IdempotencyKey};
use super::reply::ReplyCode;
use super::{MINUTE_MS, Store, limits_text, span_text};
use crate::action::{Limits, ProofResult};
use crate::error::{Fault, RateWindow};

/// The anti-spam token that is given for a proven one.
pub struct AskedToken {
    /// Its id.
    pub id: Uuid,
    /// SHA-256 of the token, in hex.
    pub hash: String,
    /// Its `exp`, rounded up.
    pub expires_s: i64,
}

/// What `prove` needs to know.
pub struct Prove<'a> {
    /// Who asks.
    pub user: Uuid,
    /// For which action.
    pub action: &'a str,
    /// What it will be worth.
    pub points: u64,
    /// The action's own limits.
    pub limits: &'a Limits,
    /// The attempt's id, the event id of the award to come.
    pub attempt_id: Uuid,
    /// The proven token's SHA-256, in hex.
    pub token_hash: &'a str,
    /// How long it lives.
    pub ttl_ms: u64,
    /// Tokens a user may ask for in a minute (0: any).
    pub per_minute: u32,
    /// Least time between two proven tokens of a user (0: any).
    pub interval_ms: u64,
    /// Most entries in the outbox.
    pub outbox_max: u64,
    /// The token that asked for the proof.
    pub asked: Option<&'a AskedToken>,
    /// The session that the request names.
    pub named_session: &'a str,
    /// The proof that was given, as JSON, or empty.
    pub proof: &'a str,
    /// What a node can say about it.
    pub verdict: &'a ProofResult,
    /// Whether a webhook has to judge it, and did.
    pub judging: Judging<'a>,
    /// The request's idempotency key, and the proven token, which is kept in the answer alone.
    pub idempotency: Option<(&'a IdempotencyKey, &'a str)>,
}

/// What `prove` answered.
#[derive(Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "named like the refusals they become")]
pub enum ProveOutcome {
    /// `token` is the first answer's, under an idempotency key; empty without one.
    Proven {
        expires_at_ms: i64,
        ttl_ms: u64,
        token: String,
    },
    RateLimited,
    TooSoon {
        wait_ms: u64,
    },
    Banned,
    NoSession,
    SessionExpired,
    SessionMismatch,
    TokenUnknown,
    TokenForeign,
    TokenExpired,
    TokenUsed,
    NotOpen,
    ActionLimited {
        limit: String,
        wait_ms: u64,
    },
    ProofInvalid {
        at_ms: i64,
        too_young: bool,
    },
    BoardClosed,
    OutboxFull,
    KeyReused,
    /// All checks passed, and the anti-spam token is reserved, if there is one: a webhook may be asked.
    Reserved,
    /// Another request has the anti-spam token's reservation.
    Judging,
}

/// An outcome and how it came about.
#[derive(Debug)]
pub struct ProveReply {
    /// What happened, now or the first time.
    pub outcome: ProveOutcome,
    /// Whether this is the first answer again.
    pub replayed: bool,
    /// The user's window of attempts.
    pub rate: Option<RateWindow>,
}

impl ProveReply {
    /// The verdict on the proof, where it may be told: it bought a token, or failed for good.
    pub fn revealed_verdict(&self) -> Option<bool> {
        match self.outcome {
            _ if self.replayed => None,
            ProveOutcome::Proven { .. } => Some(true),
            ProveOutcome::ProofInvalid { .. } => Some(false),
            _ => None,
        }
    }
}

impl Store {
    /// Trades a proof for a proven token.
    ///
    /// # Errors
    /// Redis is away, or answers what the script cannot.
    pub async fn prove(&self, prove: &Prove<'_>) -> Result<ProveReply, Fault> {
        let asked_id = prove.asked.map(|it| it.id.to_string());
        let shard = self.shard(prove.user);
        let names = &shard.keys;
        let unused = || names.outbox.clone();
        let mut keys = vec![
            names.state.clone(),
            names.outbox.clone(),
            names.token(prove.token_hash),
            names.spent(prove.token_hash),
            names.init_rate(prove.user),
            names.ban(prove.user),
            names.action_limit(prove.user, prove.action),
            names.proven(prove.user),
            names.session(prove.user),
            // Without a token that asked, the script does not look at these two.
            asked_id.as_deref().map_or_else(unused, |it| names.token(it)),
            asked_id.as_deref().map_or_else(unused, |it| names.spent(it)),
            // Without an idempotency key, not at this one.
            prove.idempotency.map_or_else(unused, |(it, _)| names.answer(prove.user, &it.key_digest)),
        ];
        if prove.judging.reservation().is_some() {
            keys.push(asked_id.as_deref().map_or_else(unused, |it| names.judging(it)));
        }
        keys.extend(prove.verdict.once.iter().map(|it| names.once(it)));
        let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
        let arguments = prove.arguments(self.share_of(prove.outbox_max), shard.least());
        let mut reply = self.run(shard, &self.scripts.prove, &keys, &arguments).await?;
        let code = reply.code()?;
        let rate = reply.rate(prove.per_minute)?;
        let replayed = reply.next::<u8>()? == 1;
        let named = !prove.named_session.is_empty();
        let outcome = match code {
            ReplyCode::Ok => ProveOutcome::Proven {
                expires_at_ms: reply.next()?,
                ttl_ms: reply.next()?,
                token: reply.next()?,
            },
            ReplyCode::RateLimited => ProveOutcome::RateLimited,
            ReplyCode::TooSoon => ProveOutcome::TooSoon { wait_ms: reply.next()? },
            ReplyCode::Banned => ProveOutcome::Banned,
            ReplyCode::NoSession => ProveOutcome::NoSession,
            ReplyCode::SessionMismatch => ProveOutcome::SessionMismatch,
            ReplyCode::TokenUnknown => match self.elsewhere(shard, asked_id.as_deref()).await? {
                Elsewhere::Nowhere => ProveOutcome::TokenUnknown,
                Elsewhere::There => ProveOutcome::TokenForeign,
                Elsewhere::Used => ProveOutcome::TokenUsed,
                Elsewhere::Expired => ProveOutcome::TokenExpired,
            },
            ReplyCode::TokenForeign => ProveOutcome::TokenForeign,
            ReplyCode::TokenExpired if named && prove.asked.is_none() => ProveOutcome::SessionExpired,
            ReplyCode::TokenExpired => ProveOutcome::TokenExpired,
            ReplyCode::TokenUsed => ProveOutcome::TokenUsed,
            ReplyCode::NotOpen => ProveOutcome::NotOpen,
            ReplyCode::ActionLimited => {
                ProveOutcome::ActionLimited { wait_ms: reply.next()?, limit: reply.next()? }
            }
            ReplyCode::ProofInvalid => {
                ProveOutcome::ProofInvalid { at_ms: reply.next()?, too_young: reply.next::<u8>()? == 1 }
            }
            ReplyCode::BoardClosed => ProveOutcome::BoardClosed,
            ReplyCode::OutboxFull => ProveOutcome::OutboxFull,
            ReplyCode::KeyReused => ProveOutcome::KeyReused,
            ReplyCode::Reserved => ProveOutcome::Reserved,
            ReplyCode::Judging => ProveOutcome::Judging,
            code => return Err(reply.impossible(code)),
        };
        Ok(ProveReply { outcome, replayed, rate })
    }

    /// The action that a user's proven token is for, and its points, if the token can still be redeemed. Only a look: `redeem`
    /// judges.
    ///
    /// # Errors
    /// Redis is away.
    pub async fn proven_for(&self, user: Uuid, token_hash: &str) -> Result<Option<(String, u64)>, Fault> {
        let shard = self.shard(user);
        let mut get = redis::cmd("GET");
        get.arg(shard.keys.token(token_hash));
        let kept: Option<String> = self.ask(shard, "read_token", &get).await?;
        Ok(kept.and_then(|kept| {
            let words: Vec<&str> = kept.split(' ').collect();
            Some((words.get(1)?.to_string(), words.get(4)?.parse().ok()?))
        }))
    }
}

impl Prove<'_> {
    fn arguments(&self, outbox_max: String, least: String) -> Vec<String> {
        let key = self.idempotency;
        let mut arguments = vec![
            self.user.to_string(),
            self.action.to_owned(),
            self.points.to_string(),
            self.attempt_id.to_string(),
            self.token_hash.to_owned(),
            self.ttl_ms.to_string(),
            self.per_minute.to_string(),
            MINUTE_MS.to_owned(),
            self.interval_ms.to_string(),
            limits_text(self.limits),
            outbox_max,
            self.asked.map(|it| it.id.to_string()).unwrap_or_default(),
            self.asked.map(|it| it.hash.clone()).unwrap_or_default(),
            self.asked.map_or(0, |it| it.expires_s).to_string(),
            self.named_session.to_owned(),
            self.proof.to_owned(),
            self.judging.verdict_text(self.verdict),
            span_text(self.verdict),
            key.map(|(it, _)| it.request_digest.clone()).unwrap_or_default(),
            key.map(|(it, _)| it.kept_ms.to_string()).unwrap_or_default(),
            key.map(|(_, token)| token.to_owned()).unwrap_or_default(),
            least,
        ];
        arguments.extend(self.judging.reservation().map(|it| it.text()));
        arguments
    }
}
