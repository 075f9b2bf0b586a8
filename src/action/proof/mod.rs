//! How an action is proved: a list of checks, with one file per kind. `none` has no check, `all` has several. `init` returns the challenge
//! of a check; the signed token carries what verifying needs, so that no lookup is necessary.

pub mod admob;
mod award_result;
mod hashcash;
mod input;
mod parse;
pub mod quiz;
pub mod signed;
pub mod webhook;

use std::sync::Arc;

use serde_json::{Map, Value};

use crate::error::Refusal;
use crate::keyring::KeyRing;
pub use award_result::AwardResult;
pub use hashcash::Hashcash;
pub use input::{Challenge, ChallengeContext, ProofInput, ProofResult};
pub use parse::{Sources, read_proof};

use webhook::{Webhook, WebhookRequest};

/// How one action is proved. Every check has to pass.
#[derive(Clone, Debug, Default)]
pub struct Proof {
    checks: Vec<Check>,
}

/// One check of a proof.
#[derive(Clone, Debug)]
pub enum Check {
    /// Time since the token was issued, which the script measures by Redis' clock.
    Elapsed {
        /// Minimum, in ms.
        min_ms: u64,
        /// Maximum, in ms; 0: no maximum.
        max_ms: u64,
    },
    /// A question from this bank.
    Quiz(Vec<quiz::Question>),
    /// Proof of work.
    Hashcash(Hashcash),
    /// An attestation signed by a key of this ring.
    Signed(Arc<KeyRing>),
    /// A decision of the game's own backend.
    Webhook(Arc<Webhook>),
    /// An AdMob callback about one of these ad units; an empty list accepts all.
    AdMob(Vec<String>),
}

impl Check {
    /// The kind's name in the catalogue.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Elapsed { .. } => "elapsed",
            Self::Quiz(_) => "quiz",
            Self::Hashcash(_) => "hashcash",
            Self::Signed(_) => "signed",
            Self::Webhook(_) => "webhook",
            Self::AdMob(_) => "admob",
        }
    }

    /// The field of the proof that this check reads.
    fn field(&self) -> Option<&'static str> {
        match self {
            Self::Elapsed { .. } | Self::Webhook(_) | Self::AdMob(_) => None,
            Self::Quiz(_) => Some("quizResult"),
            Self::Hashcash(_) => Some("nonce"),
            Self::Signed(_) => Some("attestation"),
        }
    }

    /// True if `init` returns a challenge that the proof has to answer.
    fn has_challenge(&self) -> bool {
        match self {
            Self::Quiz(_) | Self::Hashcash(_) => true,
            // An attestation may name the token, but does not need one: each can be used once.
            Self::Elapsed { .. } | Self::Signed(_) | Self::Webhook(_) | Self::AdMob(_) => false,
        }
    }
}

impl Proof {
    /// A proof with these checks.
    pub fn new(checks: Vec<Check>) -> Self {
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

    /// True if a client has to call `init` for a challenge first.
    pub fn has_challenge(&self) -> bool {
        self.checks.iter().any(Check::has_challenge)
    }

    /// True if a webhook is called, which takes time and must be rate-limited.
    pub fn needs_webhook(&self) -> bool {
        self.checks.iter().any(|check| matches!(check, Check::Webhook(_)))
    }

    /// True if the proof is an ad network's callback, which the client cannot send itself.
    pub fn needs_callback(&self) -> bool {
        self.checks.iter().any(|check| matches!(check, Check::AdMob(_)))
    }

    /// True if a callback about this ad unit proves the action.
    pub fn accepts_ad_unit(&self, ad_unit: &str) -> bool {
        let accepts = |units: &[String]| units.is_empty() || units.iter().any(|unit| unit == ad_unit);
        self.checks.iter().any(|check| matches!(check, Check::AdMob(units) if accepts(units)))
    }

    /// True if the work grows with the rate at which tokens are requested.
    pub fn is_paced(&self) -> bool {
        self.checks.iter().any(|check| matches!(check, Check::Hashcash(work) if work.is_paced()))
    }

    /// True if a question is drawn from a bank.
    pub fn has_quiz(&self) -> bool {
        self.checks.iter().any(|check| matches!(check, Check::Quiz(_)))
    }

    /// The shortest time that the proof can take, in ms by Redis' clock.
    pub fn span_ms(&self) -> u64 {
        let span = |check: &Check| match check {
            Check::Elapsed { min_ms, .. } => *min_ms,
            _ => 0,
        };
        self.checks.iter().map(span).max().unwrap_or(0)
    }

    /// Makes the challenge of a new token.
    pub fn challenge(&self, context: &ChallengeContext<'_>) -> Challenge {
        let mut challenge = Challenge::default();
        for check in &self.checks {
            match check {
                Check::Elapsed { .. } | Check::Signed(_) | Check::Webhook(_) | Check::AdMob(_) => {}
                Check::Quiz(bank) => {
                    let question = quiz::draw(bank, context.user, context.drawn, context.secret);
                    challenge.question = Some(question.id());
                }
                Check::Hashcash(work) => challenge.bits = Some(work.bits_at(context.paces)),
            }
        }
        challenge
    }

    /// The `challenge` object that `init` returns; `None` if it would be empty. `format_ms` formats Unix ms.
    pub fn describe(
        &self,
        challenge: &Challenge,
        token_id: &str,
        issued_at_ms: i64,
        format_ms: impl Fn(i64) -> String,
    ) -> Option<Value> {
        let mut fields = Map::new();
        for check in &self.checks {
            match check {
                Check::Elapsed { min_ms, max_ms } => {
                    fields.insert("notBefore".into(), format_ms(issued_at_ms + *min_ms as i64).into());
                    if *max_ms > 0 {
                        fields.insert("notAfter".into(), format_ms(issued_at_ms + *max_ms as i64).into());
                    }
                }
                Check::Quiz(bank) => {
                    let question = quiz::find(bank, challenge);
                    fields.extend(question.map(quiz::Question::describe).unwrap_or_default());
                }
                Check::Hashcash(_) => fields.extend(hashcash::describe(token_id, challenge)),
                Check::Webhook(_) | Check::AdMob(_) => {}
                Check::Signed(_) => {
                    fields.insert("nonce".into(), token_id.into());
                }
            }
        }
        (!fields.is_empty()).then_some(Value::Object(fields))
    }

    /// The longest time that the webhooks may take, in ms: each waits up to its timeout for a free slot, and as long for the response.
    pub fn max_webhook_ms(&self) -> u64 {
        let hooks = self.checks.iter().filter_map(|check| match check {
            Check::Webhook(hook) => Some(hook.timeout_ms()),
            _ => None,
        });
        hooks.map(|timeout_ms| 2 * timeout_ms).sum()
    }

    /// Verifies a proof.
    ///
    /// # Errors
    /// `Validation`: the proof is malformed. `Unavailable`: a webhook gave no clear answer. The token stays valid in both cases.
    pub async fn verify(&self, input: &ProofInput<'_>) -> Result<ProofResult, Refusal> {
        input.check_format(self)?;
        let text = |check: &Check| -> &str {
            let name = check.field().unwrap_or_default();
            input.proof.and_then(|fields| fields.get(name)?.as_str()).unwrap_or_default()
        };
        let mut result = ProofResult::default();
        for check in &self.checks {
            match check {
                Check::Webhook(_) => {}
                // A callback does not pass through here, so this proof came from the client.
                Check::AdMob(_) => result.is_valid = false,
                Check::Elapsed { min_ms, max_ms } => {
                    result.age_ms = (*min_ms, *max_ms);
                    result.award.is_timed = true;
                }
                Check::Quiz(bank) => {
                    let question = quiz::find(bank, input.challenge);
                    result.is_valid &= question.is_some_and(|question| question.is_answered_by(text(check)));
                    result.difficulty = question.and_then(quiz::Question::difficulty).or(result.difficulty);
                }
                Check::Signed(ring) => {
                    match signed::read(ring, text(check), input.user, input.action, input.token_id) {
                        Some(attestation) => result.add_attestation(attestation),
                        None => result.is_valid = false,
                    }
                }
                Check::Hashcash(_) => {
                    result.is_valid &= hashcash::is_solved(input.token_id, input.challenge, text(check));
                }
            }
        }
        self.call_webhooks(input, &mut result).await?;
        Ok(result)
    }

    /// Calls the webhooks as long as the proof is valid.
    async fn call_webhooks(&self, input: &ProofInput<'_>, result: &mut ProofResult) -> Result<(), Refusal> {
        for check in &self.checks {
            if let (Check::Webhook(hook), true) = (check, result.is_valid) {
                let request = WebhookRequest {
                    user: input.user,
                    action: input.action,
                    token_id: input.attempt_id,
                    proof: input.proof,
                    now_ms: input.now_ms,
                };
                let response = hook.call(request, input.metrics).await?;
                result.is_valid = response.valid;
                result.difficulty = response.difficulty.or(result.difficulty.take());
                result.award.replace(response.award);
            }
        }
        Ok(())
    }
}

/// Shortens a client's text to 50 characters, so that it can be repeated in an error or a log.
pub fn shortened(name: &str) -> String {
    name.chars().take(50).collect()
}
