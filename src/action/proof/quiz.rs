//! `quiz`: a question of a bank, answered. The answer never leaves the server.

use aws_lc_rs::{constant_time, digest, hmac};
use data_encoding::HEXLOWER;
use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::Challenge;

/// Longer answers are refused as malformed.
pub const MAX_ANSWER_BYTES: usize = 200;

/// One question of a bank.
#[derive(Clone, Debug)]
pub struct Question {
    /// What the client is asked.
    pub question: String,
    /// Among what it chooses; anything, if there are none.
    pub choices: Vec<String>,
    /// The answer, which never leaves the server.
    pub answer: String,
    /// How hard it is, if that matters.
    pub difficulty: Option<String>,
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
        HEXLOWER.encode(&digest.as_ref()[..8])
    }

    /// How hard it is, if that matters.
    pub fn difficulty(&self) -> Option<String> {
        self.difficulty.clone()
    }

    /// What the client is told.
    pub fn tell(&self) -> Map<String, Value> {
        let mut told = Map::from_iter([("question".to_owned(), json!(self.question))]);
        if !self.choices.is_empty() {
            told.insert("choices".to_owned(), json!(self.choices));
        }
        told
    }

    /// Compares digests, in constant time, so that the time taken tells nothing about the answer.
    pub fn is_answered_by(&self, answer: &str) -> bool {
        let plain = |text: &str| digest::digest(&digest::SHA256, text.trim().to_lowercase().as_bytes());
        constant_time::verify_slices_are_equal(plain(&self.answer).as_ref(), plain(answer).as_ref()).is_ok()
    }
}

/// The next question for a user who was asked so many before. Each round through the bank has an order of its own, which only
/// the secret's owner knows; within a round no question comes twice.
pub fn draw<'a>(bank: &'a [Question], user: Uuid, drawn: u64, secret: &[u8]) -> &'a Question {
    let (round, place) = (drawn / bank.len() as u64, drawn % bank.len() as u64);
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret);
    let mut order: Vec<&Question> = bank.iter().collect();
    order.sort_by_cached_key(|it| {
        let text = format!("{user} {round} {}", it.id());
        hmac::sign(&key, text.as_bytes()).as_ref().to_vec()
    });
    order[place as usize]
}

/// The question that a token remembers.
pub fn find<'a>(bank: &'a [Question], challenge: &Challenge) -> Option<&'a Question> {
    let id = challenge.question.as_ref()?;
    bank.iter().find(|it| it.id() == *id)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(question: &str, answer: &str) -> Question {
        Question { question: question.into(), choices: Vec::new(), answer: answer.into(), difficulty: None }
    }

    #[test]
    fn only_the_asked_questions_answer_holds() {
        let bank = [ask("1 + 1?", "Two"), ask("2 + 2?", "Four")];
        let challenge = Challenge { question: Some(bank[0].id()), bits: None };
        let asked = find(&bank, &challenge).unwrap();
        assert!(asked.is_answered_by(" two ") && !asked.is_answered_by("four") && !asked.is_answered_by(""));
        assert!(find(&bank, &Challenge::default()).is_none());
    }

    #[test]
    fn no_question_comes_twice_until_all_were_asked() {
        let bank: Vec<Question> = (0..20).map(|it| ask(&format!("{it}?"), "x")).collect();
        let round = |user: u128, round: u64| -> Vec<String> {
            let drawn = round * 20..(round + 1) * 20;
            drawn.map(|it| draw(&bank, Uuid::from_u128(user), it, b"secret").id()).collect()
        };
        let mut all: Vec<String> = bank.iter().map(Question::id).collect();
        all.sort();
        for user in 1..5 {
            for place in 0..3 {
                let mut asked = round(user, place);
                asked.sort();
                assert_eq!(asked, all);
            }
        }
        assert_ne!(round(1, 0), round(1, 1));
        assert_ne!(round(1, 0), round(2, 0));
    }
}
