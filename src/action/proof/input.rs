//! The challenge of a proof, the proof as a client sends it, and the result of verifying it.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use uuid::Uuid;

use super::signed::Attestation;
use super::{AwardResult, Check, Proof, hashcash, quiz, shortened, signed};
use crate::crypto::sha256_hex;
use crate::error::{FieldError, Refusal};
use crate::metrics::Metrics;

/// The part of a challenge that the anti-spam token carries, so that verifying needs no lookup. It is signed, but not secret.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Challenge {
    /// The id of the quiz question.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub question: Option<String>,
    /// The leading zero bits that hashcash requires.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bits: Option<u32>,
}

/// What a challenge is made from.
pub struct ChallengeContext<'a> {
    /// The player.
    pub user: Uuid,
    /// Tokens issued to the user and to the client address in this minute, this one included.
    pub paces: (u32, u32),
    /// Quiz questions that the user was question before.
    pub drawn: u64,
    /// The secret that makes the order of questions unpredictable.
    pub secret: &'a [u8],
}

/// A proof to verify, with what it is verified against.
pub struct ProofInput<'a> {
    /// The player.
    pub user: Uuid,
    /// The action's type.
    pub action: &'a str,
    /// The id of the anti-spam token that issued the challenge. `None` in the game API and for a proof without a token.
    pub token_id: Option<&'a str>,
    /// True if the request carries a game token, which has an age but no challenge.
    pub in_game: bool,
    /// The attempt's id, which a webhook receives as `tokenId`.
    pub attempt_id: &'a str,
    /// The node's clock in Unix ms, which dates webhook requests.
    pub now_ms: i64,
    /// Counts webhook calls.
    pub metrics: &'a Metrics,
    /// The challenge that the proof has to answer.
    pub challenge: &'a Challenge,
    /// The proof of the request.
    pub proof: Option<&'a Map<String, Value>>,
}

impl ProofInput<'_> {
    /// Checks the proof's format: each field that a check reads is present, is a text and is short enough, and no other field is present.
    /// This does not check whether the proof is valid.
    ///
    /// # Errors
    /// `Validation`: the proof is malformed. The token stays valid.
    pub fn check_format(&self, proof: &Proof) -> Result<(), Refusal> {
        let mut problems = Vec::new();
        let has_elapsed = proof.checks.iter().any(|check| matches!(check, Check::Elapsed { .. }));
        let lacks_age = has_elapsed && !self.in_game;
        if self.token_id.is_none() && (proof.has_challenge() || lacks_age) {
            let problem = "is missing. Call init first and send its antiSpamToken";
            problems.push(FieldError::new("antiSpamToken", problem));
        }
        let names: Vec<&str> = proof.checks.iter().filter_map(Check::field).collect();
        if self.proof.is_none() && !names.is_empty() {
            problems.push(FieldError::new("proof", "is missing"));
        }
        // A webhook may read any field, and a proof that no check reads is stored as it is.
        let any_field = names.is_empty() || proof.needs_webhook();
        if let Some(fields) = self.proof.filter(|_| !names.is_empty()) {
            let unknown = fields.keys().filter(|name| !any_field && !names.contains(&name.as_str()));
            problems.extend(
                unknown.map(|name| FieldError::new(format!("proof.{}", shortened(name)), "is unknown")),
            );
            problems.extend(names.iter().filter_map(|name| text_problem(name, fields.get(*name))));
        }
        if problems.is_empty() { Ok(()) } else { Err(Refusal::Validation(problems)) }
    }
}

/// The longest text of a proof's field, in bytes.
fn max_bytes(field: &str) -> usize {
    match field {
        "nonce" => hashcash::MAX_NONCE_BYTES,
        "attestation" => signed::MAX_BYTES,
        _ => quiz::MAX_ANSWER_BYTES,
    }
}

fn text_problem(name: &str, value: Option<&Value>) -> Option<FieldError> {
    let problem = match value {
        None => "is missing".to_owned(),
        Some(Value::String(text)) if text.len() <= max_bytes(name) => return None,
        Some(Value::String(_)) => format!("must be at most {} bytes", max_bytes(name)),
        Some(_) => "must be a string".to_owned(),
    };
    Some(FieldError::new(format!("proof.{name}"), problem))
}

/// The result of verifying a proof on the node. The script checks the rest by Redis' clock and keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProofResult {
    /// True if every check of the node passed.
    pub is_valid: bool,
    /// The token's minimum and maximum age in ms (0: any), checked by the script.
    pub age_ms: (u64, u64),
    /// When the proof becomes valid and expires, in Unix ms (0: at once, never), checked by the script.
    pub valid_ms: (i64, i64),
    /// Digests of what may be used once only, checked and stored by the script.
    pub once: Vec<String>,
    /// The difficulty, if the proof names one.
    pub difficulty: Option<String>,
    /// What the award is worth on boards, points aside.
    pub award: AwardResult,
}

impl Default for ProofResult {
    /// The result of a proof without checks.
    fn default() -> Self {
        Self {
            is_valid: true,
            age_ms: (0, 0),
            valid_ms: (0, 0),
            once: Vec::new(),
            difficulty: None,
            award: AwardResult::default(),
        }
    }
}

impl ProofResult {
    /// Adds a verified attestation, which can be used once.
    pub(super) fn add_attestation(&mut self, attestation: Attestation) {
        self.valid_ms = (attestation.begins_at_s * 1000, attestation.expires_at_s * 1000);
        let parts = [b"signed\n", attestation.key.as_bytes(), b"\n", attestation.jti.as_bytes()];
        self.once.push(sha256_hex(&parts));
        self.difficulty = attestation.difficulty.or(self.difficulty.take());
        self.award.replace(attestation.award);
    }
}
