//! `admob`: server-side verification of rewarded ads (developers.google.com/admob/android/ssv). Google sends a signed callback when a player
//! has watched an ad to its end. This module verifies the signature; `award/callback.rs` redeems the token.

pub(crate) mod callback;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use reqwest::{StatusCode, Url};
use serde::Deserialize;
use serde_json::Value;
use tokio::sync::Mutex;

pub use callback::Callback;
use callback::{UnverifiedCallback, bad_signature};

use crate::error::{FieldError, Refusal};

/// Google rotates its keys and asks not to use a list for longer than this.
const MAX_AGE: Duration = Duration::from_hours(24);
/// The shortest time between two fetches, because anybody can send a callback with an unknown key id.
const FETCH_INTERVAL: Duration = Duration::from_secs(60);
/// The shortest time between two fetches after a failure: Google repeats a callback only a few times, a second apart.
const RETRY_INTERVAL: Duration = Duration::from_secs(1);
/// The shortest time between two log lines about callbacks that award nothing, because anybody can replay one.
const LOG_INTERVAL: Duration = Duration::from_secs(60);
/// The timeout of a fetch.
const FETCH_TIMEOUT: Duration = Duration::from_secs(5);
/// The longest key list that is read, in bytes.
const MAX_LIST_BYTES: usize = 64 * 1024;

/// Google's public keys, fetched when a callback needs them.
pub struct AdMobKeys {
    client: reqwest::Client,
    url: Url,
    ring: ArcSwap<Ring>,
    /// When the list may be fetched again. Locked during a fetch, so that concurrent callbacks share one fetch.
    next_fetch: Mutex<Option<Instant>>,
    /// When a callback that awards nothing may be logged again.
    next_log: parking_lot::Mutex<Option<Instant>>,
}

/// One fetched list: X.509 SubjectPublicKeyInfo by key id.
#[derive(Default)]
struct Ring {
    keys: HashMap<u64, Vec<u8>>,
    fetched: Option<Instant>,
}

impl Ring {
    /// True if the key can be used without fetching a newer list.
    fn has_fresh(&self, key_id: u64, now: Instant) -> bool {
        self.is_fresh(now) && self.keys.contains_key(&key_id)
    }

    fn is_fresh(&self, now: Instant) -> bool {
        self.fetched.is_some_and(|fetched| now.saturating_duration_since(fetched) < MAX_AGE)
    }
}

#[derive(Deserialize)]
struct List {
    keys: Vec<Value>,
}

#[derive(Deserialize)]
struct ListedKey {
    #[serde(rename = "keyId")]
    id: u64,
    base64: String,
}

impl ListedKey {
    fn read(listed: &Value) -> Option<(u64, Vec<u8>)> {
        let Self { id, base64 } = Self::deserialize(listed).ok()?;
        Some((id, STANDARD.decode(base64).ok()?))
    }
}

impl AdMobKeys {
    /// Creates an empty key cache for the list at this URL.
    ///
    /// # Errors
    /// The URL is not an http or https URL.
    pub fn new(url: &str) -> Result<Arc<Self>, String> {
        let url = Url::parse(url).map_err(|_| "must be a URL that begins with http:// or https://")?;
        if !["http", "https"].contains(&url.scheme()) {
            return Err("must be a URL that begins with http:// or https://".into());
        }
        let client = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .timeout(FETCH_TIMEOUT)
            .build()
            .map_err(|error| format!("cannot create the HTTP client: {error}"))?;
        let (next_fetch, next_log) = (Mutex::default(), parking_lot::Mutex::default());
        Ok(Arc::new(Self { client, url, ring: ArcSwap::default(), next_fetch, next_log }))
    }

    /// Verifies the raw query of a callback. `None` if it awards nothing: see `Callback::read`.
    ///
    /// # Errors
    /// `Validation`: the query is malformed, or not signed by a listed key. `Unavailable`: the key list could not be fetched.
    pub async fn verify(self: &Arc<Self>, query: &str, now: Instant) -> Result<Option<Callback>, Refusal> {
        let refuse = |field: FieldError| Refusal::Validation(vec![field]);
        let unverified = UnverifiedCallback::read(query).map_err(refuse)?;
        let key_id = unverified.key_id;
        if !self.ring.load().has_fresh(key_id, now) {
            let keys = self.clone();
            // In its own task, so that a disconnecting caller does not cancel the fetch for the others.
            let _ = tokio::spawn(async move { keys.fetch(key_id, now).await }).await;
        }
        let ring = self.ring.load_full();
        match ring.keys.get(&key_id) {
            Some(key) => {
                let callback = unverified.verify(key).map_err(refuse)?;
                if callback.is_none() {
                    self.log_empty(now);
                }
                Ok(callback)
            }
            None if ring.is_fresh(now) => Err(refuse(bad_signature())),
            None => Err(Refusal::Unavailable("The ad cannot be verified now. Try again.")),
        }
    }

    fn log_empty(&self, now: Instant) {
        let mut next_log = self.next_log.lock();
        if next_log.is_none_or(|next| now >= next) {
            *next_log = Some(now + LOG_INTERVAL);
            tracing::info!("AdMob callback ignored: a test call from the console, or custom_data is missing");
        }
    }

    /// Fetches the list if it is still needed and `next_fetch` has passed. On failure the old list stays.
    async fn fetch(&self, key_id: u64, now: Instant) {
        let mut next_fetch = self.next_fetch.lock().await;
        if self.ring.load().has_fresh(key_id, now) || next_fetch.is_some_and(|next| now < next) {
            return;
        }
        match self.fetch_list().await {
            Ok(keys) => {
                self.ring.store(Arc::new(Ring { keys, fetched: Some(now) }));
                *next_fetch = Some(now + FETCH_INTERVAL);
            }
            Err(error) => {
                tracing::warn!(
                    error,
                    host = self.url.host_str(),
                    "AdMob key list not fetched, retrying with the next callback"
                );
                *next_fetch = Some(now + RETRY_INTERVAL);
            }
        }
    }

    async fn fetch_list(&self) -> Result<HashMap<u64, Vec<u8>>, String> {
        let as_text = |error: reqwest::Error| error.to_string();
        let mut response = self.client.get(self.url.clone()).send().await.map_err(as_text)?;
        if response.status() != StatusCode::OK {
            return Err(format!("status {}", response.status().as_u16()));
        }
        let mut text = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(as_text)? {
            if text.len() + chunk.len() > MAX_LIST_BYTES {
                return Err("the list is too long".into());
            }
            text.extend_from_slice(&chunk);
        }
        let list: List = serde_json::from_slice(&text).map_err(|error| error.to_string())?;
        let listed = list.keys.len();
        // As in a JWK set (RFC 7517, section 5), a key that is not understood must not disable the others.
        let keys: HashMap<_, _> = list.keys.iter().filter_map(ListedKey::read).collect();
        match listed - keys.len() {
            _ if keys.is_empty() => return Err("the list has no keys".into()),
            0 => {}
            skipped => tracing::warn!(skipped, "AdMob keys skipped, their callbacks are refused"),
        }
        Ok(keys)
    }
}
