//! `hashcash`: work that is hard to do and easy to check, bound to one token by its prefix.

use aws_lc_rs::digest;
use serde_json::{Value, json};

/// Longer nonces are refused as malformed.
pub const MAX_NONCE_BYTES: usize = 128;

fn prefix(token_id: &str) -> String {
    format!("{token_id}:")
}

/// What the client is told.
pub fn tell(token_id: &str, bits: u32) -> Value {
    json!({ "prefix": prefix(token_id), "bits": bits })
}

/// Whether SHA-256(prefix + nonce) has at least so many leading zero bits.
pub fn holds(token_id: &str, nonce: &str, bits: u32) -> bool {
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
        let nonce = (0..).map(|it: u32| it.to_string()).find(|it| holds("a", it, 12)).unwrap();
        assert!(holds("a", &nonce, 12));
        let others = (0..64).filter(|it| holds(&format!("b{it}"), &nonce, 12)).count();
        assert!(others <= 2, "{others} of 64 other tokens took the nonce");
    }
}
