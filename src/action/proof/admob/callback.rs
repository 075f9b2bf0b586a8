//! The query of AdMob's callback. Pure: read, then verified with a key, and only then can its values be seen.
//!
//! What Google signs is the percent-decoded text before `&signature=`, as its own verifier in Tink takes it; a test holds
//! this against a callback of Google's. Values are therefore read from the decoded text too. Reading the query first and
//! decoding each value would give whoever chose `custom_data` a second reading of the same signed text, with another
//! transaction or reward in it.

use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1, UnparsedPublicKey};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use percent_encoding::percent_decode_str;

use crate::error::FieldError;

/// Longer queries are refused unread.
const MAX_QUERY_BYTES: usize = 4096;
/// The ad unit and the transaction of the call by which AdMob's console tests a URL before it takes it.
const TEST_CALL: [(&str, &str); 2] = [("ad_unit", "1234567890"), ("transaction_id", "123456789")];

/// A query with a signature that nobody has verified yet.
#[derive(Debug)]
pub struct Unverified {
    content: String,
    signature: Vec<u8>,
    /// Which of Google's keys made the signature.
    pub key_id: u64,
}

/// What Google says: somebody watched an ad to its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Callback {
    /// What the client was told to hand in: it names the token.
    pub custom_data: String,
    /// One a view of an ad; a repeat is the same view again.
    pub transaction_id: String,
    /// Whom the client named, if anybody. It is the client's word alone.
    pub user_id: Option<String>,
    /// The ad unit, as AdMob numbers it.
    pub ad_unit: String,
    /// When the ad was watched: milliseconds since the Unix epoch, by Google's clock.
    pub timestamp_ms: i64,
    /// What the ad unit's reward is called.
    pub reward_item: String,
    /// And how much of it the ad unit gives.
    pub reward_amount: u64,
}

impl Unverified {
    /// Reads a raw query, as it came: `…&signature=…&key_id=…`, with nothing after.
    ///
    /// # Errors
    /// What is malformed.
    pub fn read(query: &str) -> Result<Self, FieldError> {
        if query.len() > MAX_QUERY_BYTES {
            return Err(FieldError::new("query", format!("must be at most {MAX_QUERY_BYTES} bytes")));
        }
        let (head, key_id) = query.rsplit_once("&key_id=").ok_or_else(|| missing("key_id"))?;
        let key_id = number(key_id).ok_or_else(|| FieldError::new("key_id", "must be a number, and last"))?;
        let (content, signature) = head.rsplit_once("&signature=").ok_or_else(|| missing("signature"))?;
        let signature = URL_SAFE_NO_PAD
            .decode(signature)
            .map_err(|_| FieldError::new("signature", "must be base64url, and last but one"))?;
        let content = percent_decode_str(content)
            .decode_utf8()
            .map_err(|_| FieldError::new("query", "must be UTF-8"))?
            .into_owned();
        Ok(Self { content, signature, key_id })
    }

    /// Verifies the signature with the key it names, an X.509 SubjectPublicKeyInfo, and gives what it stands for: see `Callback::read`.
    ///
    /// # Errors
    /// The signature does not verify, or what it signs is not a callback that can be read in one way alone.
    pub fn verify(self, key: &[u8]) -> Result<Option<Callback>, FieldError> {
        UnparsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, key)
            .verify(self.content.as_bytes(), &self.signature)
            .map_err(|_| unverifiable())?;
        Callback::read(&self.content)
    }
}

impl Callback {
    /// Reads the signed text. `None` for a call that names no token, or comes from the console to test the URL: it awards nothing, but
    /// Google wants it answered with 200.
    fn read(content: &str) -> Result<Option<Self>, FieldError> {
        let mut parameters = Vec::new();
        for piece in content.split('&') {
            let (name, value) = piece
                .split_once('=')
                .ok_or_else(|| FieldError::new("query", "must have names and values"))?;
            // These two belong behind the signed text.
            let known = parameters.iter().any(|(it, _)| *it == name);
            if known || ["signature", "key_id"].contains(&name) {
                return Err(FieldError::new("query", "must not have a parameter twice"));
            }
            parameters.push((name, value));
        }
        let find = |name| parameters.iter().find(|(it, _)| *it == name).map(|(_, value)| (*value).to_owned());
        let custom_data = find("custom_data").filter(|it| !it.is_empty());
        let is_test = TEST_CALL.iter().all(|(name, value)| find(name).as_deref() == Some(*value));
        let Some(custom_data) = custom_data.filter(|_| !is_test) else { return Ok(None) };
        let text = |name| find(name).ok_or_else(|| missing(name));
        let digits = |name| number(&text(name)?).ok_or_else(|| FieldError::new(name, "must be a number"));
        Ok(Some(Self {
            custom_data,
            transaction_id: text("transaction_id")?,
            user_id: find("user_id"),
            ad_unit: text("ad_unit")?,
            timestamp_ms: i64::try_from(digits("timestamp")?)
                .map_err(|_| FieldError::new("timestamp", "must be a moment"))?,
            reward_item: text("reward_item")?,
            reward_amount: digits("reward_amount")?,
        }))
    }
}

/// The signature is not one of a key that Google shows.
pub fn unverifiable() -> FieldError {
    FieldError::new("signature", "does not verify")
}

fn missing(name: &str) -> FieldError {
    FieldError::new(name, "is missing")
}

/// Digits alone: no sign, no blanks.
fn number(text: &str) -> Option<u64> {
    if text.bytes().all(|it| it.is_ascii_digit()) { text.parse().ok() } else { None }
}

#[cfg(test)]
mod tests;
