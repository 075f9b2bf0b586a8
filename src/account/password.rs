//! Argon2id (RFC 9106, OWASP's parameters), off the async threads and a bounded number at a time, so that a storm of
//! logins cannot slow the award path; networks have their turns in rotation, so that one of them cannot keep the others out.

use std::sync::Arc;
use std::time::Duration;

use argon2::{Argon2, PasswordHasher, PasswordVerifier};

use super::Password;
use super::turns::Turns;
use crate::config;
use crate::error::{Fault, Refusal, Result};
use crate::network::Network;

/// Hashes and verifies passwords.
pub struct Passwords {
    turns: Arc<Turns>,
    wait: Duration,
    /// What an unknown user's password is held against, so that it takes as long as a known one's.
    nobody: String,
}

impl Passwords {
    /// With the bounds of the settings.
    ///
    /// # Errors
    /// Argon2id refuses its own parameters.
    pub fn new(auth: &config::Auth) -> Result<Self, Fault> {
        Ok(Self {
            turns: Turns::new(auth.max_concurrent_hashes),
            wait: Duration::from_millis(auth.hash_queue_timeout_ms),
            nobody: hash(b"no such user")?,
        })
    }

    /// A salted hash in the PHC string format, for a client of a network.
    ///
    /// # Errors
    /// Too many wait already.
    pub async fn hash(&self, password: Password, from: Network) -> Result<String> {
        self.in_turn(from, move || hash(password.expose())).await?.map_err(Into::into)
    }

    /// Whether the password is the one that was hashed; always false, after as long, if there is no hash.
    ///
    /// # Errors
    /// Too many wait already.
    pub async fn verify(&self, password: Password, hash: Option<String>, from: Network) -> Result<bool> {
        let known = hash.is_some();
        let hash = hash.unwrap_or_else(|| self.nobody.clone());
        let verify = move || Argon2::default().verify_password(password.expose(), hash.as_str()).is_ok();
        Ok(self.in_turn(from, verify).await? && known)
    }

    async fn in_turn<T: Send + 'static>(
        &self,
        from: Network,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T> {
        let Ok(turn) = tokio::time::timeout(self.wait, self.turns.take(from)).await else {
            return Err(Refusal::Unavailable("Too many logins at once, please try again").into());
        };
        let work = move || {
            let done = work();
            drop(turn);
            done
        };
        tokio::task::spawn_blocking(work).await.map_err(|error| Fault::new("hash a password", error).into())
    }
}

fn hash(password: &[u8]) -> Result<String, Fault> {
    Argon2::default()
        .hash_password(password)
        .map(|hash| hash.to_string())
        .map_err(|error| Fault::new("hash a password", error.to_string()))
}
