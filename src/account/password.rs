//! Password hashing with Argon2id (RFC 9106, parameters of OWASP). Hashes run off the async threads, a bounded number in parallel, so that
//! a storm of logins cannot slow awards. Networks take turns, so that one of them cannot block the others.

use std::sync::Arc;
use std::time::Duration;

use argon2::{Argon2, PasswordHasher, PasswordVerifier};

use super::Password;
use super::fair_semaphore::FairSemaphore;
use crate::config;
use crate::error::{Fault, Refusal, Result};
use crate::network::Network;

/// Hashes and verifies passwords.
pub struct Passwords {
    semaphore: Arc<FairSemaphore>,
    queue_timeout: Duration,
    /// The hash for unknown users, so that verifying takes as long as for known ones.
    dummy_hash: String,
}

impl Passwords {
    /// With the limits of the settings.
    ///
    /// # Errors
    /// Argon2id rejects its parameters.
    pub fn new(auth: &config::Auth) -> Result<Self, Fault> {
        Ok(Self {
            semaphore: FairSemaphore::new(auth.max_concurrent_hashes),
            queue_timeout: Duration::from_millis(auth.hash_queue_timeout_ms),
            dummy_hash: hash(b"no such user")?,
        })
    }

    /// Returns a salted hash in the PHC string format. `from` is the client's network.
    ///
    /// # Errors
    /// The queue is too long.
    pub async fn hash(&self, password: Password, from: Network) -> Result<String> {
        self.run(from, move || hash(password.expose())).await?.map_err(Into::into)
    }

    /// Whether the password matches the hash. Without a hash it returns false after the same time.
    ///
    /// # Errors
    /// The queue is too long.
    pub async fn verify(&self, password: Password, hash: Option<String>, from: Network) -> Result<bool> {
        let is_known = hash.is_some();
        let hash = hash.unwrap_or_else(|| self.dummy_hash.clone());
        let verify = move || Argon2::default().verify_password(password.expose(), hash.as_str()).is_ok();
        Ok(self.run(from, verify).await? && is_known)
    }

    async fn run<T: Send + 'static>(
        &self,
        from: Network,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T> {
        let Ok(permit) = tokio::time::timeout(self.queue_timeout, self.semaphore.acquire(from)).await else {
            return Err(Refusal::Unavailable("Too many logins in progress, please try again").into());
        };
        let work = move || {
            let result = work();
            drop(permit);
            result
        };
        tokio::task::spawn_blocking(work).await.map_err(|error| Fault::new("hash_password", error).into())
    }
}

fn hash(password: &[u8]) -> Result<String, Fault> {
    Argon2::default()
        .hash_password(password)
        .map(|hash| hash.to_string())
        .map_err(|error| Fault::new("hash_password", error.to_string()))
}
