//! Why a script that a player's request runs did nothing, with one meaning for every script.

use crate::error::Fault;
use crate::store::script::reply::{Reply, ReplyCode};

/// Why nothing was started, issued, proven or awarded.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "named like the refusals they become")]
pub enum ScriptRefusal {
    RateLimited,
    /// The interval between proven tokens has not passed.
    TooSoon {
        wait_ms: u64,
    },
    Banned,
    NoSession,
    SessionMismatch,
    TokenUnknown,
    TokenForeign,
    TokenExpired,
    TokenUsed,
    /// Outside the action's `open_hours`.
    NotOpen,
    /// `limit` is the setting that refuses.
    ActionLimited {
        limit: String,
        wait_ms: u64,
    },
    ProofInvalid {
        at_ms: i64,
        too_young: bool,
    },
    ScoreFull,
    BoardClosed,
    OutboxFull,
    KeyReused,
    /// Another request has the token's reservation.
    Judging,
    /// Not yet: all checks passed, and the token is reserved until the webhook has judged the proof.
    Reserved,
}

impl ScriptRefusal {
    /// Reads what follows a code.
    ///
    /// # Errors
    /// The code is not one of a refusal, or the reply has another shape.
    pub(in crate::store) fn read(code: ReplyCode, reply: &mut Reply) -> Result<Self, Fault> {
        Ok(match code {
            ReplyCode::RateLimited => Self::RateLimited,
            ReplyCode::TooSoon => Self::TooSoon { wait_ms: reply.next()? },
            ReplyCode::Banned => Self::Banned,
            ReplyCode::NoSession => Self::NoSession,
            ReplyCode::SessionMismatch => Self::SessionMismatch,
            ReplyCode::TokenUnknown => Self::TokenUnknown,
            ReplyCode::TokenForeign => Self::TokenForeign,
            ReplyCode::TokenExpired => Self::TokenExpired,
            ReplyCode::TokenUsed => Self::TokenUsed,
            ReplyCode::NotOpen => Self::NotOpen,
            ReplyCode::ActionLimited => Self::ActionLimited { wait_ms: reply.next()?, limit: reply.next()? },
            ReplyCode::ProofInvalid => {
                Self::ProofInvalid { at_ms: reply.next()?, too_young: reply.next::<u8>()? == 1 }
            }
            ReplyCode::ScoreFull => Self::ScoreFull,
            ReplyCode::BoardClosed => Self::BoardClosed,
            ReplyCode::OutboxFull => Self::OutboxFull,
            ReplyCode::KeyReused => Self::KeyReused,
            ReplyCode::Judging => Self::Judging,
            ReplyCode::Reserved => Self::Reserved,
            ReplyCode::Ok | ReplyCode::Quarantined => return Err(reply.impossible(code)),
        })
    }
}
