//! Parses the query of an AdMob callback. Its values are accessible only after the signature is verified.
//!
//! Google signs the percent-decoded text before `&signature=`, as its verifier in Tink does; a test checks this with a real callback.
//! Values are therefore read from the decoded text too. Splitting the query first and decoding each value would let a player choose a
//! `custom_data` that gives the signed text a second meaning, with another transaction or reward.

use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1, UnparsedPublicKey};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use percent_encoding::percent_decode_str;

use crate::error::FieldError;

/// Longer queries are refused without parsing them.
const MAX_QUERY_BYTES: usize = 4096;
/// The ad unit and transaction of the test call that AdMob's console sends before it accepts a URL.
const TEST_CALL: [(&str, &str); 2] = [("ad_unit", "1234567890"), ("transaction_id", "123456789")];

/// A parsed query whose signature is not yet verified.
#[derive(Debug)]
pub struct UnverifiedCallback {
    content: String,
    signature: Vec<u8>,
    /// The id of the Google key that signed it.
    pub key_id: u64,
}

/// A verified callback: a player watched an ad to its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Callback {
    /// The anti-spam token that the client passed to AdMob.
    pub custom_data: String,
    /// The id of one ad view. Repeated callbacks have the same id.
    pub transaction_id: String,
    /// The user that the client named, if any. It is not trustworthy.
    pub user_id: Option<String>,
    /// The ad unit, as AdMob numbers it.
    pub ad_unit: String,
    /// When the ad was watched, in Unix ms by Google's clock.
    pub timestamp_ms: i64,
    /// The name of the ad unit's reward.
    pub reward_item: String,
    /// The amount of the ad unit's reward.
    pub reward_amount: u64,
}

impl UnverifiedCallback {
    /// Parses a raw query: `…&signature=…&key_id=…` and nothing after it.
    ///
    /// # Errors
    /// The first malformed field.
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

    /// Verifies the signature with an X.509 SubjectPublicKeyInfo and returns the callback, or `None` as `Callback::read` does.
    ///
    /// # Errors
    /// The signature is wrong, or the signed text is malformed or ambiguous.
    pub fn verify(self, key: &[u8]) -> Result<Option<Callback>, FieldError> {
        UnparsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, key)
            .verify(self.content.as_bytes(), &self.signature)
            .map_err(|_| bad_signature())?;
        Callback::read(&self.content)
    }
}

impl Callback {
    /// Reads the signed text. `None` for a test call of the console and for a callback without a token: Google expects status 200, but
    /// there is nothing to award.
    fn read(content: &str) -> Result<Option<Self>, FieldError> {
        let mut parameters = Vec::new();
        for piece in content.split('&') {
            let (name, value) = piece
                .split_once('=')
                .ok_or_else(|| FieldError::new("query", "must have names and values"))?;
            // `signature` and `key_id` follow the signed text.
            let is_known = parameters.iter().any(|(known, _)| *known == name);
            if is_known || ["signature", "key_id"].contains(&name) {
                return Err(FieldError::new("query", "must not have a parameter twice"));
            }
            parameters.push((name, value));
        }
        let find =
            |name| parameters.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned());
        let custom_data = find("custom_data").filter(|text| !text.is_empty());
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
                .map_err(|_| FieldError::new("timestamp", "must be a time in Unix ms"))?,
            reward_item: text("reward_item")?,
            reward_amount: digits("reward_amount")?,
        }))
    }
}

/// The error for a signature that no listed key made.
pub fn bad_signature() -> FieldError {
    FieldError::new("signature", "does not verify")
}

fn missing(name: &str) -> FieldError {
    FieldError::new(name, "is missing")
}

/// Parses digits only, without a sign or blanks.
fn number(text: &str) -> Option<u64> {
    if text.bytes().all(|byte| byte.is_ascii_digit()) { text.parse().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use std::sync::LazyLock;

    use aws_lc_rs::encoding::{AsDer, PublicKeyX509Der};
    use aws_lc_rs::rand::SystemRandom;
    use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair};
    use base64::engine::general_purpose::STANDARD;
    use proptest::prelude::*;

    use super::*;

    static PAIR: LazyLock<EcdsaKeyPair> =
        LazyLock::new(|| EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING).unwrap());

    const PLAIN: &str = "ad_network=54&ad_unit=12&custom_data=t1&reward_amount=5&reward_item=coins\
        &timestamp=1704449105007&transaction_id=ab12&user_id=ada";

    fn public() -> Vec<u8> {
        let der: PublicKeyX509Der<'_> = PAIR.public_key().as_der().unwrap();
        der.as_ref().to_vec()
    }

    /// The query that Google would send: it signs the decoded text and sends it encoded.
    fn signed(decoded: &str, encoded: &str) -> String {
        let signature = PAIR.sign(&SystemRandom::new(), decoded.as_bytes()).unwrap();
        format!("{encoded}&signature={}&key_id=42", URL_SAFE_NO_PAD.encode(signature))
    }

    fn verify(query: &str) -> Result<Option<Callback>, FieldError> {
        UnverifiedCallback::read(query)?.verify(&public())
    }

    /// AdMob's console sends `custom_data` and `user_id` only if the operator filled them in.
    #[test]
    fn test_calls_and_calls_without_a_token_award_nothing() {
        let test = "ad_network=5450213213286189855&ad_unit=1234567890&reward_amount=1&reward_item=Reward&timestamp=1&transaction_id=123456789";
        let without = PLAIN.replace("&custom_data=t1", "");
        for content in [
            test.to_owned(),
            format!("{test}&custom_data=t1"),
            format!("{test}&custom_data=t1&user_id=ada"),
            "ad_unit=1234567890&transaction_id=123456789".to_owned(),
            without.clone(),
            format!("{without}&custom_data="),
            without.replace("&reward_amount=5", ""),
            without.replace("timestamp=", "at="),
        ] {
            assert_eq!(verify(&signed(&content, &content)), Ok(None), "{content}");
            assert_eq!(verify(&signed("", &content)), Err(bad_signature()), "{content}");
        }
        for other in [PLAIN.replace("=12&", "=1234567890&"), PLAIN.replace("=ab12", "=123456789")] {
            assert!(verify(&signed(&other, &other)).unwrap().is_some(), "{other}");
        }
    }

    fn ada() -> Callback {
        Callback {
            custom_data: "t1".into(),
            transaction_id: "ab12".into(),
            user_id: Some("ada".into()),
            ad_unit: "12".into(),
            timestamp_ms: 1_704_449_105_007,
            reward_item: "coins".into(),
            reward_amount: 5,
        }
    }

    #[test]
    fn a_signed_callback_is_read() {
        assert_eq!(verify(&signed(PLAIN, PLAIN)), Ok(Some(ada())));
        let anonymous = PLAIN.replace("&user_id=ada", "");
        assert_eq!(verify(&signed(&anonymous, &anonymous)), Ok(Some(Callback { user_id: None, ..ada() })));
    }

    #[test]
    fn a_callback_that_google_signed_verifies() {
        let key = "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE+nzvoGqvDeB9+SzE6igTl7TyK4JBbglwir9oTcQta8NuG26ZpZFxt+F2NDk7asTE6/2Yc8i1ATcG\
            IqtuS5hv0Q==";
        let query = "ad_network=5450213213286189855&ad_unit=1234567890&custom_data=%7B%22SuperPowers%22%3A%205%7D&reward_amount=1\
            &reward_item=Battle%20Pass&timestamp=1624634818272&transaction_id=123456789&user_id=wNX0mXZaz5hEPWBE6StRdv4cmPk2\
            &signature=MEQCIDhLm6-M98N4YEhPE2owusFjXS1Z7RLagfGiiEqyGyDBAiARo3sevcsrTZEPV8ZG1xBwIiPpuSt4Ege5ZBwH9hyjbQ\
            &key_id=3335741209";
        let unverified = UnverifiedCallback::read(query).unwrap();
        assert_eq!(unverified.key_id, 3_335_741_209);
        // This is the console's test call.
        assert_eq!(unverified.verify(&STANDARD.decode(key).unwrap()), Ok(None));
    }

    #[test]
    fn ambiguous_text_is_refused() {
        // A player chose a custom_data that adds a second transaction to the signed text, and changes the escapes.
        let decoded = PLAIN.replace("=t1", "=t1&transaction_id=mine&x=");
        for encoded in [
            PLAIN.replace("=t1", "=t1%26transaction_id%3Dmine%26x%3D"),
            PLAIN
                .replace("=t1", "=t1&transaction_id=mine&x=")
                .replace("&transaction_id=ab12", "%26transaction_id%3Dab12"),
            decoded.clone(),
        ] {
            assert_eq!(verify(&signed(&decoded, &encoded)).unwrap_err().field, "query", "{encoded}");
        }
    }

    #[test]
    fn missing_repeated_and_trailing_parameters_are_refused() {
        let names = ["ad_unit", "reward_amount", "reward_item", "timestamp", "transaction_id"];
        for name in names {
            let other = PLAIN.replace(&format!("{name}="), &format!("{name}_="));
            assert_eq!(verify(&signed(&other, &other)).unwrap_err(), missing(name));
        }
        for name in names.into_iter().chain(["custom_data"]) {
            let doubled = format!("{PLAIN}&{name}=1");
            assert!(verify(&signed(&doubled, &doubled)).is_err(), "{name} twice");
        }
        for more in ["&signature=AAAA", "&key_id=1", "&nothing", "&"] {
            let longer = format!("{PLAIN}{more}");
            assert!(verify(&signed(&longer, &longer)).is_err(), "{more}");
        }
        let query = signed(PLAIN, PLAIN);
        for more in ["&user_id=eve", "&key_id=42", "&signature=AAAA", "#", " ", "="] {
            assert!(verify(&format!("{query}{more}")).is_err(), "{more}");
        }
        assert!(verify(&query.replace("&key_id=42", "")).is_err());
        assert!(verify(PLAIN).is_err());
        let swapped = PLAIN.replace("coins", "gems");
        assert_eq!(verify(&signed(PLAIN, &swapped)), Err(bad_signature()));
        assert!(verify(&signed(PLAIN, &format!("{PLAIN}{}", " ".repeat(MAX_QUERY_BYTES)))).is_err());
        for (right, wrong) in
            [("amount=5", "amount=-5"), ("timestamp=1", "timestamp=x"), ("amount=5", "amount=")]
        {
            let other = PLAIN.replace(right, wrong);
            assert!(verify(&signed(&other, &other)).is_err(), "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn no_query_causes_a_panic(query in "(.|&signature=|&key_id=|[0-9A-Za-z_%=&-]){0,40}") {
            let _ = verify(&query);
            let _ = verify(&signed(&query, &query));
        }

        #[test]
        fn a_mutated_query_never_changes_the_callback(at in any::<prop::sample::Index>(), put in "[ -~]{0,2}", cut in 0..3_usize) {
            let mut query = signed(PLAIN, PLAIN);
            let at = at.index(query.len());
            let end = (at + cut).min(query.len());
            query.replace_range(at..end, &put);
            // The same text with other escapes verifies and means the same.
            prop_assert!(verify(&query).map_or(true, |callback| callback == Some(ada())), "{}", query);
        }
    }
}
