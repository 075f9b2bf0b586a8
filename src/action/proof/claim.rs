//! What is asked, what is given, and what a node can say about it.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use uuid::Uuid;

use super::signed::Attestation;
use crate::metrics::Metrics;
use crate::token::sha256_hex;

/// What a token has to remember of its challenge. It is signed, but not secret.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Challenge {
    /// The question that was asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub question: Option<String>,
    /// The zero bits that were asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bits: Option<u32>,
}

/// What a challenge is made from.
pub struct Asked<'a> {
    /// Who is asked.
    pub user: Uuid,
    /// Tokens in the user's and in the address's minute, this one included.
    pub paces: (u32, u32),
    /// Questions that the user was asked before.
    pub drawn: u64,
    /// What makes the order of questions unpredictable.
    pub secret: &'a [u8],
}

/// What a proof is held against.
pub struct Given<'a> {
    /// Who gives it.
    pub user: Uuid,
    /// For which action.
    pub action: &'a str,
    /// The token that asked for it; none in a game, and where a proof comes without one.
    pub token_id: Option<&'a str>,
    /// Whether it comes with a game's token, which has an age but asks for nothing.
    pub in_game: bool,
    /// The attempt's id, for whoever is asked about it.
    pub attempt_id: &'a str,
    /// The node's clock, in ms, for the same.
    pub now_ms: i64,
    /// Where it is counted how asking went.
    pub metrics: &'a Metrics,
    /// What was asked.
    pub challenge: &'a Challenge,
    /// The proof itself.
    pub proof: Option<&'a Map<String, Value>>,
}

/// What a node can say about a proof before the script.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// Whether it verifies.
    pub holds: bool,
    /// The token's least and most age, which the script looks at (0: any).
    pub age_ms: (u64, u64),
    /// When it begins and when it runs out, in ms, which the script looks at (0: at once, never).
    pub valid_ms: (i64, i64),
    /// Digests of what may be used once, which the script looks at.
    pub once: Vec<String>,
    /// How hard the action was, where the proof says so.
    pub difficulty: Option<String>,
}

impl Default for Verdict {
    /// Of a proof that has nothing to check.
    fn default() -> Self {
        Self { holds: true, age_ms: (0, 0), valid_ms: (0, 0), once: Vec::new(), difficulty: None }
    }
}

impl Verdict {
    /// Takes what an attestation says, which counts once.
    pub(super) fn attested(&mut self, it: Attestation) {
        self.valid_ms = (it.begins_at_s * 1000, it.expires_at_s * 1000);
        self.once.push(sha256_hex(&[b"signed\n", it.key.as_bytes(), b"\n", it.jti.as_bytes()]));
        self.difficulty = it.difficulty.or(self.difficulty.take());
    }
}
