//! `hashcash`: proof of work, bound to one token by its prefix. The work grows for clients that request tokens too fast.

use aws_lc_rs::digest;
use serde_json::{Map, Value, json};

use super::Challenge;

/// The longest nonce, in bytes. Longer ones are malformed.
pub const MAX_NONCE_BYTES: usize = 128;

/// The work: find a nonce so that SHA-256(prefix + nonce) starts with a number of zero bits.
#[derive(Clone, Debug)]
pub struct Hashcash {
    /// Zero bits at a normal pace.
    bits: u32,
    /// The maximum. Each doubling of the pace adds one bit, which doubles the work.
    max_bits: u32,
    /// Tokens per minute and user up to which the work does not grow.
    pace_per_minute: u32,
    /// The same per client address, which many players may share.
    pace_per_minute_per_ip: u32,
}

impl Hashcash {
    /// Checks the settings; `None` selects a default: `bits`, 5 and 600.
    ///
    /// # Errors
    /// Every setting that is out of range.
    pub fn new(
        bits: u32,
        max_bits: Option<u32>,
        pace_per_minute: Option<u32>,
        pace_per_minute_per_ip: Option<u32>,
    ) -> Result<Self, Vec<String>> {
        let work = Self {
            bits,
            max_bits: max_bits.filter(|bits| *bits > 0).unwrap_or(bits),
            pace_per_minute: pace_per_minute.unwrap_or(5),
            pace_per_minute_per_ip: pace_per_minute_per_ip.unwrap_or(600),
        };
        let mut problems = Vec::new();
        if !(1..=32).contains(&bits) || !(bits..=32).contains(&work.max_bits) {
            problems.push(
                "proof.bits must be between 1 and 32, and proof.max_bits between proof.bits and 32".into(),
            );
        }
        if work.pace_per_minute == 0 || work.pace_per_minute_per_ip == 0 {
            problems.push("proof.pace_per_minute and proof.pace_per_minute_per_ip must be above 0".into());
        }
        if problems.is_empty() { Ok(work) } else { Err(problems) }
    }

    /// True if the work grows with the pace.
    pub fn is_paced(&self) -> bool {
        self.max_bits > self.bits
    }

    /// The zero bits for a number of tokens that the user and the client address requested in this minute.
    pub fn bits_at(&self, (user, address): (u32, u32)) -> u32 {
        let extra = |used: u32, pace: u32| used.div_ceil(pace).max(1).next_power_of_two().ilog2();
        let extra = extra(user, self.pace_per_minute).max(extra(address, self.pace_per_minute_per_ip));
        (self.bits + extra).min(self.max_bits)
    }
}

fn prefix(token_id: &str) -> String {
    format!("{token_id}:")
}

/// The fields of the challenge that the client sees.
pub fn describe(token_id: &str, challenge: &Challenge) -> Map<String, Value> {
    let fields = [("prefix", json!(prefix(token_id))), ("bits", json!(challenge.bits))];
    fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

/// True if the nonce solves the token's challenge.
pub fn is_solved(token_id: Option<&str>, challenge: &Challenge, nonce: &str) -> bool {
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
    fn zero_bits_are_counted_across_bytes() {
        assert_eq!(leading_zero_bits(&[0x80]), 0);
        assert_eq!(leading_zero_bits(&[0, 0x1f, 0xff]), 11);
        assert_eq!(leading_zero_bits(&[0, 0]), 16);
    }

    #[test]
    fn a_nonce_solves_one_token_only() {
        let challenge = Challenge { bits: Some(12), ..Challenge::default() };
        let solves = |token: &str, nonce: &str| is_solved(Some(token), &challenge, nonce);
        let nonce = (0..).map(|it: u32| it.to_string()).find(|nonce| solves("a", nonce)).unwrap();
        assert!(!is_solved(None, &challenge, &nonce) && !is_solved(Some("a"), &Challenge::default(), &nonce));
        let others = (0..64).filter(|number| solves(&format!("b{number}"), &nonce)).count();
        assert!(others <= 2, "{others} of 64 other tokens accepted the nonce");
    }

    #[test]
    fn twice_the_pace_is_one_more_bit_up_to_the_maximum() {
        let work = Hashcash { bits: 16, max_bits: 20, pace_per_minute: 5, pace_per_minute_per_ip: 100 };
        let bits = [(0, 0), (5, 100), (6, 0), (10, 0), (11, 0), (20, 0), (21, 0), (0, 101), (5000, 5000)];
        assert_eq!(bits.map(|paces| work.bits_at(paces)), [16, 16, 17, 17, 18, 18, 19, 17, 20]);
    }
}
