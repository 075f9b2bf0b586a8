//! A proof as it stands in the catalogue's file.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Deserialize;

use super::quiz::Question;
use super::webhook::{Webhook, WebhookConfig};
use super::{Check, Hashcash, Proof};
use crate::keys::KeyRing;

/// What proofs draw from, by name.
#[derive(Default)]
pub struct Sources {
    /// Banks of questions.
    pub banks: BTreeMap<String, Vec<Question>>,
    /// Rings of keys.
    pub rings: BTreeMap<String, Arc<KeyRing>>,
}

/// Of one kind.
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
    Hashcash(Hashcash),
    /// An attestation by a game server or an ad network.
    Signed {
        /// The ring of keys that may sign it.
        keys: String,
    },
    /// The game's own backend says.
    Webhook(WebhookConfig),
    /// AdMob's callback about a rewarded ad.
    AdMob {
        /// Ad units that count, by their numbers; any if left out.
        #[serde(default)]
        ad_units: Vec<String>,
    },
    /// Every one of some.
    All {
        /// Which.
        of: Vec<ProofConfig>,
    },
}

impl ProofConfig {
    /// Checks it against what it draws from.
    ///
    /// # Errors
    /// What is impossible about it.
    pub fn read(self, sources: &Sources) -> Result<Proof, String> {
        let checks: Vec<Check> = match self {
            Self::None {} => Vec::new(),
            Self::All { of } => {
                if of.len() < 2
                    || of.iter().any(|it| matches!(it, Self::All { .. } | Self::None {} | Self::AdMob { .. }))
                {
                    return Err(
                        "proof.of must be two or more kinds, none of them \"none\", \"all\" or \"admob\""
                            .into(),
                    );
                }
                of.into_iter().map(|it| it.check(sources)).collect::<Result<_, _>>()?
            }
            one => vec![one.check(sources)?],
        };
        // Their fields in challenge and proof stand side by side.
        for (place, check) in checks.iter().enumerate() {
            if checks[..place].iter().any(|it| it.kind() == check.kind()) {
                return Err(format!("proof.of has {} twice", check.kind()));
            }
        }
        Ok(Proof::of(checks))
    }

    fn check(self, sources: &Sources) -> Result<Check, String> {
        match self {
            Self::None {} | Self::All { .. } => unreachable!("these are not one check"),
            Self::Elapsed { least_ms, most_ms } => {
                if most_ms > 0 && most_ms <= least_ms {
                    return Err("proof.least_ms must be below proof.most_ms".into());
                }
                Ok(Check::Elapsed { least_ms, most_ms })
            }
            Self::Quiz { bank } => match sources.banks.get(&bank) {
                Some(questions) if !questions.is_empty() => Ok(Check::Quiz(questions.clone())),
                _ => Err(format!("there is no bank {bank} with questions")),
            },
            Self::Signed { keys } => match sources.rings.get(&keys) {
                Some(ring) => Ok(Check::Signed(ring.clone())),
                None => Err(format!("there are no keys {keys}")),
            },
            Self::AdMob { ad_units } => Ok(Check::AdMob(ad_units)),
            Self::Webhook(config) => Webhook::new(&config).map(|it| Check::Webhook(Arc::new(it))),
            Self::Hashcash(work) => work.checked().map(Check::Hashcash),
        }
    }
}
