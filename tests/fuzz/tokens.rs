//! Tokens: a changed token or any other text is refused.

use jsonwebtoken::Algorithm;
use laurel::account::{Identity, LoginKeys, User, UserRef};
use laurel::action::Challenge;
use laurel::config::Auth;
use laurel::keyring::{KeyFile, KeyRing};
use laurel::token::{ActToken, AntiSpamClaims, AntiSpamKeys};
use proptest::prelude::*;
use serde_json::{Value, json};
use uuid::Uuid;

use super::change::{Change, apply, changes};
use super::fuzz;
use crate::harness::{Signer, jwks};

const NOW_S: i64 = 1000;

fn login_keys(deployment: u128) -> LoginKeys {
    LoginKeys::new(&auth_config(), Uuid::from_u128(deployment))
}

fn auth_config() -> Auth {
    let secret = "only for tests, only for tests, only for tests";
    laurel::config::load([("JWT_SECRET".into(), secret.into())]).unwrap().auth
}

/// Any text, and texts that look like a JWS.
fn texts() -> impl Strategy<Value = String> {
    let part = || prop_oneof![3 => "[A-Za-z0-9_-]{0,60}", 1 => "\\PC{0,20}"];
    prop_oneof![
        ".{0,300}",
        (part(), part(), part())
            .prop_map(|(header, claims, signature)| format!("{header}.{claims}.{signature}")),
        (0..6_usize, "[A-Za-z0-9+/=_-]{0,80}")
            .prop_map(|(header, rest)| format!("{}.{rest}", HEADERS[header])),
    ]
}

/// Encoded headers with `alg` none, None, HS256, HS512 and RS256, and `{}`.
const HEADERS: [&str; 6] = [
    "eyJhbGciOiJub25lIn0",
    "eyJhbGciOiJOb25lIn0",
    "eyJhbGciOiJIUzI1NiJ9",
    "eyJhbGciOiJIUzUxMiJ9",
    "eyJhbGciOiJSUzI1NiJ9",
    "e30",
];

/// Checks that only the valid tokens are accepted, among changed tokens and other texts.
fn assert_rejects_others(valid: [String; 2], accepts: impl Fn(&str) -> bool) {
    assert!(accepts(&valid[0]));
    let is_valid = |text: &str| text == valid[0] || text == valid[1] && accepts(&valid[1]);
    let check = |text: &str| {
        prop_assert_eq!(accepts(text), is_valid(text), "{}", text);
        Ok(())
    };
    fuzz(4.0, changes(), |changes: Vec<Change>| {
        let bytes = apply(valid[0].as_bytes(), valid[1].as_bytes(), &changes);
        String::from_utf8(bytes).map_or(Ok(()), |text| check(&text))
    });
    fuzz(4.0, texts(), |text| check(&text));
}

fn login_token(number: i64) -> String {
    let user =
        User { id: Uuid::from_u128(7), number, username: "ada".into(), role: "player".into(), score: 0 };
    login_keys(1).sign(&user, NOW_S).unwrap()
}

fn anti_spam_token(action: &str) -> String {
    let claims = AntiSpamClaims {
        sub: Uuid::from_u128(7),
        act: action.into(),
        jti: Uuid::from_u128(8),
        iat: NOW_S,
        exp: NOW_S + 30,
        chl: Challenge::default(),
    };
    AntiSpamKeys::new(&auth_config()).sign(&claims).unwrap()
}

#[test]
fn changed_logins_are_refused() {
    let keys = login_keys(1);
    let accepts = |text: &str| keys.read(text, NOW_S).is_ok();
    assert_rejects_others([login_token(1), login_token(2)], accepts);
    assert_rejects_others([login_token(1), anti_spam_token("watch_ad")], accepts);
}

#[test]
fn changed_anti_spam_tokens_are_refused() {
    let keys = AntiSpamKeys::new(&auth_config());
    let accepts = |text: &str| keys.read(text).is_ok();
    assert_rejects_others([anti_spam_token("watch_ad"), anti_spam_token("solve_puzzle")], accepts);
    assert_rejects_others([anti_spam_token("watch_ad"), login_token(1)], accepts);
}

#[test]
fn signed_claims_round_trip() {
    let (logins, tokens) = (login_keys(1), AntiSpamKeys::new(&auth_config()));
    // The library ignores times before 1970, and Laurel never signs one.
    fuzz(1.0, (".{0,100}", 0..=i64::MAX, 0..=i64::MAX), |(text, issued_at_s, expires_at_s)| {
        let user =
            User { id: Uuid::nil(), number: issued_at_s, username: text, role: "player".into(), score: 0 };
        let signed = logins.sign(&user, expires_at_s.saturating_sub(86_400).max(i64::MIN / 2)).unwrap();
        let read: Option<Identity> = logins.read(&signed, issued_at_s).ok();
        prop_assert!(read.is_none_or(|identity| issued_at_s < identity.expires_at_s));
        let claims = AntiSpamClaims {
            sub: user.id,
            act: user.username,
            jti: Uuid::max(),
            iat: issued_at_s,
            exp: expires_at_s,
            chl: Challenge::default(),
        };
        prop_assert_eq!(tokens.read(&tokens.sign(&claims).unwrap()), Ok(claims));
        Ok(())
    });
}

#[test]
fn changed_provider_tokens_are_refused() {
    for algorithm in [Algorithm::EdDSA, Algorithm::ES256, Algorithm::RS256] {
        let signer = Signer::new(algorithm, "a");
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("keys.json");
        std::fs::write(&path, jwks(&[&signer])).unwrap();
        let allowed = &[Algorithm::EdDSA, Algorithm::ES256, Algorithm::RS256];
        let ring = KeyRing::open("a ring".into(), KeyFile::Jwks(path), allowed).unwrap();
        let tokens = ["ada", "eve"].map(|user| signer.sign(&json!({ "sub": user, "exp": 1 })));
        assert_rejects_others(tokens, |text| ring.verify::<Value>(text).is_some());
    }
}

#[test]
fn malformed_act_tokens_are_refused() {
    let token = ActToken::new();
    let is_well_formed = |text: &str| {
        text.strip_prefix("act_")
            .is_some_and(|id| id.len() == 20 && id.bytes().all(|byte| byte.is_ascii_alphanumeric()))
    };
    let check = |text: &str| {
        let read = ActToken::parse(text);
        prop_assert_eq!(read.is_ok(), is_well_formed(text));
        prop_assert!(read.is_ok_and(|read| read == token) == (text == token.as_str()));
        Ok(())
    };
    fuzz(4.0, changes(), |changes| {
        let bytes = apply(token.as_str().as_bytes(), b"act_", &changes);
        String::from_utf8(bytes).map_or(Ok(()), |text| check(&text))
    });
    fuzz(4.0, prop_oneof![".{0,40}", "act_[A-Za-z0-9]{18,22}"], |text| check(&text));
}

#[test]
fn a_user_reference_is_a_number_an_id_or_a_name() {
    let numbers = any::<i128>().prop_map(|number| number.to_string());
    let ids = any::<u128>().prop_map(|id| Uuid::from_u128(id).to_string());
    fuzz(4.0, prop_oneof![".{0,60}", "[0-9+-]{0,25}", numbers, ids], |text| {
        match UserRef::parse(&text) {
            Ok(UserRef::Number(number)) => {
                prop_assert!(number > 0 && text.trim_start_matches('0') == number.to_string());
            }
            Ok(UserRef::Id(id)) => prop_assert_eq!(text.parse::<Uuid>().unwrap(), id),
            Ok(UserRef::Name(name)) => prop_assert!(name.as_str() == text && text.parse::<u128>().is_err()),
            Err(_) => {
                prop_assert!(text.starts_with('+') || text.parse::<i64>().map_or(true, |number| number <= 0));
                prop_assert!(text.parse::<Uuid>().is_err());
            }
        }
        Ok(())
    });
}
