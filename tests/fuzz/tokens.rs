//! Tokens: no changed token and no other text is valid.

use jsonwebtoken::Algorithm;
use laurel::account::{Identity, LoginKeys, User, UserRef};
use laurel::action::Challenge;
use laurel::config::Auth;
use laurel::keyring::{KeyFile, KeyRing};
use laurel::token::{ActToken, AntiSpamClaims, AntiSpamKeys};
use proptest::prelude::*;
use serde_json::{Value, json};
use uuid::Uuid;

use super::change::{Change, changed, changes};
use super::fuzz;
use crate::harness::{Signer, jwks};

const NOW_S: i64 = 1000;

fn logins_of(deployment: u128) -> LoginKeys {
    LoginKeys::new(&auth(), Uuid::from_u128(deployment))
}

fn auth() -> Auth {
    let secret = "only for tests, only for tests, only for tests";
    laurel::config::load([("JWT_SECRET".into(), secret.into())]).unwrap().auth
}

/// Any text, and texts that look like a JWS.
fn texts() -> impl Strategy<Value = String> {
    let part = || prop_oneof![3 => "[A-Za-z0-9_-]{0,60}", 1 => "\\PC{0,20}"];
    prop_oneof![
        ".{0,300}",
        (part(), part(), part()).prop_map(|(one, two, three)| format!("{one}.{two}.{three}")),
        (0..6_usize, "[A-Za-z0-9+/=_-]{0,80}")
            .prop_map(|(header, rest)| format!("{}.{rest}", HEADERS[header])),
    ]
}

/// `alg` none, None, HS256, HS512, RS256, and `{}`.
const HEADERS: [&str; 6] = [
    "eyJhbGciOiJub25lIn0",
    "eyJhbGciOiJOb25lIn0",
    "eyJhbGciOiJIUzI1NiJ9",
    "eyJhbGciOiJIUzUxMiJ9",
    "eyJhbGciOiJSUzI1NiJ9",
    "e30",
];

/// Checks that a reader accepts no changed token, unless it equals a valid one, and no other text.
fn assert_rejects_others(valid: [String; 2], reads: impl Fn(&str) -> bool) {
    assert!(reads(&valid[0]));
    let is_valid = |text: &str| text == valid[0] || text == valid[1] && reads(&valid[1]);
    let check = |text: &str| {
        prop_assert_eq!(reads(text), is_valid(text), "{}", text);
        Ok(())
    };
    fuzz(4.0, changes(), |changes: Vec<Change>| {
        let bytes = changed(valid[0].as_bytes(), valid[1].as_bytes(), &changes);
        String::from_utf8(bytes).map_or(Ok(()), |text| check(&text))
    });
    fuzz(4.0, texts(), |text| check(&text));
}

fn login(number: i64) -> String {
    let user =
        User { id: Uuid::from_u128(7), number, username: "ada".into(), role: "player".into(), score: 0 };
    logins_of(1).sign(&user, NOW_S).unwrap()
}

fn anti_spam(action: &str) -> String {
    let claims = AntiSpamClaims {
        sub: Uuid::from_u128(7),
        act: action.into(),
        jti: Uuid::from_u128(8),
        iat: NOW_S,
        exp: NOW_S + 30,
        chl: Challenge::default(),
    };
    AntiSpamKeys::new(&auth()).sign(&claims).unwrap()
}

#[test]
fn logins() {
    let keys = logins_of(1);
    let reads = |text: &str| keys.read(text, NOW_S).is_ok();
    assert_rejects_others([login(1), login(2)], reads);
    assert_rejects_others([login(1), anti_spam("watch_ad")], reads);
}

#[test]
fn anti_spam_tokens() {
    let keys = AntiSpamKeys::new(&auth());
    let reads = |text: &str| keys.read(text).is_ok();
    assert_rejects_others([anti_spam("watch_ad"), anti_spam("solve_puzzle")], reads);
    assert_rejects_others([anti_spam("watch_ad"), login(1)], reads);
}

#[test]
fn reading_any_claims_does_not_panic() {
    let (logins, tokens) = (logins_of(1), AntiSpamKeys::new(&auth()));
    // The library ignores times before 1970; nothing is signed with one.
    fuzz(1.0, (".{0,100}", 0..=i64::MAX, 0..=i64::MAX), |(text, issued_at_s, expires_at_s)| {
        let user =
            User { id: Uuid::nil(), number: issued_at_s, username: text, role: "player".into(), score: 0 };
        let signed = logins.sign(&user, expires_at_s.saturating_sub(86_400).max(i64::MIN / 2)).unwrap();
        let read: Option<Identity> = logins.read(&signed, issued_at_s).ok();
        prop_assert!(read.is_none_or(|it| issued_at_s < it.expires_at_s));
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
fn tokens_of_identity_providers() {
    for algorithm in [Algorithm::EdDSA, Algorithm::ES256, Algorithm::RS256] {
        let signer = Signer::new(algorithm, "a");
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("keys.json");
        std::fs::write(&path, jwks(&[&signer])).unwrap();
        let allowed = &[Algorithm::EdDSA, Algorithm::ES256, Algorithm::RS256];
        let ring = KeyRing::open("a ring".into(), KeyFile::Jwks(path), allowed).unwrap();
        let tokens = ["ada", "eve"].map(|it| signer.sign(&json!({ "sub": it, "exp": 1 })));
        assert_rejects_others(tokens, |text| ring.verify::<Value>(text).is_some());
    }
}

#[test]
fn act_tokens() {
    let token = ActToken::new();
    let is_one = |text: &str| {
        text.strip_prefix("act_")
            .is_some_and(|it| it.len() == 20 && it.bytes().all(|it| it.is_ascii_alphanumeric()))
    };
    let check = |text: &str| {
        let read = ActToken::parse(text);
        prop_assert_eq!(read.is_ok(), is_one(text));
        prop_assert!(read.is_ok_and(|it| it == token) == (text == token.as_str()));
        Ok(())
    };
    fuzz(4.0, changes(), |changes| {
        let bytes = changed(token.as_str().as_bytes(), b"act_", &changes);
        String::from_utf8(bytes).map_or(Ok(()), |text| check(&text))
    });
    fuzz(4.0, prop_oneof![".{0,40}", "act_[A-Za-z0-9]{18,22}"], |text| check(&text));
}

#[test]
fn users_in_paths() {
    let numbers = any::<i128>().prop_map(|it| it.to_string());
    let ids = any::<u128>().prop_map(|it| Uuid::from_u128(it).to_string());
    fuzz(4.0, prop_oneof![".{0,60}", "[0-9+-]{0,25}", numbers, ids], |text| {
        match UserRef::parse(&text) {
            Ok(UserRef::Number(number)) => {
                prop_assert!(number > 0 && text.trim_start_matches('0') == number.to_string());
            }
            Ok(UserRef::Id(id)) => prop_assert_eq!(text.parse::<Uuid>().unwrap(), id),
            Ok(UserRef::Name(name)) => prop_assert!(name.as_str() == text && text.parse::<u128>().is_err()),
            Err(_) => {
                prop_assert!(text.starts_with('+') || text.parse::<i64>().map_or(true, |it| it <= 0));
                prop_assert!(text.parse::<Uuid>().is_err());
            }
        }
        Ok(())
    });
}
