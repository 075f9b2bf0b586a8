//! Data that others sign: attestations of game servers, AdMob callbacks.

use std::sync::LazyLock;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair};
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, EncodingKey};
use laurel::action::proof::signed::{ALGORITHMS, read};
use laurel::fuzzing::UnverifiedCallback;
use laurel::keyring::{KeyFile, KeyRing, LAST_SECOND};
use percent_encoding::percent_decode_str;
use serde_json::json;
use uuid::Uuid;

use super::tokens::signed;

const SECRET: &[u8] = b"a game server's secret, a game server's secret";
const USER: Uuid = Uuid::from_u128(7);

static RING: LazyLock<KeyRing> = LazyLock::new(|| {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("keys.json");
    let key = json!({ "kty": "oct", "kid": "a", "k": BASE64_URL_SAFE_NO_PAD.encode(SECRET) });
    std::fs::write(&path, json!({ "keys": [key] }).to_string()).unwrap();
    KeyRing::open("ads".into(), KeyFile::Jwks(path), ALGORITHMS).unwrap()
});

pub fn attestation(data: &[u8]) {
    if let Ok(text) = std::str::from_utf8(data) {
        assert_eq!(read(&RING, text, USER, "watch_ad", None), None);
    }
    let (text, is_named) = signed(data, &EncodingKey::from_secret(SECRET), Algorithm::HS256);
    let Some(it) = read(&RING, &text, USER, "watch_ad", None) else { return };
    assert!(is_named);
    assert!((1..=128).contains(&it.jti.len()) && it.jti.bytes().all(|it| it.is_ascii_graphic()));
    assert!(0 <= it.begins_at_s && it.begins_at_s < it.expires_at_s && it.expires_at_s <= LAST_SECOND);
    assert!(it.difficulty.as_ref().is_none_or(|it| (1..=50).contains(&it.len())));
    assert_eq!(read(&RING, &text, USER, "watch_ad", Some(&it.jti)), Some(it.clone()));
    assert_eq!(read(&RING, &text, USER, "watch_ad", Some("another")).is_some(), it.jti == "another");
    assert_eq!(read(&RING, &text, Uuid::nil(), "watch_ad", None), None, "another user's");
    assert_eq!(read(&RING, &text, USER, "another", None), None, "another action's");
}

static GOOGLE: LazyLock<(EcdsaKeyPair, Vec<u8>)> = LazyLock::new(|| {
    let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING).unwrap();
    let public = pair.public_key().as_ref().to_vec();
    (pair, public)
});

pub fn admob(data: &[u8]) {
    let Ok(query) = std::str::from_utf8(data) else { return };
    let (google, public) = &*GOOGLE;
    if let Ok(unverified) = UnverifiedCallback::read(query) {
        assert!(unverified.verify(public).is_err(), "{query}");
    }
    // Google signs the decoded text, which is also what is read.
    let Ok(plain) = percent_decode_str(query).decode_utf8() else { return };
    let signature = google.sign(&SystemRandom::new(), plain.as_bytes()).unwrap();
    let whole = format!("{query}&signature={}&key_id=7", BASE64_URL_SAFE_NO_PAD.encode(signature.as_ref()));
    let Ok(unverified) = UnverifiedCallback::read(&whole) else { return };
    assert_eq!(unverified.key_id, 7);
    let Ok(Some(callback)) = unverified.verify(public) else { return };
    // The signed text has one reading.
    let pieces: Vec<_> = plain.split('&').collect();
    for (name, value) in
        [("custom_data", &callback.custom_data), ("transaction_id", &callback.transaction_id)]
    {
        let named = || pieces.iter().filter(move |it| it.split_once('=').is_some_and(|it| it.0 == name));
        assert_eq!(named().count(), 1, "{plain}");
        assert_eq!(named().next().unwrap().split_once('=').unwrap().1, value);
    }
    assert!(callback.timestamp_ms >= 0);
}
