//! Maps the outcome of `redeem.lua` to an award with its board and receipt, or to a refusal.

use std::sync::Arc;

use super::credential::AuthorizedRedeem;
use super::{BEING_VERIFIED, CLOSED, action_closed, rate_limited};
use crate::abuse::AbuseSignal;
use crate::account::Identity;
use crate::action::{Flow, Limits};
use crate::app::App;
use crate::error::{Fault, Refusal, Result};
use crate::live::{Board, EncodedBoard};
use crate::receipt::Receipt;
use crate::store::{AttemptWindow, Awarded, BoardId, RedeemOutcome, RedeemReply};

/// An award: the points, the user's new standing, and the board.
pub struct Award {
    /// The user's new total.
    pub score: u64,
    /// 1 + the number of users with a higher score.
    pub rank: u64,
    /// The points awarded.
    pub points: u64,
    /// The next game token and its expiry in Unix ms; only in the game API.
    pub next: Option<(String, i64)>,
    /// The top list, this award included.
    pub board: Arc<EncodedBoard>,
    /// The signed receipt.
    pub receipt: String,
}

/// Turns the script's outcome into an award or a refusal. `keyed`: the request has an idempotency key.
pub fn award_or_refusal(
    app: &App,
    caller: &Identity,
    redeemed: &RedeemReply,
    authorized: &AuthorizedRedeem<'_>,
    keyed: bool,
) -> Result<Award> {
    Err(match &redeemed.outcome {
        RedeemOutcome::Awarded(awarded) => {
            let receipt = sign_receipt(app, caller, awarded, authorized)?;
            return Ok(build_award(app, awarded, (keyed, redeemed.replayed), receipt));
        }
        RedeemOutcome::RateLimited => rate_limited(&AttemptWindow::Awards(caller.user), redeemed.rate),
        RedeemOutcome::Banned => Refusal::Banned,
        RedeemOutcome::TokenUnknown | RedeemOutcome::TokenForeign => Refusal::InvalidActionToken,
        RedeemOutcome::TokenExpired if authorized.flow == Flow::Game => Refusal::SessionExpired,
        RedeemOutcome::TokenExpired => Refusal::TokenExpired,
        RedeemOutcome::NoSession => Refusal::NoSession,
        RedeemOutcome::SessionMismatch => Refusal::SessionMismatch,
        RedeemOutcome::TokenUsed => Refusal::TokenAlreadyUsed,
        RedeemOutcome::ActionLimited { limit, wait_ms } => {
            Refusal::ActionLimited { limit: limit.clone(), wait_ms: *wait_ms }
        }
        RedeemOutcome::ProofInvalid { at_ms, .. } => Refusal::ProofInvalid { at_ms: *at_ms },
        RedeemOutcome::NotOpen => {
            action_closed(authorized.action.map_or(&Limits::default(), |action| &action.limits))
        }
        RedeemOutcome::ScoreFull => Refusal::ScoreFull,
        RedeemOutcome::BoardClosed | RedeemOutcome::OutboxFull => Refusal::Unavailable(CLOSED),
        RedeemOutcome::KeyReused => Refusal::IdempotencyMismatch,
        RedeemOutcome::Judging | RedeemOutcome::Reserved => Refusal::Unavailable(BEING_VERIFIED),
    }
    .into())
}

/// The abuse signal that an outcome raises, if any.
pub fn abuse_signal(outcome: &RedeemOutcome) -> Option<AbuseSignal> {
    match outcome {
        RedeemOutcome::RateLimited => Some(AbuseSignal::Flooding),
        RedeemOutcome::TokenUnknown => Some(AbuseSignal::Forged),
        RedeemOutcome::TokenForeign => Some(AbuseSignal::Foreign),
        RedeemOutcome::TokenExpired => Some(AbuseSignal::Expired),
        RedeemOutcome::TokenUsed => Some(AbuseSignal::Replayed),
        RedeemOutcome::ProofInvalid { too_young: true, .. } => Some(AbuseSignal::TooFast),
        RedeemOutcome::ProofInvalid { .. } => Some(AbuseSignal::ProofFailed),
        _ => None,
    }
}

/// Builds the award. Its board is the script's if the request has an idempotency key, because a replay must repeat it; otherwise the
/// newer of the script's and the node's.
fn build_award(app: &App, awarded: &Awarded, (keyed, replayed): (bool, bool), receipt: String) -> Award {
    if awarded.flush_due_ms > 0 {
        app.hub.request_flush();
    }
    let mut board = app.hub.newest_encoded();
    if let Some(top) = awarded.top.as_ref().filter(|_| keyed || awarded.version > board.board.version) {
        board = Arc::new(EncodedBoard::new(Board::from_entries(
            BoardId::GLOBAL,
            awarded.version,
            top.iter().cloned(),
        )));
        // A replayed board is old, and a node that has just started would take it for the newest.
        if !replayed {
            app.hub.learn(&board);
        }
    }
    Award {
        score: awarded.score,
        rank: awarded.rank,
        points: awarded.points,
        next: awarded.next.clone(),
        board,
        receipt,
    }
}

/// Signs the receipt. A replay signs the same claims with the same key, so the text is identical.
fn sign_receipt(
    app: &App,
    caller: &Identity,
    awarded: &Awarded,
    authorized: &AuthorizedRedeem<'_>,
) -> Result<String, Fault> {
    let stamp = &awarded.stamp;
    let receipt = Receipt {
        jti: authorized.attempt_id,
        sub: caller.user,
        act: stamp.action.clone(),
        points: awarded.points,
        score: awarded.score,
        version: awarded.version,
        iat: stamp.hlc_us / 1_000_000,
    };
    app.receipts.sign(&stamp.kid, &receipt)
}
