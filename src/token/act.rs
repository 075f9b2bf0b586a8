//! The `act_` token of the game and verified-token APIs, and the session id. Both are random; Redis stores the token's digest only.

use rand::RngExt;
use rand::distr::Alphanumeric;
use uuid::Uuid;

use crate::crypto::sha256_hex;
use crate::error::Refusal;

/// Characters after the prefix: 119 bits.
const LENGTH: usize = 20;

/// A single-use token: `act_` and 20 characters of `[A-Za-z0-9]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ActToken {
    text: String,
    /// SHA-256 in hex.
    hash: String,
}

impl ActToken {
    /// Draws a new token from the thread's cryptographic random number generator.
    pub fn new() -> Self {
        Self::of(format!("act_{}", random_text()))
    }

    fn of(text: String) -> Self {
        Self { hash: sha256_hex(&[text.as_bytes()]), text }
    }

    /// Parses a token from a request.
    ///
    /// # Errors
    /// `NoActionToken` if the text is empty, `InvalidActionToken` if it is malformed.
    pub fn parse(text: &str) -> Result<Self, Refusal> {
        if text.is_empty() {
            return Err(Refusal::NoActionToken);
        }
        match text.strip_prefix("act_") {
            Some(rest) if rest.len() == LENGTH && rest.bytes().all(|byte| byte.is_ascii_alphanumeric()) => {
                Ok(Self::of(text.to_owned()))
            }
            _ => Err(Refusal::InvalidActionToken),
        }
    }

    /// The token's text.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The token's SHA-256 in hex, which is what Redis stores.
    pub fn hash(&self) -> String {
        self.hash.clone()
    }

    /// The id of the only attempt that can redeem this token: a UUID v8 (RFC 9562) made from its digest.
    pub fn attempt_id(&self) -> Uuid {
        // The hash always has 64 hexadecimal digits.
        Uuid::new_v8(Uuid::try_parse(&self.hash[..32]).unwrap_or_default().into_bytes())
    }
}

impl Default for ActToken {
    fn default() -> Self {
        Self::new()
    }
}

/// Draws a new session id: `sess_` and 20 characters of `[A-Za-z0-9]`.
pub fn new_session_id() -> String {
    format!("sess_{}", random_text())
}

fn random_text() -> String {
    rand::rng().sample_iter(Alphanumeric).take(LENGTH).map(char::from).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parses_only_the_documented_format() {
        let token = ActToken::new();
        assert_eq!(ActToken::parse(token.as_str()), Ok(token.clone()));
        assert_ne!(ActToken::new(), token);
        assert_eq!(token.attempt_id(), ActToken::parse(token.as_str()).unwrap().attempt_id());
        let known = ActToken::parse("act_a1b2c3d4e5f6g7h8i9j0").unwrap();
        assert_eq!(known.hash(), "05d2a9d9780b8e4c46d1eca01428e796dccd7b2d7a76430dfe9bce43f5c8196c");
        assert_eq!(known.attempt_id().to_string(), "05d2a9d9-780b-8e4c-86d1-eca01428e796");
        assert_eq!(ActToken::parse(""), Err(Refusal::NoActionToken));
        let long = format!("{}x", token.as_str());
        for bad in ["act_hacker123", "act_", "act_a1b2c3d4e5f6g7h8i9j!", "ACT_a1b2c3d4e5f6g7h8i9j0", &long] {
            assert_eq!(ActToken::parse(bad), Err(Refusal::InvalidActionToken), "{bad}");
        }
    }
}
