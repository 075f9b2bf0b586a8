//! Login tokens: JWTs (RFC 7519) signed with HS256. `kid` selects the key; the algorithm is fixed, whatever the token's header says.

use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use quick_cache::sync::Cache;
use serde::{Deserialize, Deserializer, Serialize};
use uuid::Uuid;

use super::User;
use crate::config;
use crate::crypto::sha256_hex;
use crate::error::{Fault, Refusal};
use crate::keyring::NumericDate;

/// Longer tokens are refused unread. A login token has about 350 bytes.
const MAX_BYTES: usize = 4096;

/// Verified logins that are cached. One takes about 600 bytes, so 60 MB at most.
const CACHED_LOGINS: usize = 100_000;

/// The caller, from a verified login.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// The user's UUID.
    #[serde(rename = "sub")]
    pub user: Uuid,
    /// The user's serial number.
    #[serde(rename = "id")]
    pub number: i64,
    /// The name on the board.
    pub username: String,
    /// `player` or `admin`.
    pub role: String,
    /// Time of the login.
    #[serde(rename = "iat", deserialize_with = "rounded_down")]
    pub issued_at_s: i64,
    /// End of the login.
    #[serde(rename = "exp", deserialize_with = "rounded_down")]
    pub expires_at_s: i64,
}

fn rounded_down<'de, D: Deserializer<'de>>(deserializer: D) -> Result<i64, D::Error> {
    NumericDate::deserialize(deserializer).map(NumericDate::rounded_down)
}

/// The signed claims.
#[derive(Serialize)]
struct Claims<'a> {
    #[serde(flatten)]
    identity: &'a Identity,
    aud: &'a str,
}

/// The keys that sign and verify logins.
pub struct LoginKeys {
    sign: EncodingKey,
    header: Header,
    /// The required `aud`: logins of another deployment are refused, even if it has the same secret.
    audience: String,
    /// Newest first, each with its `kid`.
    verify: Vec<(String, DecodingKey)>,
    validation: Validation,
    life_s: i64,
    /// Verified tokens: a player sends the same login with each request, and the keys do not change while a node runs. Only the expiry is
    /// checked each time.
    verified: Cache<String, Identity>,
}

impl LoginKeys {
    /// The newest secret signs, all secrets verify. The audience is `deployment`, unless the settings name another.
    pub fn new(auth: &config::Auth, deployment: Uuid) -> Self {
        let audience = match auth.audience.as_str() {
            "" => deployment.to_string(),
            audience => audience.to_owned(),
        };
        let secrets = std::iter::once(&auth.jwt_secret).chain(&auth.previous_jwt_secrets);
        let verify: Vec<_> = secrets
            .map(|it| it.expose().as_bytes())
            .map(|secret| (kid(secret), DecodingKey::from_secret(secret)))
            .collect();
        let mut header = Header::new(Algorithm::HS256);
        header.kid = Some(verify[0].0.clone());
        let mut validation = Validation::new(Algorithm::HS256);
        // `read` checks the expiry, with the time of its caller.
        validation.validate_exp = false;
        validation.set_audience(&[&audience]);
        // Without this, a token without `aud` would pass.
        validation.set_required_spec_claims(&["exp", "aud"]);
        Self {
            sign: EncodingKey::from_secret(auth.jwt_secret.expose().as_bytes()),
            header,
            audience,
            verify,
            validation,
            life_s: i64::from(auth.jwt_hours) * 3600,
            verified: Cache::new(CACHED_LOGINS),
        }
    }

    /// Signs a login that starts now.
    ///
    /// # Errors
    /// The claims cannot be serialized.
    pub fn sign(&self, user: &User, now_s: i64) -> Result<String, Fault> {
        let identity = Identity {
            user: user.id,
            number: user.number,
            username: user.username.clone(),
            role: user.role.clone(),
            issued_at_s: now_s,
            expires_at_s: now_s + self.life_s,
        };
        let claims = Claims { identity: &identity, aud: &self.audience };
        jsonwebtoken::encode(&self.header, &claims, &self.sign)
            .map_err(|error| Fault::new("sign_login", error))
    }

    /// Verifies a login. A token without `kid` is tried with every key.
    ///
    /// # Errors
    /// Malformed, forged or expired; the refusal is the same for all.
    pub fn read(&self, token: &str, now_s: i64) -> Result<Identity, Refusal> {
        if token.len() > MAX_BYTES {
            return Err(Refusal::InvalidAccessToken);
        }
        let identity = self.verified.get(token).or_else(|| {
            let identity = self.verify(token)?;
            self.verified.insert(token.to_owned(), identity.clone());
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

/// A key id that reveals nothing about the secret.
fn kid(secret: &[u8]) -> String {
    sha256_hex(&[b"kid", secret])[..16].to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    const OLD: &str = "an old secret, an old secret, an old one";
    const NEW: &str = "a new secret, a new secret, a new secret";

    const HERE: Uuid = Uuid::from_u128(7);

    fn auth(newest: &str) -> config::Auth {
        crate::config::load([("JWT_SECRET".into(), newest.into())]).unwrap().auth
    }

    fn keys(newest: &str, previous: &[&str]) -> LoginKeys {
        let mut auth = auth(newest);
        auth.previous_jwt_secrets = previous.iter().map(|it| (*it).to_owned().into()).collect();
        LoginKeys::new(&auth, HERE)
    }

    fn user() -> User {
        let id = Uuid::from_u128(1);
        User { id, number: 25, username: "john_doe".into(), role: "player".into(), score: 0 }
    }

    #[test]
    fn a_login_expires_after_a_day() {
        let keys = keys(NEW, &[]);
        let token = keys.sign(&user(), 1000).unwrap();
        assert_eq!(keys.read(&token, 1000 + 86_399).unwrap().number, 25);
        assert_eq!(keys.read(&token, 1000 + 86_399).unwrap().number, 25, "the second time from the cache");
        assert_eq!(keys.read(&token, 1000 + 86_400), Err(Refusal::InvalidAccessToken));
    }

    /// A backend with the secret may sign logins, and some languages write times with a fraction.
    #[test]
    fn times_may_have_a_fraction() {
        let keys = keys(NEW, &[]);
        let mut claims =
            serde_json::to_value(keys.read(&keys.sign(&user(), 1000).unwrap(), 1000).unwrap()).unwrap();
        claims["aud"] = HERE.to_string().into();
        let key = EncodingKey::from_secret(NEW.as_bytes());
        for (exp, lasts_to) in [(1100.0, 1100), (1100.5, 1100), (1100.999, 1100)] {
            (claims["iat"], claims["exp"]) = (1000.25.into(), exp.into());
            let token = jsonwebtoken::encode(&Header::new(Algorithm::HS256), &claims, &key).unwrap();
            let read = keys.read(&token, lasts_to - 1).unwrap();
            assert_eq!((read.issued_at_s, read.expires_at_s), (1000, lasts_to), "{exp}");
            assert!(keys.read(&token, lasts_to).is_err(), "{exp}");
        }
    }

    #[test]
    fn rotated_keys_verify_and_dropped_ones_do_not() {
        let token = keys(OLD, &[]).sign(&user(), 1000).unwrap();
        assert!(keys(NEW, &[OLD]).read(&token, 1000).is_ok());
        assert!(keys(NEW, &[]).read(&token, 1000).is_err());
    }

    #[test]
    fn a_login_is_valid_in_its_deployment_only() {
        let (here, there) = (keys(NEW, &[]), LoginKeys::new(&auth(NEW), Uuid::from_u128(8)));
        let token = here.sign(&user(), 1000).unwrap();
        assert!(here.read(&token, 1000).is_ok() && there.read(&token, 1000).is_err());
        let with_audience = |audience: &str, deployment: u128| {
            let auth = config::Auth { audience: audience.into(), ..auth(NEW) };
            LoginKeys::new(&auth, Uuid::from_u128(deployment))
        };
        let token = with_audience("game", 7).sign(&user(), 1000).unwrap();
        assert!(
            with_audience("game", 8).read(&token, 1000).is_ok(),
            "deployments with the same audience share logins"
        );
        assert!(here.read(&token, 1000).is_err() && with_audience("other", 7).read(&token, 1000).is_err());
        // The same claims and key, but without an audience or with another one.
        let claims = with_audience("game", 7).read(&token, 1000).unwrap();
        let key = EncodingKey::from_secret(NEW.as_bytes());
        for aud in [
            None,
            Some(serde_json::json!("")),
            Some(serde_json::json!(["other"])),
            Some(serde_json::json!(7)),
        ] {
            let mut claims = serde_json::to_value(&claims).unwrap();
            if let Some(aud) = aud {
                claims["aud"] = aud;
            }
            let forged = jsonwebtoken::encode(&Header::new(Algorithm::HS256), &claims, &key).unwrap();
            assert!(here.read(&forged, 1000).is_err(), "{claims}");
        }
    }

    #[test]
    fn the_algorithm_of_the_header_is_ignored() {
        let keys = keys(NEW, &[]);
        let token = keys.sign(&user(), 1000).unwrap();
        let payload = token.split('.').nth(1).unwrap();
        assert!(keys.read(&format!("eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0.{payload}."), 1000).is_err());
        let identity = keys.read(&token, 1000).unwrap();
        let claims = Claims { identity: &identity, aud: &HERE.to_string() };
        let key = EncodingKey::from_secret(NEW.as_bytes());
        let signed = |algorithm| jsonwebtoken::encode(&Header::new(algorithm), &claims, &key).unwrap();
        assert!(keys.read(&signed(Algorithm::HS256), 1000).is_ok());
        assert!(keys.read(&signed(Algorithm::HS512), 1000).is_err());
    }
}
