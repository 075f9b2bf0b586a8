//! How an action is proved: some checks, each of a kind with a file of its own; `none` has no check, `all` has several. What a
//! check asks for goes out with `init`; what it needs to remember travels inside the signed token, so that verifying needs no
//! look-up.

mod config;
mod hashcash;
mod quiz;
mod shape;
pub mod signed;
pub mod webhook;

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use uuid::Uuid;

use crate::error::Refusal;
use crate::keys::KeyRing;
use crate::token::sha256_hex;
pub use config::{ProofConfig, Sources};
pub use hashcash::Hashcash;
pub use quiz::Question;
use signed::Attestation;

/// How one action is proved: every check has to hold.
#[derive(Clone, Debug, Default)]
pub struct Proof {
    checks: Vec<Check>,
}

/// One thing that is checked.
#[derive(Clone, Debug)]
pub enum Check {
    /// So long since the token was issued, by Redis' clock: the script looks.
    Elapsed {
        /// At least so long.
        least_ms: u64,
        /// At most so long; 0: any.
        most_ms: u64,
    },
    /// One question of a bank.
    Quiz(Vec<Question>),
    /// Work.
    Hashcash(Hashcash),
    /// An attestation, signed by a key of this ring.
    Signed(Arc<KeyRing>),
}

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
    fn attested(&mut self, it: Attestation) {
        self.valid_ms = (it.begins_at_s * 1000, it.expires_at_s * 1000);
        self.once.push(sha256_hex(&[b"signed\n", it.key.as_bytes(), b"\n", it.jti.as_bytes()]));
        self.difficulty = it.difficulty.or(self.difficulty.take());
    }
}

impl Check {
    /// The kind's name in the catalogue.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Elapsed { .. } => "elapsed",
            Self::Quiz(_) => "quiz",
            Self::Hashcash(_) => "hashcash",
            Self::Signed(_) => "signed",
        }
    }

    /// The field of the proof that it reads.
    fn field(&self) -> Option<&'static str> {
        match self {
            Self::Elapsed { .. } => None,
            Self::Quiz(_) => Some("quizResult"),
            Self::Hashcash(_) => Some("nonce"),
            Self::Signed(_) => Some("attestation"),
        }
    }

    /// Whether it is held against something that goes out with `init`.
    fn asks(&self) -> bool {
        match self {
            Self::Quiz(_) | Self::Hashcash(_) => true,
            // An attestation may be made for the token, but it stands by itself: it counts once.
            Self::Elapsed { .. } | Self::Signed(_) => false,
        }
    }
}

impl Proof {
    /// Of some checks.
    pub fn of(checks: Vec<Check>) -> Self {
        Self { checks }
    }

    /// The kind's name in the catalogue.
    pub fn kind(&self) -> &'static str {
        match self.checks.as_slice() {
            [] => "none",
            [check] => check.kind(),
            _ => "all",
        }
    }

    /// The checks.
    pub fn checks(&self) -> &[Check] {
        &self.checks
    }

    /// Whether a client has to be asked something first.
    pub fn asks(&self) -> bool {
        self.checks.iter().any(Check::asks)
    }

    /// Whether it grows harder for who is too fast.
    pub fn is_paced(&self) -> bool {
        self.checks.iter().any(|it| matches!(it, Check::Hashcash(work) if work.is_paced()))
    }

    /// Whether it draws questions.
    pub fn draws(&self) -> bool {
        self.checks.iter().any(|it| matches!(it, Check::Quiz(_)))
    }

    /// Makes a challenge.
    pub fn challenge(&self, asked: &Asked<'_>) -> Challenge {
        let mut challenge = Challenge::default();
        for check in &self.checks {
            match check {
                Check::Elapsed { .. } | Check::Signed(_) => {}
                Check::Quiz(bank) => {
                    challenge.question = Some(quiz::draw(bank, asked.user, asked.drawn, asked.secret).id());
                }
                Check::Hashcash(work) => challenge.bits = Some(work.bits_at(asked.paces)),
            }
        }
        challenge
    }

    /// What the client is told to do: the `challenge` of `init`. `time` writes a moment as text.
    pub fn tell(
        &self,
        challenge: &Challenge,
        token_id: &str,
        issued_at_ms: i64,
        time: impl Fn(i64) -> String,
    ) -> Option<Value> {
        let mut told = Map::new();
        for check in &self.checks {
            match check {
                Check::Elapsed { least_ms, most_ms } => {
                    told.insert("notBefore".into(), time(issued_at_ms + *least_ms as i64).into());
                    if *most_ms > 0 {
                        told.insert("notAfter".into(), time(issued_at_ms + *most_ms as i64).into());
                    }
                }
                Check::Quiz(bank) => {
                    told.extend(quiz::find(bank, challenge).map(Question::tell).unwrap_or_default());
                }
                Check::Hashcash(_) => told.extend(hashcash::tell(token_id, challenge)),
                Check::Signed(_) => {
                    told.insert("nonce".into(), token_id.into());
                }
            }
        }
        (!told.is_empty()).then_some(Value::Object(told))
    }

    /// Verifies a proof.
    ///
    /// # Errors
    /// The proof has not the shape of its kind: that is no try, and the token stays.
    pub async fn verify(&self, given: &Given<'_>) -> Result<Verdict, Refusal> {
        shape::check(self, given)?;
        let text = |check: &Check| -> &str {
            let name = check.field().unwrap_or_default();
            given.proof.and_then(|it| it.get(name)?.as_str()).unwrap_or_default()
        };
        let mut verdict = Verdict::default();
        for check in &self.checks {
            match check {
                Check::Elapsed { least_ms, most_ms } => verdict.age_ms = (*least_ms, *most_ms),
                Check::Quiz(bank) => {
                    let question = quiz::find(bank, given.challenge);
                    verdict.holds &= question.is_some_and(|it| it.is_answered_by(text(check)));
                    verdict.difficulty = question.and_then(Question::difficulty).or(verdict.difficulty);
                }
                Check::Signed(ring) => {
                    match signed::read(ring, text(check), given.user, given.action, given.token_id) {
                        Some(attestation) => verdict.attested(attestation),
                        None => verdict.holds = false,
                    }
                }
                Check::Hashcash(_) => {
                    verdict.holds &= hashcash::holds(given.token_id, given.challenge, text(check));
                }
            }
        }
        Ok(verdict)
    }
}

/// A field's name as it may be shown again: a client's text, so cut short.
pub fn shortened(name: &str) -> String {
    name.chars().take(50).collect()
}
