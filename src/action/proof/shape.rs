//! What a proof looks like: every field that a check reads is there, and no other.

use serde_json::Value;

use super::{Check, Given, Proof, hashcash, quiz, shortened, signed};
use crate::error::{FieldError, Refusal};

/// Every field that a check reads is there, is a text, and is not too long; and no other is.
pub fn check(proof: &Proof, given: &Given<'_>) -> Result<(), Refusal> {
    let mut problems = Vec::new();
    let has_age = given.in_game || !proof.checks.iter().any(|it| matches!(it, Check::Elapsed { .. }));
    if given.token_id.is_none() && (proof.asks() || !has_age) {
        problems.push(FieldError::new("antiSpamToken", "is missing: this proof answers a challenge of init"));
    }
    let names: Vec<&str> = proof.checks.iter().filter_map(Check::field).collect();
    if given.proof.is_none() && !names.is_empty() {
        problems.push(FieldError::new("proof", "is missing"));
    }
    // What a backend judges may have any fields; what nobody reads is kept as it is.
    let free = names.is_empty() || proof.reaches_out();
    if let Some(fields) = given.proof.filter(|_| !names.is_empty()) {
        let unknown = fields.keys().filter(|it| !free && !names.contains(&it.as_str()));
        problems.extend(unknown.map(|it| FieldError::new(format!("proof.{}", shortened(it)), "is unknown")));
        problems.extend(names.iter().filter_map(|it| text_problem(it, fields.get(*it))));
    }
    if problems.is_empty() { Ok(()) } else { Err(Refusal::Validation(problems)) }
}

/// Longer texts in a proof are malformed.
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
