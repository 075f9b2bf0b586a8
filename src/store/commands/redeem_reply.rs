//! The reply of `lua/redeem.lua`.

use crate::error::{Fault, RateWindow};
use crate::store::script::declaration::{Fields, fields};
use crate::store::script::reply::{Reply, ReplyCode, window};
use crate::store::{BoardEntry, ScriptRefusal};

fields! {
    /// How every reply begins.
    pub(in crate::store) struct RedeemHead {
        code: ReplyCode,
        used: u32,
        reset_ms: i64,
        replayed: bool,
        epoch: i64,
        run: String,
    }
}

fields! {
    /// The reply of an award after its head, before the top list. The answer under an idempotency key is stored in this order, too.
    pub(in crate::store) struct AwardFields {
        score: u64,
        rank: u64,
        rank_before: u64,
        points: u64,
        version: i64,
        flush_due_ms: i64,
        next_token: String,
        next_expires_ms: i64,
        hlc_us: i64,
        receipt_kid: String,
        action: String,
    }
}

/// An award.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AwardReply {
    /// The user's new total.
    pub score: u64,
    /// 1 + the number of users with a higher score; `None` without points.
    pub rank: Option<u64>,
    /// The rank before, if there was a score.
    pub rank_before: Option<u64>,
    /// Points of the award.
    pub points: u64,
    /// The board's version after the award.
    pub version: i64,
    /// Milliseconds until the changed board may be published; 0: no flush is due; negative: the award ran in one of several shards and must be
    /// completed.
    pub flush_due_ms: i64,
    /// The next game token and its expiry (ms), in the game flow.
    pub next: Option<(String, i64)>,
    /// What only the receipt needs.
    pub receipt_data: ReceiptData,
    /// The top list, best first, if it is newer than the caller's.
    pub top: Option<Vec<BoardEntry>>,
}

/// An outcome and its circumstances.
#[derive(Clone, Debug)]
pub struct RedeemReply {
    /// The outcome, of this request or of the first under its key.
    pub outcome: Result<AwardReply, ScriptRefusal>,
    /// True if the answer was replayed for a repeated `Idempotency-Key`.
    pub replayed: bool,
    /// The user's rate-limit window.
    pub rate: Option<RateWindow>,
    /// The run of Redis that wrote it, for `replicated`. Empty if nothing was written.
    pub run: String,
}

impl RedeemReply {
    /// The verdict on the proof, if the client may know it: the token is spent by this request.
    pub fn revealed_verdict(&self) -> Option<bool> {
        match self.outcome {
            _ if self.replayed => None,
            Ok(_) => Some(true),
            Err(ScriptRefusal::ProofInvalid { .. }) => Some(false),
            Err(_) => None,
        }
    }
}

/// What only the receipt needs of an award.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReceiptData {
    /// HLC of the award.
    pub hlc_us: i64,
    /// Id of the key that signed the first receipt.
    pub kid: String,
    /// Action type of the token.
    pub action: String,
}

/// A rank of a script's reply, where 0 is none.
pub(in crate::store) fn existing_rank(rank: u64) -> Option<u64> {
    Some(rank).filter(|rank| *rank > 0)
}

fn awarded(mut reply: Reply) -> Result<AwardReply, Fault> {
    let award = AwardFields::read(&mut reply)?;
    Ok(AwardReply {
        score: award.score,
        rank: existing_rank(award.rank),
        rank_before: existing_rank(award.rank_before),
        points: award.points,
        version: award.version,
        flush_due_ms: award.flush_due_ms,
        next: (!award.next_token.is_empty()).then_some((award.next_token, award.next_expires_ms)),
        receipt_data: ReceiptData { hlc_us: award.hlc_us, kid: award.receipt_kid, action: award.action },
        top: Some(reply.rest()?),
    })
}

/// Reads the reply, and the epoch of the shard that it is about.
pub(in crate::store) fn read(mut reply: Reply, per_minute: u32) -> Result<(RedeemReply, i64), Fault> {
    let RedeemHead { code, used, reset_ms, replayed, epoch, run } = RedeemHead::read(&mut reply)?;
    let rate = window(per_minute, used, reset_ms.max(0).unsigned_abs());
    let outcome = match code {
        ReplyCode::Ok => Ok(awarded(reply)?),
        code => Err(ScriptRefusal::read(code, &mut reply)?),
    };
    Ok((RedeemReply { outcome, replayed, rate, run }, epoch))
}
