//! How an action is proved: some checks, each of a kind with a file of its own; `none` has no check, `all` has several. What a
//! check asks for goes out with `init`; what it needs to remember travels inside the signed token, so that verifying needs no
//! look-up.

pub mod admob;
mod claim;
mod config;
mod hashcash;
pub mod quiz;
mod shape;
pub mod signed;
pub mod webhook;

use std::sync::Arc;

use serde_json::{Map, Value};

use crate::error::Refusal;
use crate::keys::KeyRing;
pub use claim::{Asked, Challenge, Given, Verdict};
pub use config::{Sources, read_proof};
pub use hashcash::Hashcash;

use webhook::{Question, Webhook};

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
        min_ms: u64,
        /// At most so long; 0: any.
        max_ms: u64,
    },
    /// One question of a bank.
    Quiz(Vec<quiz::Question>),
    /// Work.
    Hashcash(Hashcash),
    /// An attestation, signed by a key of this ring.
    Signed(Arc<KeyRing>),
    /// The game's own backend says.
    Webhook(Arc<Webhook>),
    /// Google says, in a callback about one of these ad units; none: about any.
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

    /// The field of the proof that it reads.
    fn field(&self) -> Option<&'static str> {
        match self {
            Self::Elapsed { .. } | Self::Webhook(_) | Self::AdMob(_) => None,
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
            Self::Elapsed { .. } | Self::Signed(_) | Self::Webhook(_) | Self::AdMob(_) => false,
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

    /// Whether somebody else is asked, which takes time and must not be had for free.
    pub fn reaches_out(&self) -> bool {
        self.checks.iter().any(|it| matches!(it, Check::Webhook(_)))
    }

    /// Whether the client cannot hand it in: it comes from somebody else.
    pub fn comes_by_callback(&self) -> bool {
        self.checks.iter().any(|it| matches!(it, Check::AdMob(_)))
    }

    /// Whether a callback about this ad unit proves it.
    pub fn takes_ad_unit(&self, ad_unit: &str) -> bool {
        let takes = |units: &[String]| units.is_empty() || units.iter().any(|it| it == ad_unit);
        self.checks.iter().any(|it| matches!(it, Check::AdMob(units) if takes(units)))
    }

    /// Whether it grows harder for who is too fast.
    pub fn is_paced(&self) -> bool {
        self.checks.iter().any(|it| matches!(it, Check::Hashcash(work) if work.is_paced()))
    }

    /// Whether it draws questions.
    pub fn draws(&self) -> bool {
        self.checks.iter().any(|it| matches!(it, Check::Quiz(_)))
    }

    /// How long the proof takes at least, by Redis' clock; 0: no time.
    pub fn span_ms(&self) -> u64 {
        let span = |check: &Check| match check {
            Check::Elapsed { min_ms, .. } => *min_ms,
            _ => 0,
        };
        self.checks.iter().map(span).max().unwrap_or(0)
    }

    /// Makes a challenge.
    pub fn challenge(&self, asked: &Asked<'_>) -> Challenge {
        let mut challenge = Challenge::default();
        for check in &self.checks {
            match check {
                Check::Elapsed { .. } | Check::Signed(_) | Check::Webhook(_) | Check::AdMob(_) => {}
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
                Check::Elapsed { min_ms, max_ms } => {
                    told.insert("notBefore".into(), time(issued_at_ms + *min_ms as i64).into());
                    if *max_ms > 0 {
                        told.insert("notAfter".into(), time(issued_at_ms + *max_ms as i64).into());
                    }
                }
                Check::Quiz(bank) => {
                    told.extend(quiz::find(bank, challenge).map(quiz::Question::tell).unwrap_or_default());
                }
                Check::Hashcash(_) => told.extend(hashcash::tell(token_id, challenge)),
                Check::Webhook(_) | Check::AdMob(_) => {}
                Check::Signed(_) => {
                    told.insert("nonce".into(), token_id.into());
                }
            }
        }
        (!told.is_empty()).then_some(Value::Object(told))
    }

    /// The longest time that webhooks may take to judge a proof, in ms: each may wait for a place as long as for an answer.
    pub fn longest_judging_ms(&self) -> u64 {
        let hooks = self.checks.iter().filter_map(|it| match it {
            Check::Webhook(hook) => Some(hook.timeout_ms()),
            _ => None,
        });
        hooks.map(|timeout_ms| 2 * timeout_ms).sum()
    }

    /// Looks at a proof's shape, which is no try of what is in it.
    ///
    /// # Errors
    /// It has not the shape of its kind: the token stays.
    pub fn check_shape(&self, given: &Given<'_>) -> Result<(), Refusal> {
        shape::check(self, given)
    }

    /// Verifies a proof.
    ///
    /// # Errors
    /// The proof has not the shape of its kind, or a webhook gives no clear answer: that is no try, and the token stays.
    pub async fn verify(&self, given: &Given<'_>) -> Result<Verdict, Refusal> {
        self.check_shape(given)?;
        let text = |check: &Check| -> &str {
            let name = check.field().unwrap_or_default();
            given.proof.and_then(|it| it.get(name)?.as_str()).unwrap_or_default()
        };
        let mut verdict = Verdict::default();
        for check in &self.checks {
            match check {
                Check::Webhook(_) => {}
                // It comes by a callback, past this.
                Check::AdMob(_) => verdict.holds = false,
                Check::Elapsed { min_ms, max_ms } => verdict.age_ms = (*min_ms, *max_ms),
                Check::Quiz(bank) => {
                    let question = quiz::find(bank, given.challenge);
                    verdict.holds &= question.is_some_and(|it| it.is_answered_by(text(check)));
                    verdict.difficulty = question.and_then(quiz::Question::difficulty).or(verdict.difficulty);
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
        self.ask_out(given, &mut verdict).await?;
        Ok(verdict)
    }

    /// Asks backends, if there is anything left to ask.
    async fn ask_out(&self, given: &Given<'_>, verdict: &mut Verdict) -> Result<(), Refusal> {
        for check in &self.checks {
            if let (Check::Webhook(hook), true) = (check, verdict.holds) {
                let question = Question {
                    user: given.user,
                    action: given.action,
                    token_id: given.attempt_id,
                    proof: given.proof,
                    now_ms: given.now_ms,
                };
                let judgement = hook.ask(question, given.metrics).await?;
                verdict.holds = judgement.valid;
                verdict.difficulty = judgement.difficulty.or(verdict.difficulty.take());
            }
        }
        Ok(())
    }
}

/// A field's name as it may be shown again: a client's text, so cut short.
pub fn shortened(name: &str) -> String {
    name.chars().take(50).collect()
}
