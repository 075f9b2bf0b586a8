//! `quiz`: the player answers a question from a bank. The correct answer never leaves the server.

use aws_lc_rs::{constant_time, digest, hmac};
use data_encoding::HEXLOWER;
use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::Challenge;

/// The longest answer, in bytes. Longer ones are malformed.
pub const MAX_ANSWER_BYTES: usize = 200;

/// One question of a bank.
#[derive(Clone, Debug)]
pub struct Question {
    /// The question's text.
    pub question: String,
    /// The choices; empty for a free answer.
    pub choices: Vec<String>,
    /// The correct answer, which never leaves the server.
    pub answer: String,
    /// The difficulty, which selects `points_by_difficulty`.
    pub difficulty: Option<String>,
}

impl Question {
    /// Checks that the question can be shown and answered.
    ///
    /// # Errors
    /// The first problem, as text.
    pub fn check(&self) -> Result<(), String> {
        let is_choice = self.choices.is_empty() || self.choices.contains(&self.answer);
        if self.question.trim().is_empty() || self.answer.trim().is_empty() {
            return Err("a question and its answer must not be empty".into());
        }
        if self.answer.len() > MAX_ANSWER_BYTES {
            return Err(format!("an answer must be at most {MAX_ANSWER_BYTES} bytes"));
        }
        if is_choice {
            Ok(())
        } else {
            Err(format!("the answer to {:?} is not among its choices", self.question))
        }
    }

    /// The question's id: a digest of its text, so it does not depend on the order of the bank.
    pub fn id(&self) -> String {
        let digest = digest::digest(&digest::SHA256, self.question.as_bytes());
        HEXLOWER.encode(&digest.as_ref()[..8])
    }

    /// The difficulty, if the bank names one.
    pub fn difficulty(&self) -> Option<String> {
        self.difficulty.clone()
    }

    /// The fields of the challenge that the client sees.
    pub fn describe(&self) -> Map<String, Value> {
        let mut fields = Map::from_iter([("question".to_owned(), json!(self.question))]);
        if !self.choices.is_empty() {
            fields.insert("choices".to_owned(), json!(self.choices));
        }
        fields
    }

    /// True if the answer is correct, ignoring case and surrounding blanks. Compares digests in constant time, so that the response time
    /// reveals nothing about the answer.
    pub fn is_answered_by(&self, answer: &str) -> bool {
        let digest_of = |text: &str| digest::digest(&digest::SHA256, text.trim().to_lowercase().as_bytes());
        constant_time::verify_slices_are_equal(digest_of(&self.answer).as_ref(), digest_of(answer).as_ref())
            .is_ok()
    }
}

/// Draws the next question for a user who got `drawn` questions before. The secret determines a new order for each user and each
/// round through the bank; within a round no question repeats.
pub fn draw<'a>(bank: &'a [Question], user: Uuid, drawn: u64, secret: &[u8]) -> &'a Question {
    let (round, place) = (drawn / bank.len() as u64, drawn % bank.len() as u64);
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret);
    let mut order: Vec<&Question> = bank.iter().collect();
    order.sort_by_cached_key(|question| {
        let text = format!("{user} {round} {}", question.id());
        hmac::sign(&key, text.as_bytes()).as_ref().to_vec()
    });
    order[place as usize]
}

/// Finds the question that a token's challenge names.
pub fn find<'a>(bank: &'a [Question], challenge: &Challenge) -> Option<&'a Question> {
    let id = challenge.question.as_ref()?;
    bank.iter().find(|question| question.id() == *id)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn question(text: &str, answer: &str) -> Question {
        Question { question: text.into(), choices: Vec::new(), answer: answer.into(), difficulty: None }
    }

    #[test]
    fn only_the_answer_to_the_question_is_correct() {
        let bank = [question("1 + 1?", "Two"), question("2 + 2?", "Four")];
        let challenge = Challenge { question: Some(bank[0].id()), bits: None };
        let question = find(&bank, &challenge).unwrap();
        assert!(
            question.is_answered_by(" two ")
                && !question.is_answered_by("four")
                && !question.is_answered_by("")
        );
        assert!(find(&bank, &Challenge::default()).is_none());
    }

    #[test]
    fn no_question_repeats_within_a_round() {
        let bank: Vec<Question> = (0..20).map(|number| question(&format!("{number}?"), "x")).collect();
        let round = |user: u128, round: u64| -> Vec<String> {
            let drawn = round * 20..(round + 1) * 20;
            drawn.map(|drawn| draw(&bank, Uuid::from_u128(user), drawn, b"secret").id()).collect()
        };
        let mut all: Vec<String> = bank.iter().map(Question::id).collect();
        all.sort();
        for user in 1..5 {
            for place in 0..3 {
                let mut questions = round(user, place);
                questions.sort();
                assert_eq!(questions, all);
            }
        }
        assert_ne!(round(1, 0), round(1, 1));
        assert_ne!(round(1, 0), round(2, 0));
    }
}
