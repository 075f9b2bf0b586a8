//! `hashcash`: work that is hard to do and easy to check, bound to one token by its prefix; harder for who is too fast.

use aws_lc_rs::digest;
use serde_json::{Map, Value, json};

use super::Challenge;

/// Longer nonces are refused as malformed.
pub const MAX_NONCE_BYTES: usize = 128;

/// SHA-256(prefix + nonce) has so many leading zero bits.
#[derive(Clone, Debug)]
pub struct Hashcash {
    bits: u32,
    /// What it may rise to: a bit, and so twice the work, for each time the pace is doubled.
    max_bits: u32,
    /// Tokens a minute up to which it does not rise, of a user.
    pace_per_minute: u32,
    /// The same, of an address, which a whole school may share.
    pace_per_minute_per_ip: u32,
}

impl Hashcash {
    /// With what is left out as it is by default.
    ///
    /// # Errors
    /// Everything that is impossible about it.
    pub fn new(
        bits: u32,
        max_bits: Option<u32>,
        pace_per_minute: Option<u32>,
        pace_per_minute_per_ip: Option<u32>,
    ) -> Result<Self, Vec<String>> {
        let work = Self {
            bits,
            max_bits: max_bits.filter(|it| *it > 0).unwrap_or(bits),
            pace_per_minute: pace_per_minute.unwrap_or(5),
            pace_per_minute_per_ip: pace_per_minute_per_ip.unwrap_or(600),
        };
        let mut problems = Vec::new();
        if !(1..=32).contains(&bits) || !(bits..=32).contains(&work.max_bits) {
            problems
                .push("proof.bits must be between 1 and 32, and proof.max_bits between that and 32".into());
        }
        if work.pace_per_minute == 0 || work.pace_per_minute_per_ip == 0 {
            problems.push("proof.pace_per_minute and proof.pace_per_minute_per_ip must be above 0".into());
        }
        if problems.is_empty() { Ok(work) } else { Err(problems) }
    }

    /// Whether it rises at all.
    pub fn is_paced(&self) -> bool {
        self.max_bits > self.bits
    }

    /// The bits for who has asked so often in this minute, and so has the address.
    pub fn bits_at(&self, (user, address): (u32, u32)) -> u32 {
        let rise = |used: u32, pace: u32| used.div_ceil(pace).max(1).next_power_of_two().ilog2();
        let rise = rise(user, self.pace_per_minute).max(rise(address, self.pace_per_minute_per_ip));
        (self.bits + rise).min(self.max_bits)
    }
}

fn prefix(token_id: &str) -> String {
    format!("{token_id}:")
}

/// What the client is told.
pub fn tell(token_id: &str, challenge: &Challenge) -> Map<String, Value> {
    let told = [("prefix", json!(prefix(token_id))), ("bits", json!(challenge.bits))];
    told.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

/// Whether the work that was asked for was done.
pub fn holds(token_id: Option<&str>, challenge: &Challenge, nonce: &str) -> bool {
    let (Some(token_id), Some(bits)) = (token_id, challenge.bits) else { return false };
    let mut context = digest::Context::new(&digest::SHA256);
    context.update(prefix(token_id).as_bytes());
    context.update(nonce.as_bytes());
    leading_zero_bits(context.finish().as_ref()) >= bits
}

fn leading_zero_bits(bytes: &[u8]) -> u32 {
    let mut zeros = 0;
    for byte in bytes {
        zeros += byte.leading_zeros();
        if *byte != 0 {
            break;
        }
    }
    zeros
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bits_are_counted_over_byte_borders() {
        assert_eq!(leading_zero_bits(&[0x80]), 0);
        assert_eq!(leading_zero_bits(&[0, 0x1f, 0xff]), 11);
        assert_eq!(leading_zero_bits(&[0, 0]), 16);
    }

    #[test]
    fn work_for_one_token_is_worth_nothing_for_another() {
        let asked = Challenge { bits: Some(12), ..Challenge::default() };
        let holds = |token: &str, nonce: &str| holds(Some(token), &asked, nonce);
        let nonce = (0..).map(|it: u32| it.to_string()).find(|it| holds("a", it)).unwrap();
        assert!(
            !super::holds(None, &asked, &nonce) && !super::holds(Some("a"), &Challenge::default(), &nonce)
        );
        let others = (0..64).filter(|it| holds(&format!("b{it}"), &nonce)).count();
        assert!(others <= 2, "{others} of 64 other tokens took the nonce");
    }

    #[test]
    fn twice_the_pace_is_twice_the_work_up_to_the_most() {
        let work = Hashcash { bits: 16, max_bits: 20, pace_per_minute: 5, pace_per_minute_per_ip: 100 };
        let bits = [(0, 0), (5, 100), (6, 0), (10, 0), (11, 0), (20, 0), (21, 0), (0, 101), (5000, 5000)];
        assert_eq!(bits.map(|it| work.bits_at(it)), [16, 16, 17, 17, 18, 18, 19, 17, 20]);
    }
}
