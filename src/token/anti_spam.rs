//! The anti-spam token of the actions API: a JWT (RFC 7519) that names a user and an action, signed with a key derived for it.

use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::action::Challenge;
use crate::config;
use crate::crypto::derive_key;
use crate::error::{Fault, Refusal};

/// Longer tokens are refused without parsing them; ours have about 400 bytes.
const MAX_BYTES: usize = 2048;

/// The claims of an anti-spam token.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AntiSpamClaims {
    /// The user's id.
    pub sub: Uuid,
    /// The action's type.
    pub act: String,
    /// The id of the token and of its attempt.
    pub jti: Uuid,
    /// When it was issued: Unix time in seconds, by Redis' clock.
    pub iat: i64,
    /// When it expires: Unix time in seconds, rounded up. Redis stores the exact millisecond.
    pub exp: i64,
    /// The challenge that the proof has to answer.
    #[serde(default)]
    pub chl: Challenge,
}

/// Keys derived from the login secrets, so that a login JWT never verifies as an anti-spam token, or the reverse.
pub struct AntiSpamKeys {
    sign: EncodingKey,
    verify: Vec<DecodingKey>,
    validation: Validation,
    quiz_secret: [u8; 32],
}

impl AntiSpamKeys {
    /// Derives the keys. The newest login secret signs, all of them verify.
    pub fn new(auth: &config::Auth) -> Self {
        let key = |secret: &str| derive_key(secret, b"anti-spam token");
        let newest = key(auth.jwt_secret.expose());
        let mut validation = Validation::new(Algorithm::HS256);
        // Redis checks the expiry by its own clock.
        validation.validate_exp = false;
        let previous = auth.previous_jwt_secrets.iter().map(|secret| key(secret.expose()));
        Self {
            sign: EncodingKey::from_secret(&newest),
            validation,
            quiz_secret: derive_key(auth.jwt_secret.expose(), b"order of questions"),
            verify: std::iter::once(newest)
                .chain(previous)
                .map(|key| DecodingKey::from_secret(&key))
                .collect(),
        }
    }

    /// Signs a token.
    ///
    /// # Errors
    /// The claims cannot be serialized.
    pub fn sign(&self, claims: &AntiSpamClaims) -> Result<String, Fault> {
        jsonwebtoken::encode(&Header::new(Algorithm::HS256), claims, &self.sign)
            .map_err(|error| Fault::new("sign_anti_spam_token", error))
    }

    /// The derived secret that makes the order of quiz questions unpredictable.
    pub fn quiz_secret(&self) -> &[u8] {
        &self.quiz_secret
    }

    /// Verifies a token's signature and returns its claims. The caller checks the user, Redis checks the expiry.
    ///
    /// # Errors
    /// `NoActionToken` if the text is empty, `InvalidActionToken` if it is malformed or forged.
    pub fn read(&self, token: &str) -> Result<AntiSpamClaims, Refusal> {
        if token.is_empty() {
            return Err(Refusal::NoActionToken);
        }
        if token.len() > MAX_BYTES {
            return Err(Refusal::InvalidActionToken);
        }
        let read = |key| jsonwebtoken::decode::<AntiSpamClaims>(token, key, &self.validation).ok();
        self.verify.iter().find_map(read).map(|data| data.claims).ok_or(Refusal::InvalidActionToken)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(newest: &str, previous: &[&str]) -> AntiSpamKeys {
        let mut config = crate::config::load([("JWT_SECRET".into(), newest.into())]).unwrap();
        config.auth.previous_jwt_secrets =
            previous.iter().map(|secret| (*secret).to_owned().into()).collect();
        AntiSpamKeys::new(&config.auth)
    }

    const OLD: &str = "an old secret, an old secret, an old one";
    const NEW: &str = "a new secret, a new secret, a new secret";

    fn claims(user: Uuid) -> AntiSpamClaims {
        AntiSpamClaims {
            sub: user,
            act: "watch_ad".into(),
            jti: Uuid::from_u128(7),
            iat: 1,
            exp: 31,
            chl: Challenge::default(),
        }
    }

    #[test]
    fn a_signed_token_is_read_back() {
        let user = Uuid::from_u128(1);
        let keys = keys(NEW, &[]);
        let token = keys.sign(&claims(user)).unwrap();
        assert_eq!(keys.read(&token).unwrap(), claims(user));
        assert_eq!(keys.read(""), Err(Refusal::NoActionToken));
    }

    #[test]
    fn previous_keys_verify_and_removed_ones_do_not() {
        let user = Uuid::from_u128(1);
        let token = keys(OLD, &[]).sign(&claims(user)).unwrap();
        assert!(keys(NEW, &[OLD]).read(&token).is_ok());
        assert!(keys(NEW, &[]).read(&token).is_err());
    }

    #[test]
    fn refuses_the_login_key_and_unsigned_tokens() {
        let user = Uuid::from_u128(1);
        let login = EncodingKey::from_secret(NEW.as_bytes());
        let forged = jsonwebtoken::encode(&Header::new(Algorithm::HS256), &claims(user), &login).unwrap();
        assert!(keys(NEW, &[]).read(&forged).is_err());

        let signed = keys(NEW, &[]).sign(&claims(user)).unwrap();
        let payload = signed.split('.').nth(1).unwrap();
        // {"alg":"none","typ":"JWT"}
        assert!(keys(NEW, &[]).read(&format!("eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0.{payload}.")).is_err());
        for cut in 0..signed.len() {
            assert!(keys(NEW, &[]).read(&signed[..cut]).is_err());
        }
    }
}
