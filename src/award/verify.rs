//! The proof, as far as a node can say.
//!
//! The rule that holds here and in the scripts: no refusal that leaves the token may depend on the proof, in its answer, in a
//! counter, in a span, in timing, or in whether a webhook is asked. Else one token is enough to try every answer.

use std::mem;

use serde_json::{Map, Value};
use uuid::Uuid;

use crate::account::Identity;
use crate::action::proof::Given;
use crate::action::{Action, Challenge, Verdict};
use crate::app::App;
use crate::error::Refusal;
use crate::store::Reservation;
use crate::traces::{self, Span, SpanKind};

/// A reservation outlives the judging by this, in ms: the second run of the script has to reach Redis before it ends.
const RESERVATION_SLACK_MS: u64 = 3000;

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

impl Claim<'_> {
    /// A reservation of the token, where a webhook has to judge the proof. Before it is asked, a run of the script makes all checks
    /// under this reservation.
    ///
    /// # Errors
    /// The proof has not the shape of its kind, which is no try.
    pub fn reservation(&self, app: &App, caller: &Identity) -> Result<Option<Reservation>, Refusal> {
        let proof = &self.action.proof;
        if !proof.reaches_out() {
            return Ok(None);
        }
        proof.check_shape(&self.given(app, caller, ""))?;
        let ttl_ms = proof.longest_judging_ms() + RESERVATION_SLACK_MS;
        Ok(Some(Reservation { id: app.clock.new_id(), ttl_ms }))
    }

    fn given<'a>(&'a self, app: &'a App, caller: &Identity, attempt_id: &'a str) -> Given<'a> {
        Given {
            user: caller.user,
            action: &self.action.kind,
            token_id: self.token_id,
            in_game: self.in_game,
            attempt_id,
            now_ms: app.clock.now_ms(),
            metrics: &app.metrics,
            challenge: self.challenge,
            proof: self.proof,
        }
    }
}

/// A proof that was judged. Neither a counter nor a span says how until `reveal`.
pub struct JudgedProof {
    /// What a node can say about it.
    pub verdict: Verdict,
    kind: &'static str,
    span: Span,
}

impl JudgedProof {
    /// Counts the verdict, if the script's outcome may tell it: after an award, or once the token is spent.
    pub fn reveal(&mut self, app: &App, verdict: Option<bool>) {
        let mut span = mem::take(&mut self.span);
        if let Some(holds) = verdict {
            span.set("laurel.proof.holds", holds);
            app.metrics.proof(self.kind, holds);
        }
    }
}

/// Verifies a proof.
///
/// # Errors
/// It has not the shape of its kind, which is no try; or whoever has to be asked cannot be.
pub async fn verify(app: &App, caller: &Identity, claim: &Claim<'_>) -> Result<JudgedProof, Refusal> {
    let attempt_id = claim.attempt_id.to_string();
    let given = claim.given(app, caller, &attempt_id);
    let proof = &claim.action.proof;
    let kind = proof.kind();
    let mut span = traces::child(SpanKind::Internal, || "verify proof".into());
    span.set("laurel.proof.kind", kind);
    let verdict = traces::within(&span, proof.verify(&given)).await?;
    span.await_outcome();
    Ok(JudgedProof { verdict, kind, span })
}

/// The proof as it is kept: JSON, or empty.
pub fn as_text(proof: Option<&Map<String, Value>>) -> String {
    proof.and_then(|it| serde_json::to_string(it).ok()).unwrap_or_default()
}
