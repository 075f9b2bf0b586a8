//! Maps the outcome of `redeem.lua` to an award with its board and receipt, or to a refusal.

use std::sync::Arc;

use super::credential::AuthorizedRedeem;
use super::refusal::{RefusalContext, refusal_for};
use crate::account::Identity;
use crate::action::{Flow, Limits};
use crate::award::Awards;
use crate::error::{Fault, Result};
use crate::live::{Board, EncodedBoard};
use crate::receipt::Receipt;
use crate::store::{AttemptWindow, AwardReply, BoardId, RedeemReply};

/// An award: the points, the user's new standing, and the board.
pub struct Award {
    /// The user's new total.
    pub score: u64,
    /// 1 + the number of users with a higher score; `None` without points.
    pub rank: Option<u64>,
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
    awards: &Awards,
    caller: &Identity,
    redeemed: &RedeemReply,
    authorized: &AuthorizedRedeem<'_>,
    keyed: bool,
) -> Result<Award> {
    match &redeemed.outcome {
        Ok(awarded) => {
            let receipt = sign_receipt(awards, caller, awarded, authorized)?;
            Ok(build_award(awards, awarded, (keyed, redeemed.replayed), receipt))
        }
        Err(reason) => {
            let no_limits = Limits::default();
            let context = RefusalContext {
                window: &AttemptWindow::Awards(caller.user),
                rate: redeemed.rate,
                limits: authorized.action.map_or(&no_limits, |action| &action.limits),
                token_is_of_session: authorized.flow == Flow::Game,
            };
            Err(refusal_for(reason, &context).into())
        }
    }
}

/// Builds the award. Its board is the script's if the request has an idempotency key, because a replay must repeat it; otherwise the
/// newer of the script's and the node's.
fn build_award(
    awards: &Awards,
    awarded: &AwardReply,
    (keyed, replayed): (bool, bool),
    receipt: String,
) -> Award {
    if awarded.flush_due_ms > 0 {
        awards.hub.request_flush();
    }
    let mut board = awards.hub.newest_encoded();
    if let Some(top) = awarded.top.as_ref().filter(|_| keyed || awarded.version > board.board.version) {
        board = Arc::new(EncodedBoard::new(Board::from_entries(
            BoardId::GLOBAL,
            awarded.version,
            top.iter().cloned(),
        )));
        // A replayed board is old, and a node that has just started would take it for the newest.
        if !replayed {
            awards.hub.learn(&board);
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
    awards: &Awards,
    caller: &Identity,
    awarded: &AwardReply,
    authorized: &AuthorizedRedeem<'_>,
) -> Result<String, Fault> {
    let receipt_data = &awarded.receipt_data;
    let receipt = Receipt {
        jti: authorized.attempt_id,
        sub: caller.user,
        act: receipt_data.action.clone(),
        points: awarded.points,
        score: awarded.score,
        version: awarded.version,
        iat: receipt_data.hlc_us / 1_000_000,
    };
    awards.receipts.sign(&receipt_data.kid, &receipt)
}
