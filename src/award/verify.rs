//! The proof, as far as a node can say.

use serde_json::{Map, Value};
use uuid::Uuid;

use crate::account::Identity;
use crate::action::proof::Given;
use crate::action::{Action, Challenge, Verdict};
use crate::app::App;
use crate::error::Refusal;
use crate::traces::{self, SpanKind};

/// A proof and what it is held against.
pub struct Claim<'a> {
    /// The action that it is for.
    pub action: &'a Action,
    /// The token that asked for it, if one did.
    pub token_id: Option<&'a str>,
    /// Whether it comes with a game's token.
    pub in_game: bool,
    /// The attempt's id.
    pub attempt_id: Uuid,
    /// What was asked.
    pub challenge: &'a Challenge,
    /// The proof.
    pub proof: Option<&'a Map<String, Value>>,
}

/// Verifies a proof.
///
/// # Errors
/// It has not the shape of its kind, which is no try; or whoever has to be asked cannot be.
pub async fn verify(app: &App, caller: &Identity, claim: &Claim<'_>) -> Result<Verdict, Refusal> {
    let given = Given {
        user: caller.user,
        action: &claim.action.kind,
        token_id: claim.token_id,
        in_game: claim.in_game,
        attempt_id: &claim.attempt_id.to_string(),
        now_ms: app.clock.now_ms(),
        metrics: &app.metrics,
        challenge: claim.challenge,
        proof: claim.proof,
    };
    let proof = &claim.action.proof;
    let mut span = traces::child(SpanKind::Internal, || "verify proof".into());
    span.set("laurel.proof.kind", proof.kind());
    let verdict = traces::within(&span, proof.verify(&given)).await?;
    span.set("laurel.proof.holds", verdict.holds);
    app.metrics.proof(proof.kind(), verdict.holds);
    Ok(verdict)
}

/// The proof as it is kept: JSON, or empty.
pub fn as_text(proof: Option<&Map<String, Value>>) -> String {
    proof.and_then(|it| serde_json::to_string(it).ok()).unwrap_or_default()
}
