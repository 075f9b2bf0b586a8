//! Logins: JWTs (RFC 7519) signed with HS256. The key is found by `kid`, the algorithm is ours; neither is the token's.

use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::User;
use super::lately::Lately;
use crate::config;
use crate::error::{Fault, Refusal};
use crate::token::sha256_hex;

/// Longer tokens are refused unread; ours have about 350 bytes.
const MAX_BYTES: usize = 4096;

/// Who calls, as a verified login says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// The user's UUID.
    #[serde(rename = "sub")]
    pub user: Uuid,
    /// The user's serial number.
    #[serde(rename = "id")]
    pub number: i64,
    /// The name that boards show.
    pub username: String,
    /// `player` or `admin`.
    pub role: String,
    /// When the login was made.
    #[serde(rename = "iat")]
    pub issued_at_s: i64,
    /// When it runs out.
    #[serde(rename = "exp")]
    pub expires_at_s: i64,
}

/// The keys that sign and verify logins.
pub struct LoginKeys {
    sign: EncodingKey,
    header: Header,
    /// Newest first, each with its `kid`.
    verify: Vec<(String, DecodingKey)>,
    validation: Validation,
    life_s: i64,
    /// What was read lately, whole text by whole text: whoever plays shows the same login again and again, and the keys that
    /// verified it do not change while a node runs. Only whether it has run out is judged each time.
    read: Lately<String, Identity>,
}

impl LoginKeys {
    /// The newest secret signs, all verify.
    pub fn new(auth: &config::Auth) -> Self {
        let secrets = std::iter::once(&auth.jwt_secret).chain(&auth.previous_jwt_secrets);
        let verify: Vec<_> = secrets
            .map(|it| it.expose().as_bytes())
            .map(|secret| (kid(secret), DecodingKey::from_secret(secret)))
            .collect();
        let mut header = Header::new(Algorithm::HS256);
        header.kid = Some(verify[0].0.clone());
        let mut validation = Validation::new(Algorithm::HS256);
        // Whether it has run out is judged by a clock that is passed in.
        validation.validate_exp = false;
        Self {
            sign: EncodingKey::from_secret(auth.jwt_secret.expose().as_bytes()),
            header,
            verify,
            validation,
            life_s: i64::from(auth.jwt_hours) * 3600,
            read: Lately::default(),
        }
    }

    /// Signs a login that begins now.
    ///
    /// # Errors
    /// The claims cannot be written as JSON.
    pub fn sign(&self, user: &User, now_s: i64) -> Result<String, Fault> {
        let claims = Identity {
            user: user.id,
            number: user.number,
            username: user.username.clone(),
            role: user.role.clone(),
            issued_at_s: now_s,
            expires_at_s: now_s + self.life_s,
        };
        jsonwebtoken::encode(&self.header, &claims, &self.sign)
            .map_err(|error| Fault::new("sign a login", error))
    }

    /// Reads a login. A token without `kid` is tried with every key.
    ///
    /// # Errors
    /// Malformed, forged, or run out, without saying which.
    pub fn read(&self, token: &str, now_s: i64) -> Result<Identity, Refusal> {
        if token.len() > MAX_BYTES {
            return Err(Refusal::InvalidAccessToken);
        }
        let identity = self.read.find(token).or_else(|| {
            let identity = self.verify(token)?;
            self.read.keep(token.to_owned(), identity.clone());
            Some(identity)
        });
        identity.filter(|it| now_s < it.expires_at_s).ok_or(Refusal::InvalidAccessToken)
    }

    fn verify(&self, token: &str) -> Option<Identity> {
        let header = jsonwebtoken::decode_header(token).ok()?;
        self.verify
            .iter()
            .filter(|(kid, _)| header.kid.as_ref().is_none_or(|it| it == kid))
            .find_map(|(_, key)| jsonwebtoken::decode::<Identity>(token, key, &self.validation).ok())
            .map(|data| data.claims)
            .filter(|identity| !identity.username.chars().any(char::is_control))
    }
}

/// A key's name that says nothing about it.
fn kid(secret: &[u8]) -> String {
    sha256_hex(&[b"kid", secret])[..16].to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    const OLD: &str = "an old secret, an old secret, an old one";
    const NEW: &str = "a new secret, a new secret, a new secret";

    fn keys(newest: &str, previous: &[&str]) -> LoginKeys {
        let mut config = crate::config::load([("JWT_SECRET".to_owned(), newest.to_owned())]).unwrap();
        config.auth.previous_jwt_secrets = previous.iter().map(|it| (*it).to_owned().into()).collect();
        LoginKeys::new(&config.auth)
    }

    fn user() -> User {
        let id = Uuid::from_u128(1);
        User { id, number: 25, username: "john_doe".into(), role: "player".into(), score: 0 }
    }

    #[test]
    fn a_login_lasts_a_day() {
        let keys = keys(NEW, &[]);
        let token = keys.sign(&user(), 1000).unwrap();
        assert_eq!(keys.read(&token, 1000 + 86_399).unwrap().number, 25);
        assert_eq!(keys.read(&token, 1000 + 86_399).unwrap().number, 25, "the second time it is known");
        assert_eq!(keys.read(&token, 1000 + 86_400), Err(Refusal::InvalidAccessToken));
    }

    #[test]
    fn rotated_keys_verify_and_dropped_ones_do_not() {
        let token = keys(OLD, &[]).sign(&user(), 1000).unwrap();
        assert!(keys(NEW, &[OLD]).read(&token, 1000).is_ok());
        assert!(keys(NEW, &[]).read(&token, 1000).is_err());
    }

    #[test]
    fn the_algorithm_is_never_the_tokens() {
        let keys = keys(NEW, &[]);
        let token = keys.sign(&user(), 1000).unwrap();
        let payload = token.split('.').nth(1).unwrap();
        assert!(keys.read(&format!("eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0.{payload}."), 1000).is_err());
        let claims = keys.read(&token, 1000).unwrap();
        let key = EncodingKey::from_secret(NEW.as_bytes());
        let other = jsonwebtoken::encode(&Header::new(Algorithm::HS512), &claims, &key).unwrap();
        assert!(keys.read(&other, 1000).is_err());
    }
}
