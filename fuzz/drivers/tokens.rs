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

use super::split;

const SECRET: &str = "only for tests, only for tests, only for tests";
const NOW_S: i64 = 1_700_000_000;

struct Keys {
    auth: Auth,
    anti_spam: AntiSpamKeys,
    /// Valid tokens, which an attacker may know.
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
    let (header, claims) = split(data, b'\n');
    let default = format!("{{\"alg\":\"{algorithm:?}\"}}");
    let header = if header.is_empty() { default.as_bytes() } else { header };
    let parsed: Option<Value> = serde_json::from_slice(header).ok();
    let is_named = parsed.is_some_and(|header| header["alg"] == format!("{algorithm:?}"));
    (jws(header, claims, key, algorithm), is_named)
}

/// Changes a valid token: three bytes of an input are an index and the new byte. `None` if the result is the same or no text.
fn change(valid: &str, changes: &[u8]) -> Option<String> {
    let mut bytes = valid.as_bytes().to_vec();
    for change in changes.chunks_exact(3) {
        let index = usize::from(u16::from_le_bytes([change[0], change[1]])) % bytes.len();
        bytes[index] = change[2];
    }
    String::from_utf8(bytes).ok().filter(|text| text != valid)
}

/// Forgeries from an input: the input itself, and, after a zero byte, changes to a valid token.
fn forgeries(data: &[u8], valid: &str) -> impl Iterator<Item = String> {
    let plain = std::str::from_utf8(data).ok().map(str::to_owned);
    let changed = data.strip_prefix(&[0]).and_then(|changes| change(valid, changes));
    plain.into_iter().chain(changed)
}

pub fn login(data: &[u8]) {
    // New keys for each input, because keys cache tokens by text.
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
    let claims: Value = serde_json::from_slice(split(data, b'\n').1).unwrap();
    assert_eq!(claims["username"], identity.username);
    assert_eq!(claims["role"], identity.role);
    assert_eq!(
        (claims["id"].as_i64(), claims["exp"].as_f64().map(|seconds| seconds.floor() as i64)),
        (Some(identity.number), Some(identity.expires_at_s))
    );
    assert!(keys.read(&text, identity.expires_at_s).is_err(), "the login has expired");
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
    if let Ok(claims) = serde_json::from_slice::<AntiSpamClaims>(split(data, b'\n').1) {
        let signed = keys.sign(&claims).unwrap();
        if let Ok(read) = keys.read(&signed) {
            assert_eq!(read, claims);
        } else {
            // The library refuses times before 1970. Tokens over 2048 bytes are refused unread.
            assert!(claims.exp < 0 || claims.iat < 0 || signed.len() > 2048, "{claims:?}");
        }
    }
}

pub fn act_token(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let is_well_formed = text
        .strip_prefix("act_")
        .is_some_and(|id| id.len() == 20 && id.bytes().all(|byte| byte.is_ascii_alphanumeric()));
    match ActToken::parse(text) {
        Ok(token) => assert!(is_well_formed && token.as_str() == text),
        Err(_) => assert!(!is_well_formed),
    }
}
