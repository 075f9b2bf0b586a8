//! Verifies a proof before the script runs.
//!
//! Rule for this module and the scripts: a refusal that does not spend the token must not depend on whether the proof is valid, neither in
//! its response nor in a counter, a span, its timing, or whether a webhook is called. Otherwise one token would be enough to try every answer.

use std::mem;

use serde_json::{Map, Value};
use uuid::Uuid;

use crate::account::Identity;
use crate::action::proof::ProofInput;
use crate::action::{Action, Challenge, ProofResult};
use crate::award::Awards;
use crate::error::Refusal;
use crate::store::Reservation;
use crate::traces::{self, Span, SpanKind};

/// A reservation outlives the longest verification by this many ms, so that the second run of the script reaches Redis before it expires.
const RESERVATION_SLACK_MS: u64 = 3000;

/// A proof with its action and challenge.
pub struct ProofSubmission<'a> {
    /// The action to prove.
    pub action: &'a Action,
    /// The id of the anti-spam token that issued the challenge, if there is one.
    pub token_id: Option<&'a str>,
    /// True if the request carries a game token.
    pub in_game: bool,
    /// The attempt's id.
    pub attempt_id: Uuid,
    /// The challenge that the proof has to answer.
    pub challenge: &'a Challenge,
    /// The proof of the request.
    pub proof: Option<&'a Map<String, Value>>,
}

impl ProofSubmission<'_> {
    /// Creates the reservation for a token whose proof needs a webhook; `None` for all other proofs. The script makes all its checks under
    /// this reservation before the webhook is called.
    ///
    /// # Errors
    /// `Validation`: the proof is malformed. The token stays valid.
    pub fn reservation(&self, awards: &Awards, caller: &Identity) -> Result<Option<Reservation>, Refusal> {
        let proof = &self.action.proof;
        if !proof.needs_webhook() {
            return Ok(None);
        }
        self.input(awards, caller, "").check_format(proof)?;
        let ttl_ms = proof.max_webhook_ms() + RESERVATION_SLACK_MS;
        Ok(Some(Reservation { id: awards.clock.new_id(), ttl_ms }))
    }

    fn input<'a>(&'a self, awards: &'a Awards, caller: &Identity, attempt_id: &'a str) -> ProofInput<'a> {
        ProofInput {
            user: caller.user,
            action: &self.action.kind,
            token_id: self.token_id,
            in_game: self.in_game,
            attempt_id,
            now_ms: awards.clock.now_ms(),
            metrics: &awards.metrics,
            challenge: self.challenge,
            proof: self.proof,
        }
    }
}

/// A checked proof. Neither a counter nor a span shows the result before `reveal`.
pub struct CheckedProof {
    /// What the node found; the script checks the rest.
    pub result: ProofResult,
    kind: &'static str,
    span: Span,
}

impl CheckedProof {
    /// Records whether the proof is valid, if the script's outcome reveals it: after an award, or once the token is spent.
    pub fn reveal(&mut self, awards: &Awards, verdict: Option<bool>) {
        let mut span = mem::take(&mut self.span);
        if let Some(is_valid) = verdict {
            span.set("laurel.proof.holds", is_valid);
            awards.metrics.proof(self.kind, is_valid);
        }
    }
}

/// Verifies a proof.
///
/// # Errors
/// `Validation`: the proof is malformed. `Unavailable`: the webhook gave no clear answer. The token stays valid in both cases.
pub async fn verify(
    awards: &Awards,
    caller: &Identity,
    submission: &ProofSubmission<'_>,
) -> Result<CheckedProof, Refusal> {
    let attempt_id = submission.attempt_id.to_string();
    let input = submission.input(awards, caller, &attempt_id);
    let proof = &submission.action.proof;
    let kind = proof.kind();
    let mut span = traces::child(SpanKind::Internal, || "verify proof".into());
    span.set("laurel.proof.kind", kind);
    let result = traces::within(&span, proof.verify(&input)).await?;
    span.await_outcome();
    Ok(CheckedProof { result, kind, span })
}

/// The proof as it is stored: JSON, or an empty text.
pub fn proof_json(proof: Option<&Map<String, Value>>) -> String {
    proof.and_then(|it| serde_json::to_string(it).ok()).unwrap_or_default()
}
