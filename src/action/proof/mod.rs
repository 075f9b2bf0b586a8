//! How an action is proved: one file a kind, one enum. What a kind asks for goes out with `init`; what it needs to remember
//! travels inside the signed token, so that verifying needs no look-up.

pub mod admob;
mod hashcash;
mod quiz;
pub mod webhook;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::error::FieldError;
pub use quiz::Question;

/// A proof as it stands in the catalogue's file.
#[derive(Debug, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase", deny_unknown_fields)]
pub enum ProofConfig {
    /// Token, limits and cooldown alone.
    None {},
    /// Time since the token was issued.
    Elapsed {
        /// At least so long.
        least_ms: u64,
        /// At most so long; 0: as long as the token lives.
        #[serde(default)]
        most_ms: u64,
    },
    /// A question and its answer.
    Quiz {
        /// Where the questions are.
        bank: String,
    },
    /// Work.
    Hashcash {
        /// Leading zero bits.
        bits: u32,
    },
}

impl ProofConfig {
    /// Checks it against the banks.
    ///
    /// # Errors
    /// What is impossible about it.
    pub fn read(self, banks: &BTreeMap<String, Vec<Question>>) -> Result<Proof, String> {
        match self {
            Self::None {} => Ok(Proof::None),
            Self::Elapsed { least_ms, most_ms } => {
                if most_ms > 0 && most_ms <= least_ms {
                    return Err("proof.least_ms must be below proof.most_ms".into());
                }
                Ok(Proof::Elapsed { least_ms, most_ms })
            }
            Self::Quiz { bank } => match banks.get(&bank) {
                Some(questions) if !questions.is_empty() => Ok(Proof::Quiz(questions.clone())),
                _ => Err(format!("there is no bank {bank} with questions")),
            },
            Self::Hashcash { bits } => {
                if !(1..=32).contains(&bits) {
                    return Err("proof.bits must be between 1 and 32".into());
                }
                Ok(Proof::Hashcash { bits })
            }
        }
    }
}

/// How one action is proved.
#[derive(Clone, Debug)]
pub enum Proof {
    /// Token, limits and cooldown alone.
    None,
    /// At least, and at most (0: any), so long since the token was issued, by Redis' clock: the script looks.
    Elapsed {
        /// At least so long.
        least_ms: u64,
        /// At most so long; 0: any.
        most_ms: u64,
    },
    /// One question of a bank.
    Quiz(Vec<Question>),
    /// SHA-256(prefix + nonce) has so many leading zero bits.
    Hashcash {
        /// Leading zero bits.
        bits: u32,
    },
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

/// What a node can say about a proof before the script.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// Whether it verifies.
    pub holds: bool,
    /// The token's least and most age, which the script looks at (0: any).
    pub age_ms: (u64, u64),
}

impl Proof {
    /// The kind's name in the catalogue.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Elapsed { .. } => "elapsed",
            Self::Quiz(_) => "quiz",
            Self::Hashcash { .. } => "hashcash",
        }
    }

    /// Whether a client has to be asked something first.
    pub fn asks(&self) -> bool {
        matches!(self, Self::Quiz(_) | Self::Hashcash { .. })
    }

    /// Makes a challenge; `random` picks the question.
    pub fn challenge(&self, random: u64) -> Challenge {
        match self {
            Self::None | Self::Elapsed { .. } => Challenge::default(),
            Self::Quiz(bank) => {
                let picked = &bank[(random % bank.len() as u64) as usize];
                Challenge { question: Some(picked.id()), bits: None }
            }
            Self::Hashcash { bits } => Challenge { question: None, bits: Some(*bits) },
        }
    }

    /// What the client is told to do: the `challenge` of `init`. `time` writes a moment as text.
    pub fn tell(
        &self,
        challenge: &Challenge,
        token_id: &str,
        issued_at_ms: i64,
        time: impl Fn(i64) -> String,
    ) -> Option<Value> {
        match self {
            Self::None => None,
            Self::Elapsed { least_ms, most_ms } => {
                let mut told = Map::new();
                told.insert("notBefore".into(), time(issued_at_ms + *least_ms as i64).into());
                if *most_ms > 0 {
                    told.insert("notAfter".into(), time(issued_at_ms + *most_ms as i64).into());
                }
                Some(Value::Object(told))
            }
            Self::Quiz(bank) => quiz::find(bank, challenge).map(Question::tell),
            Self::Hashcash { bits } => Some(hashcash::tell(token_id, *bits)),
        }
    }

    /// Verifies a proof against its challenge.
    ///
    /// # Errors
    /// The proof has not the shape of its kind; that is no try, and the token stays.
    pub fn verify(
        &self,
        challenge: &Challenge,
        token_id: &str,
        proof: Option<&Map<String, Value>>,
    ) -> Result<Verdict, Vec<FieldError>> {
        let any_age = (0, 0);
        Ok(match self {
            Self::None => Verdict { holds: true, age_ms: any_age },
            Self::Elapsed { least_ms, most_ms } => Verdict { holds: true, age_ms: (*least_ms, *most_ms) },
            Self::Quiz(bank) => {
                let answer = only_text(proof, "quizResult", quiz::MAX_ANSWER_BYTES)?;
                Verdict { holds: quiz::holds(bank, challenge, answer), age_ms: any_age }
            }
            Self::Hashcash { .. } => {
                let nonce = only_text(proof, "nonce", hashcash::MAX_NONCE_BYTES)?;
                let bits = challenge.bits.unwrap_or(u32::MAX);
                Verdict { holds: hashcash::holds(token_id, nonce, bits), age_ms: any_age }
            }
        })
    }
}

/// The one text field that a kind's proof has.
fn only_text<'a>(
    proof: Option<&'a Map<String, Value>>,
    name: &str,
    max_bytes: usize,
) -> Result<&'a str, Vec<FieldError>> {
    let field = format!("proof.{name}");
    let Some(proof) = proof else { return Err(vec![FieldError::new("proof", "is missing")]) };
    let mut problems: Vec<_> = proof
        .keys()
        .filter(|key| *key != name)
        .map(|key| FieldError::new(format!("proof.{}", shortened(key)), "is unknown"))
        .collect();
    match proof.get(name) {
        None => problems.push(FieldError::new(field, "is missing")),
        Some(Value::String(text)) if text.len() <= max_bytes => {
            if problems.is_empty() {
                return Ok(text);
            }
        }
        Some(Value::String(_)) => {
            problems.push(FieldError::new(field, format!("must be at most {max_bytes} bytes")));
        }
        Some(_) => problems.push(FieldError::new(field, "must be a string")),
    }
    Err(problems)
}

/// A field's name as it may be shown again: a client's text, so cut short.
pub fn shortened(name: &str) -> String {
    name.chars().take(50).collect()
}
