//! `quiz`: a question of a bank, answered. The answer never leaves the server.

use aws_lc_rs::{constant_time, digest};
use serde::Deserialize;
use serde_json::{Value, json};

use super::Challenge;

/// Longer answers are refused as malformed.
pub const MAX_ANSWER_BYTES: usize = 200;

/// One question of a bank.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Question {
    question: String,
    #[serde(default)]
    choices: Vec<String>,
    answer: String,
}

impl Question {
    /// Whether it can be asked and answered.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn check(&self) -> Result<(), String> {
        let among = self.choices.is_empty() || self.choices.contains(&self.answer);
        if self.question.trim().is_empty() || self.answer.trim().is_empty() {
            return Err("a question and its answer must not be empty".into());
        }
        if self.answer.len() > MAX_ANSWER_BYTES {
            return Err(format!("an answer must be at most {MAX_ANSWER_BYTES} bytes"));
        }
        if among {
            Ok(())
        } else {
            Err(format!("the answer to {:?} is not among its choices", self.question))
        }
    }

    /// A short name for the question that stays the same when the bank's order changes.
    pub fn id(&self) -> String {
        let digest = digest::digest(&digest::SHA256, self.question.as_bytes());
        digest.as_ref()[..8].iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// What the client is told.
    pub fn tell(&self) -> Value {
        if self.choices.is_empty() {
            json!({ "question": self.question })
        } else {
            json!({ "question": self.question, "choices": self.choices })
        }
    }
}

/// The question that a token remembers.
pub fn find<'a>(bank: &'a [Question], challenge: &Challenge) -> Option<&'a Question> {
    let id = challenge.question.as_ref()?;
    bank.iter().find(|it| it.id() == *id)
}

/// Compares digests, in constant time, so that the time taken tells nothing about the answer.
pub fn holds(bank: &[Question], challenge: &Challenge, answer: &str) -> bool {
    let plain = |text: &str| digest::digest(&digest::SHA256, text.trim().to_lowercase().as_bytes());
    find(bank, challenge).is_some_and(|question| {
        constant_time::verify_slices_are_equal(plain(&question.answer).as_ref(), plain(answer).as_ref())
            .is_ok()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_asked_questions_answer_holds() {
        let ask = |question: &str, answer: &str| Question {
            question: question.into(),
            choices: Vec::new(),
            answer: answer.into(),
        };
        let bank = [ask("1 + 1?", "Two"), ask("2 + 2?", "Four")];
        let challenge = Challenge { question: Some(bank[0].id()), bits: None };
        assert!(holds(&bank, &challenge, " two "));
        assert!(!holds(&bank, &challenge, "four"));
        assert!(!holds(&bank, &challenge, ""));
        assert!(!holds(&bank, &Challenge::default(), "two"));
    }
}
