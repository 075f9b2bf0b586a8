//! What a script's refusal means to the caller, and which abuse signal it raises.

use super::{BEING_VERIFIED, CLOSED, action_closed};
use crate::abuse::AbuseSignal;
use crate::action::Limits;
use crate::error::{RateWindow, Refusal};
use crate::rate_limit::rate_limited;
use crate::store::{AttemptWindow, ScriptRefusal};

/// What a refusal's text depends on besides its reason.
pub struct RefusalContext<'a> {
    /// The window that the attempt counted in, and its state.
    pub window: &'a AttemptWindow,
    /// Its state, if it has a limit.
    pub rate: Option<RateWindow>,
    /// The action's limits.
    pub limits: &'a Limits,
    /// Whether the token expires with its game session.
    pub token_is_of_session: bool,
}

/// The refusal that the caller sees.
pub fn refusal_for(reason: &ScriptRefusal, context: &RefusalContext<'_>) -> Refusal {
    match reason {
        ScriptRefusal::RateLimited => rate_limited(context.window, context.rate),
        ScriptRefusal::TooSoon { wait_ms } => {
            let window = RateWindow { limit: 1, used: 1, reset_ms: *wait_ms };
            Refusal::RateLimited { limit: "action_interval_seconds", window }
        }
        ScriptRefusal::Banned => Refusal::Banned,
        ScriptRefusal::NoSession => Refusal::NoSession,
        ScriptRefusal::SessionMismatch => Refusal::SessionMismatch,
        ScriptRefusal::TokenUnknown | ScriptRefusal::TokenForeign => Refusal::InvalidActionToken,
        ScriptRefusal::TokenExpired if context.token_is_of_session => Refusal::SessionExpired,
        ScriptRefusal::TokenExpired => Refusal::TokenExpired,
        ScriptRefusal::TokenUsed => Refusal::TokenAlreadyUsed,
        ScriptRefusal::NotOpen => action_closed(context.limits),
        ScriptRefusal::ActionLimited { limit, wait_ms } => {
            Refusal::ActionLimited { limit: limit.clone(), wait_ms: *wait_ms }
        }
        ScriptRefusal::ProofInvalid { at_ms, .. } => Refusal::ProofInvalid { at_ms: *at_ms },
        ScriptRefusal::ScoreFull => Refusal::ScoreFull,
        ScriptRefusal::BoardClosed | ScriptRefusal::OutboxFull => Refusal::Unavailable(CLOSED),
        ScriptRefusal::KeyReused => Refusal::IdempotencyMismatch,
        ScriptRefusal::Judging | ScriptRefusal::Reserved => Refusal::Unavailable(BEING_VERIFIED),
    }
}

/// The abuse signal that a refusal raises, if any.
pub fn abuse_signal(reason: &ScriptRefusal) -> Option<AbuseSignal> {
    match reason {
        ScriptRefusal::RateLimited => Some(AbuseSignal::Flooding),
        ScriptRefusal::TokenUnknown => Some(AbuseSignal::Forged),
        ScriptRefusal::TokenForeign => Some(AbuseSignal::Foreign),
        ScriptRefusal::TokenExpired => Some(AbuseSignal::Expired),
        ScriptRefusal::TokenUsed => Some(AbuseSignal::Replayed),
        ScriptRefusal::ProofInvalid { too_young: true, .. } => Some(AbuseSignal::TooFast),
        ScriptRefusal::ProofInvalid { .. } => Some(AbuseSignal::ProofFailed),
        _ => None,
    }
}
