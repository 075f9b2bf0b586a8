//! The anti-spam token of the actions API: a JWT (RFC 7519) bound to user and action, signed with a key of its own.

use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::derive;
use crate::action::Challenge;
use crate::config;
use crate::error::{Fault, Refusal};

/// Longer tokens are refused unread; ours have about 400 bytes.
const MAX_BYTES: usize = 2048;

/// What a token says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AntiSpamClaims {
    /// Whose it is.
    pub sub: Uuid,
    /// The action's type.
    pub act: String,
    /// The token's and the action's id.
    pub jti: Uuid,
    /// When it was issued, by Redis' clock.
    pub iat: i64,
    /// When it runs out, rounded up to the second; Redis keeps the moment to the millisecond.
    pub exp: i64,
    /// What the proof will be held against.
    #[serde(default)]
    pub chl: Challenge,
}

/// The keys, derived from the login secrets by HKDF (RFC 5869): a login is no anti-spam token, nor the other way round.
pub struct AntiSpamKeys {
    sign: EncodingKey,
    verify: Vec<DecodingKey>,
    validation: Validation,
    secret: [u8; 32],
}

impl AntiSpamKeys {
    /// The newest secret signs, all verify.
    pub fn new(auth: &config::Auth) -> Self {
        let key = |secret: &str| derive(secret, b"anti-spam token");
        let newest = key(auth.jwt_secret.expose());
        let mut validation = Validation::new(Algorithm::HS256);
        // Whether it has run out, Redis says.
        validation.validate_exp = false;
        let previous = auth.previous_jwt_secrets.iter().map(|it| key(it.expose()));
        Self {
            sign: EncodingKey::from_secret(&newest),
            validation,
            secret: derive(auth.jwt_secret.expose(), b"order of questions"),
            verify: std::iter::once(newest).chain(previous).map(|it| DecodingKey::from_secret(&it)).collect(),
        }
    }

    /// Signs a token.
    ///
    /// # Errors
    /// The claims cannot be written as JSON.
    pub fn sign(&self, claims: &AntiSpamClaims) -> Result<String, Fault> {
        jsonwebtoken::encode(&Header::new(Algorithm::HS256), claims, &self.sign)
            .map_err(|error| Fault::new("sign an anti-spam token", error))
    }

    /// A secret of its own for what players must not foresee.
    pub fn secret(&self) -> &[u8] {
        &self.secret
    }

    /// Reads a token. Whose it is, is left to the caller; whether it has run out, to Redis.
    ///
    /// # Errors
    /// Missing; or malformed or forged, without saying which.
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
        config.auth.previous_jwt_secrets = previous.iter().map(|it| (*it).to_owned().into()).collect();
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
    fn a_token_says_whose_it_is() {
        let user = Uuid::from_u128(1);
        let keys = keys(NEW, &[]);
        let token = keys.sign(&claims(user)).unwrap();
        assert_eq!(keys.read(&token).unwrap(), claims(user));
        assert_eq!(keys.read(""), Err(Refusal::NoActionToken));
    }

    #[test]
    fn rotated_keys_verify_and_dropped_ones_do_not() {
        let user = Uuid::from_u128(1);
        let token = keys(OLD, &[]).sign(&claims(user)).unwrap();
        assert!(keys(NEW, &[OLD]).read(&token).is_ok());
        assert!(keys(NEW, &[]).read(&token).is_err());
    }

    #[test]
    fn the_login_key_and_unsigned_tokens_are_refused() {
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
