//! Logins, anti-spam tokens and `act_` tokens: nothing is accepted without our key, and signed claims are read as written.

use std::sync::LazyLock;

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, EncodingKey};
use laurel::account::{LoginKeys, User};
use laurel::config::Auth;
use laurel::token::{ActToken, AntiSpamClaims, AntiSpamKeys};
use serde_json::Value;
use uuid::Uuid;

use super::halves;

const SECRET: &str = "only for tests, only for tests, only for tests";
const NOW_S: i64 = 1_700_000_000;

struct Keys {
    auth: Auth,
    anti_spam: AntiSpamKeys,
    /// Valid tokens, as an attacker may have seen them.
    login: String,
    token: String,
}

static KEYS: LazyLock<Keys> = LazyLock::new(|| {
    let auth = laurel::config::load([("JWT_SECRET".into(), SECRET.into())]).unwrap().auth;
    let user = User { id: Uuid::nil(), number: 1, username: "ada".into(), role: "player".into(), score: 0 };
    let login = LoginKeys::new(&auth, Uuid::nil()).sign(&user, NOW_S).unwrap();
    let claims = AntiSpamClaims {
        sub: Uuid::nil(),
        act: "watch_ad".into(),
        jti: Uuid::nil(),
        iat: NOW_S,
        exp: NOW_S + 30,
        chl: Default::default(),
    };
    let anti_spam = AntiSpamKeys::new(&auth);
    let token = anti_spam.sign(&claims).unwrap();
    Keys { auth, anti_spam, login, token }
});

/// A compact JWS (RFC 7515) with any header and claims.
pub fn jws(header: &[u8], claims: &[u8], key: &EncodingKey, algorithm: Algorithm) -> String {
    let encode = |it| BASE64_URL_SAFE_NO_PAD.encode(it);
    let signed = format!("{}.{}", encode(header), encode(claims));
    let signature = jsonwebtoken::crypto::sign(signed.as_bytes(), key, algorithm).unwrap();
    format!("{signed}.{signature}")
}

/// A token with the first line as header and the rest as claims, and whether the header names this algorithm.
pub fn signed(data: &[u8], key: &EncodingKey, algorithm: Algorithm) -> (String, bool) {
    let (header, claims) = halves(data, b'\n');
    let plain = format!("{{\"alg\":\"{algorithm:?}\"}}");
    let header = if header.is_empty() { plain.as_bytes() } else { header };
    let named: Option<Value> = serde_json::from_slice(header).ok();
    let is_named = named.is_some_and(|it| it["alg"] == format!("{algorithm:?}"));
    (jws(header, claims, key, algorithm), is_named)
}

/// A valid token with changes: each three bytes are an index and the new byte.
fn changed(valid: &str, changes: &[u8]) -> Option<String> {
    let mut bytes = valid.as_bytes().to_vec();
    for change in changes.chunks_exact(3) {
        let index = usize::from(u16::from_le_bytes([change[0], change[1]])) % bytes.len();
        bytes[index] = change[2];
    }
    String::from_utf8(bytes).ok().filter(|it| it != valid)
}

/// Forgeries from an input: the input itself, and, after a zero byte, changes to a token that the attacker has seen.
fn forgeries(data: &[u8], seen: &str) -> impl Iterator<Item = String> {
    let plain = std::str::from_utf8(data).ok().map(str::to_owned);
    let changed = data.strip_prefix(&[0]).and_then(|changes| changed(seen, changes));
    plain.into_iter().chain(changed)
}

pub fn login(data: &[u8]) {
    // New keys for each input, because they cache tokens by text.
    let keys = LoginKeys::new(&KEYS.auth, Uuid::nil());
    for text in forgeries(data, &KEYS.login) {
        assert!(keys.read(&text, NOW_S).is_err(), "{text}");
    }
    assert!(keys.read(&KEYS.token, NOW_S).is_err(), "an anti-spam token is no login");
    let (text, is_named) = signed(data, &EncodingKey::from_secret(SECRET.as_bytes()), Algorithm::HS256);
    let read = keys.read(&text, NOW_S);
    assert_eq!(read, keys.read(&text, NOW_S), "the cached result is the same");
    let Ok(identity) = read else { return };
    assert!(is_named && NOW_S < identity.expires_at_s);
    assert!(!identity.username.chars().any(char::is_control));
    let claims: Value = serde_json::from_slice(halves(data, b'\n').1).unwrap();
    assert_eq!(claims["username"], identity.username);
    assert_eq!(claims["role"], identity.role);
    assert_eq!(
        (claims["id"].as_i64(), claims["exp"].as_f64().map(|it| it.floor() as i64)),
        (Some(identity.number), Some(identity.expires_at_s))
    );
    assert!(keys.read(&text, identity.expires_at_s).is_err(), "it has expired");
}

pub fn anti_spam(data: &[u8]) {
    let keys = &KEYS.anti_spam;
    for text in forgeries(data, &KEYS.token) {
        assert!(keys.read(&text).is_err(), "{text}");
    }
    // The key of logins does not sign these tokens.
    let (text, _) = signed(data, &EncodingKey::from_secret(SECRET.as_bytes()), Algorithm::HS256);
    assert!(keys.read(&text).is_err());
    // Claims signed by our key round-trip.
    if let Ok(claims) = serde_json::from_slice::<AntiSpamClaims>(halves(data, b'\n').1) {
        let signed = keys.sign(&claims).unwrap();
        if let Ok(read) = keys.read(&signed) {
            assert_eq!(read, claims);
        } else {
            // The library refuses times before 1970; too long tokens are refused unread.
            assert!(claims.exp < 0 || claims.iat < 0 || signed.len() > 2048, "{claims:?}");
        }
    }
}

pub fn act_token(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let is_one = text
        .strip_prefix("act_")
        .is_some_and(|it| it.len() == 20 && it.bytes().all(|it| it.is_ascii_alphanumeric()));
    match ActToken::parse(text) {
        Ok(token) => assert!(is_one && token.as_str() == text),
        Err(_) => assert!(!is_one),
    }
}
