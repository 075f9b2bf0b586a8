//! What `lua/redeem.lua` answers.

use super::reply::{Reply, ReplyCode};
use crate::error::{Fault, RateWindow};

/// An award, as the script saw it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Awarded {
    /// The user's new total.
    pub score: u64,
    /// 1 + the number of users with a higher score.
    pub rank: u64,
    /// The rank before, if there was a score.
    pub rank_before: Option<u64>,
    /// What the award was worth.
    pub points: u64,
    /// The board's version after the award.
    pub version: i64,
    /// When the changed board may be published, in ms, if the script could not; below 0: this is one shard of several, and the rest
    /// has to be seen to.
    pub flush_due_ms: i64,
    /// The next game token and when it runs out (ms), at the game door.
    pub next: Option<(String, i64)>,
    /// What its receipt says besides; not there in an answer that an older release kept.
    pub stamp: Option<Stamp>,
    /// The ten, best first, if they are newer than the caller's; none if they are the caller's.
    pub top: Option<Vec<String>>,
}

/// What `redeem` answered.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "named like the refusals they become")]
pub enum RedeemOutcome {
    Awarded(Awarded),
    RateLimited,
    Banned,
    TokenUnknown,
    TokenForeign,
    TokenExpired,
    TokenUsed,
    /// `limit` is the setting that refuses.
    ActionLimited {
        limit: String,
        wait_ms: u64,
    },
    ProofInvalid {
        at_ms: i64,
        too_young: bool,
    },
    NotOpen,
    ScoreFull,
    BoardClosed,
    OutboxFull,
    KeyReused,
    NoSession,
    SessionMismatch,
    /// All checks passed, and the token is reserved: a webhook may be asked.
    Reserved,
    /// Another request has the token's reservation.
    Judging,
}

/// An outcome and how it came about.
#[derive(Clone, Debug)]
pub struct Redeemed {
    /// What happened, now or the first time.
    pub outcome: RedeemOutcome,
    /// Whether this is the first answer again.
    pub replayed: bool,
    /// The user's window of attempts.
    pub rate: Option<RateWindow>,
    /// The run of Redis that says so: `replicated` asks for it. Empty where nothing was written.
    pub run: String,
}

impl Redeemed {
    /// The verdict on the proof, where it may be told: the token is spent, and no earlier answer told it.
    pub fn revealed_verdict(&self) -> Option<bool> {
        match self.outcome {
            _ if self.replayed => None,
            RedeemOutcome::Awarded(_) => Some(true),
            RedeemOutcome::ProofInvalid { .. } => Some(false),
            _ => None,
        }
    }
}

/// What the script says for a receipt alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stamp {
    /// The award's moment: µs by Redis' clock.
    pub hlc_us: i64,
    /// The key that signed the receipt first.
    pub kid: String,
    /// The action, which the token alone knew.
    pub action: String,
}

impl Stamp {
    fn read(text: &str) -> Option<Self> {
        let mut words = text.strip_prefix("receipt ")?.splitn(3, ' ').map(str::to_owned);
        Some(Self { hlc_us: words.next()?.parse().ok()?, kid: words.next()?, action: words.next()? })
    }
}

fn awarded(mut reply: Reply) -> Result<Awarded, Fault> {
    let mut awarded = Awarded {
        score: reply.next()?,
        rank: reply.next()?,
        rank_before: Some(reply.next()?).filter(|it| *it > 0),
        points: reply.next()?,
        version: reply.next()?,
        flush_due_ms: reply.next()?,
        next: {
            let (token, expires_at_ms): (String, i64) = (reply.next()?, reply.next()?);
            (!token.is_empty()).then_some((token, expires_at_ms))
        },
        stamp: None,
        top: None,
    };
    let mut top: Vec<String> = reply.rest()?;
    awarded.stamp = top.first().and_then(|it| Stamp::read(it));
    if awarded.stamp.is_some() {
        top.remove(0);
    }
    awarded.top = Some(top);
    Ok(awarded)
}

/// The reply, and the epoch of the board that it tells of.
pub(super) fn read(mut reply: Reply, per_minute: u32) -> Result<(Redeemed, i64), Fault> {
    let code = reply.code()?;
    let rate = reply.rate(per_minute)?;
    let replayed = reply.next::<u8>()? == 1;
    let (epoch, run) = (reply.next()?, reply.next()?);
    Ok((Redeemed { outcome: outcome(code, reply)?, replayed, rate, run }, epoch))
}

fn outcome(code: ReplyCode, mut reply: Reply) -> Result<RedeemOutcome, Fault> {
    Ok(match code {
        ReplyCode::Ok => RedeemOutcome::Awarded(awarded(reply)?),
        ReplyCode::RateLimited => RedeemOutcome::RateLimited,
        ReplyCode::Banned => RedeemOutcome::Banned,
        ReplyCode::TokenUnknown => RedeemOutcome::TokenUnknown,
        ReplyCode::TokenForeign => RedeemOutcome::TokenForeign,
        ReplyCode::NotOpen => RedeemOutcome::NotOpen,
        ReplyCode::TokenExpired => RedeemOutcome::TokenExpired,
        ReplyCode::TokenUsed => RedeemOutcome::TokenUsed,
        ReplyCode::ActionLimited => {
            RedeemOutcome::ActionLimited { wait_ms: reply.next()?, limit: reply.next()? }
        }
        ReplyCode::ProofInvalid => {
            RedeemOutcome::ProofInvalid { at_ms: reply.next()?, too_young: reply.next::<u8>()? == 1 }
        }
        ReplyCode::ScoreFull => RedeemOutcome::ScoreFull,
        ReplyCode::BoardClosed => RedeemOutcome::BoardClosed,
        ReplyCode::OutboxFull => RedeemOutcome::OutboxFull,
        ReplyCode::KeyReused => RedeemOutcome::KeyReused,
        ReplyCode::NoSession => RedeemOutcome::NoSession,
        ReplyCode::SessionMismatch => RedeemOutcome::SessionMismatch,
        ReplyCode::Reserved => RedeemOutcome::Reserved,
        ReplyCode::Judging => RedeemOutcome::Judging,
        ReplyCode::Quarantined | ReplyCode::TooSoon => return Err(reply.impossible(code)),
    })
}
