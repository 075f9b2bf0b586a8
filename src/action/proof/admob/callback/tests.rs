//! Callbacks, signed with a key of the test's own, and one that Google signed.

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

/// The query that Google would send for a decoded text, in an encoding of it.
fn signed(decoded: &str, encoded: &str) -> String {
    let signature = PAIR.sign(&SystemRandom::new(), decoded.as_bytes()).unwrap();
    format!("{encoded}&signature={}&key_id=42", URL_SAFE_NO_PAD.encode(signature))
}

fn verify(query: &str) -> Result<Option<Callback>, FieldError> {
    Unverified::read(query)?.verify(&public())
}

/// AdMob's console may send what an operator types for it, or not.
#[test]
fn a_call_without_a_token_or_from_the_console_awards_nothing() {
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
        assert_eq!(verify(&signed("", &content)), Err(unverifiable()), "{content}");
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
fn what_was_signed_is_told() {
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
    let unverified = Unverified::read(query).unwrap();
    assert_eq!(unverified.key_id, 3_335_741_209);
    // It is the console's test call.
    assert_eq!(unverified.verify(&STANDARD.decode(key).unwrap()), Ok(None));
}

#[test]
fn a_signed_text_has_one_reading() {
    // A player chose custom_data so that the signed text has a second transaction in it, and moves the escapes about.
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
fn what_is_missing_doubled_or_behind_is_refused() {
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
    assert_eq!(verify(&signed(PLAIN, &swapped)), Err(unverifiable()));
    assert!(verify(&signed(PLAIN, &format!("{PLAIN}{}", " ".repeat(MAX_QUERY_BYTES)))).is_err());
    for (right, wrong) in [("amount=5", "amount=-5"), ("timestamp=1", "timestamp=x"), ("amount=5", "amount=")]
    {
        let other = PLAIN.replace(right, wrong);
        assert!(verify(&signed(&other, &other)).is_err(), "{wrong}");
    }
}

proptest! {
    #[test]
    fn nothing_that_arrives_makes_it_panic(query in "(.|&signature=|&key_id=|[0-9A-Za-z_%=&-]){0,40}") {
        let _ = verify(&query);
        let _ = verify(&signed(&query, &query));
    }

    #[test]
    fn no_mutation_says_anything_else(at in any::<prop::sample::Index>(), put in "[ -~]{0,2}", cut in 0..3_usize) {
        let mut query = signed(PLAIN, PLAIN);
        let at = at.index(query.len());
        let end = (at + cut).min(query.len());
        query.replace_range(at..end, &put);
        // The same text in other escapes verifies, and means the same.
        prop_assert!(verify(&query).map_or(true, |it| it == Some(ada())), "{}", query);
    }
}
