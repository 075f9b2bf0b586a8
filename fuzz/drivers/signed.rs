//! Data that other systems sign: attestations of game servers, AdMob callbacks.

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
    let Some(attestation) = read(&RING, &text, USER, "watch_ad", None) else { return };
    assert!(is_named);
    assert!(
        (1..=128).contains(&attestation.jti.len())
            && attestation.jti.bytes().all(|byte| byte.is_ascii_graphic())
    );
    assert!(
        0 <= attestation.begins_at_s
            && attestation.begins_at_s < attestation.expires_at_s
            && attestation.expires_at_s <= LAST_SECOND
    );
    assert!(attestation.difficulty.as_ref().is_none_or(|name| (1..=50).contains(&name.len())));
    assert_eq!(read(&RING, &text, USER, "watch_ad", Some(&attestation.jti)), Some(attestation.clone()));
    assert_eq!(read(&RING, &text, USER, "watch_ad", Some("another")).is_some(), attestation.jti == "another");
    assert_eq!(read(&RING, &text, Uuid::nil(), "watch_ad", None), None, "the attestation of another user");
    assert_eq!(read(&RING, &text, USER, "another", None), None, "the attestation of another action");
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
    // Google signs the decoded text, and Laurel reads the decoded text.
    let Ok(plain) = percent_decode_str(query).decode_utf8() else { return };
    let signature = google.sign(&SystemRandom::new(), plain.as_bytes()).unwrap();
    let signed_query =
        format!("{query}&signature={}&key_id=7", BASE64_URL_SAFE_NO_PAD.encode(signature.as_ref()));
    let Ok(unverified) = UnverifiedCallback::read(&signed_query) else { return };
    assert_eq!(unverified.key_id, 7);
    let Ok(Some(callback)) = unverified.verify(public) else { return };
    // The signed text has each field once.
    let fields: Vec<_> = plain.split('&').collect();
    for (name, value) in
        [("custom_data", &callback.custom_data), ("transaction_id", &callback.transaction_id)]
    {
        let matching =
            || fields.iter().filter(move |field| field.split_once('=').is_some_and(|pair| pair.0 == name));
        assert_eq!(matching().count(), 1, "{plain}");
        assert_eq!(matching().next().unwrap().split_once('=').unwrap().1, value);
    }
    assert!(callback.timestamp_ms >= 0);
}
