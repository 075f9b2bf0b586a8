//! A proof as it stands in the catalogue's file.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::{Check, Hashcash, Proof, Question};

/// Questions by their bank's name.
pub type Banks = BTreeMap<String, Vec<Question>>;

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
    /// Every one of some.
    All {
        /// Which.
        of: Vec<ProofConfig>,
    },
}

impl ProofConfig {
    /// Checks it against the banks.
    ///
    /// # Errors
    /// What is impossible about it.
    pub fn read(self, banks: &Banks) -> Result<Proof, String> {
        let checks: Vec<Check> = match self {
            Self::None {} => Vec::new(),
            Self::All { of } => {
                if of.len() < 2 || of.iter().any(|it| matches!(it, Self::All { .. } | Self::None {})) {
                    return Err("proof.of must be two or more kinds, none of them \"none\" or \"all\"".into());
                }
                of.into_iter().map(|it| it.check(banks)).collect::<Result<_, _>>()?
            }
            one => vec![one.check(banks)?],
        };
        // Their fields in challenge and proof stand side by side.
        for (place, check) in checks.iter().enumerate() {
            if checks[..place].iter().any(|it| it.kind() == check.kind()) {
                return Err(format!("proof.of has {} twice", check.kind()));
            }
        }
        Ok(Proof::of(checks))
    }

    fn check(self, banks: &Banks) -> Result<Check, String> {
        match self {
            Self::None {} | Self::All { .. } => unreachable!("these are not one check"),
            Self::Elapsed { least_ms, most_ms } => {
                if most_ms > 0 && most_ms <= least_ms {
                    return Err("proof.least_ms must be below proof.most_ms".into());
                }
                Ok(Check::Elapsed { least_ms, most_ms })
            }
            Self::Quiz { bank } => match banks.get(&bank) {
                Some(questions) if !questions.is_empty() => Ok(Check::Quiz(questions.clone())),
                _ => Err(format!("there is no bank {bank} with questions")),
            },
            Self::Hashcash(work) => work.checked().map(Check::Hashcash),
        }
    }
}
