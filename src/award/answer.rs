//! What Redis said of a redemption, in the contract's words: an award with its board and its receipt, or a refusal.

use std::sync::Arc;

use super::permission::Judged;
use super::{CLOSED, JUDGING, action_closed, rate_limited};
use crate::account::Identity;
use crate::action::{Flow, Limits};
use crate::app::App;
use crate::error::{Fault, Refusal, Result};
use crate::live::{Board, Frame};
use crate::receipt::Receipt;
use crate::store::{AttemptWindow, Awarded, RedeemOutcome, Redeemed};
use crate::suspicion::Sign;

/// Points, and the board they led to.
pub struct Award {
    /// The user's new total.
    pub score: u64,
    /// 1 + the number of users with a higher score.
    pub rank: u64,
    /// What the award was worth.
    pub points: u64,
    /// The next game token and when it runs out (ms), at the game door.
    pub next: Option<(String, i64)>,
    /// The ten best, this award included.
    pub board: Arc<Frame>,
    /// The signed receipt; not there in an answer that an older release gave first.
    pub receipt: Option<String>,
}

/// Puts what Redis said into the contract's words.
pub fn answer(
    app: &App,
    caller: &Identity,
    redeemed: &Redeemed,
    judged: &Judged<'_>,
    keyed: bool,
) -> Result<Award> {
    Err(match &redeemed.outcome {
        RedeemOutcome::Awarded(awarded) => {
            return Ok(award(
                app,
                awarded,
                (keyed, redeemed.replayed),
                receipt(app, caller, awarded, judged)?,
            )?);
        }
        RedeemOutcome::RateLimited => rate_limited(&AttemptWindow::Awards(caller.user), redeemed.rate),
        RedeemOutcome::Banned => Refusal::Banned,
        RedeemOutcome::TokenUnknown | RedeemOutcome::TokenForeign => Refusal::InvalidActionToken,
        RedeemOutcome::TokenExpired if judged.flow == Flow::Game => Refusal::SessionExpired,
        RedeemOutcome::TokenExpired => Refusal::TokenExpired,
        RedeemOutcome::NoSession => Refusal::NoSession,
        RedeemOutcome::SessionMismatch => Refusal::SessionMismatch,
        RedeemOutcome::TokenUsed => Refusal::TokenAlreadyUsed,
        RedeemOutcome::ActionLimited { limit, wait_ms } => {
            Refusal::ActionLimited { limit: limit.clone(), wait_ms: *wait_ms }
        }
        RedeemOutcome::ProofInvalid { at_ms, .. } => Refusal::ProofInvalid { at_ms: *at_ms },
        RedeemOutcome::NotOpen => action_closed(judged.action.map_or(&Limits::default(), |it| &it.limits)),
        RedeemOutcome::ScoreFull => Refusal::ScoreFull,
        RedeemOutcome::BoardClosed | RedeemOutcome::OutboxFull => Refusal::Unavailable(CLOSED),
        RedeemOutcome::KeyReused => Refusal::IdempotencyMismatch,
        RedeemOutcome::Judging | RedeemOutcome::Reserved => Refusal::Unavailable(JUDGING),
    }
    .into())
}

/// What a refusal is a sign of.
pub fn sign_of(outcome: &RedeemOutcome) -> Option<Sign> {
    match outcome {
        RedeemOutcome::RateLimited => Some(Sign::Flooding),
        RedeemOutcome::TokenUnknown => Some(Sign::Forged),
        RedeemOutcome::TokenForeign => Some(Sign::Foreign),
        RedeemOutcome::TokenExpired => Some(Sign::Expired),
        RedeemOutcome::TokenUsed => Some(Sign::Replayed),
        RedeemOutcome::ProofInvalid { too_young: true, .. } => Some(Sign::TooFast),
        RedeemOutcome::ProofInvalid { .. } => Some(Sign::ProofFailed),
        _ => None,
    }
}

/// The answer's board: the script's own where the request has an idempotency key, since the same must come again; else
/// the newer of the script's and the node's.
fn award(
    app: &App,
    awarded: &Awarded,
    (keyed, replayed): (bool, bool),
    receipt: Option<String>,
) -> Result<Award, Fault> {
    if awarded.flush_due_ms > 0 {
        app.hub.flush_later();
    }
    let mut board = app.hub.newest_frame();
    if let Some(top) = awarded.top.as_ref().filter(|_| keyed || awarded.version > board.board.version) {
        board = Arc::new(Frame::new(Board::read(awarded.version, top)?));
        // The board of a first answer that is given again is an old one, which a node that was just started would take for the newest.
        if !replayed {
            app.hub.learn(&board);
        }
    }
    Ok(Award {
        score: awarded.score,
        rank: awarded.rank,
        points: awarded.points,
        next: awarded.next.clone(),
        board,
        receipt,
    })
}

/// Signed now or again: the same words by the same key.
fn receipt(
    app: &App,
    caller: &Identity,
    awarded: &Awarded,
    judged: &Judged<'_>,
) -> Result<Option<String>, Fault> {
    let Some(stamp) = &awarded.stamp else { return Ok(None) };
    let receipt = Receipt {
        jti: judged.attempt_id,
        sub: caller.user,
        act: stamp.action.clone(),
        points: awarded.points,
        score: awarded.score,
        version: awarded.version,
        iat: stamp.hlc_us / 1_000_000,
    };
    app.receipts.sign(&stamp.kid, &receipt).map(Some)
}
