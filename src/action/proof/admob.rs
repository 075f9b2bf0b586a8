//! AdMob's server-side verification of rewarded ads (developers.google.com/admob/android/ssv): Google calls back when an ad
//! was watched to its end, and signs the call. Whether a transaction was seen before, and whether its token may be
//! redeemed, is the business of others.

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
use callback::{Unverified, unverifiable};

use crate::error::{FieldError, Refusal};

/// Google changes its keys now and then, and asks for a list to be used no longer than this.
const FRESH: Duration = Duration::from_hours(24);
/// Anybody can name a key that does not exist: the list is not asked for more often.
const BETWEEN_FETCHES: Duration = Duration::from_secs(60);
/// After a failure it is, since Google repeats a call only a few times, a second apart.
const AFTER_FAILURE: Duration = Duration::from_secs(1);
/// Callbacks with nothing to award are remarked no more often: whoever has seen one can repeat it.
const BETWEEN_REMARKS: Duration = Duration::from_secs(60);
/// A list that takes longer is none.
const FETCH_TIMEOUT: Duration = Duration::from_secs(5);
/// Longer lists are none.
const MAX_LIST_BYTES: usize = 64 * 1024;

/// Google's public keys, as far as they were needed.
pub struct AdMobKeys {
    client: reqwest::Client,
    url: Url,
    ring: ArcSwap<Ring>,
    /// When the list may be asked for again; held while it is, so that it is asked for once.
    next_fetch: Mutex<Option<Instant>>,
    /// When the log may say again that a callback had nothing to award.
    next_remark: parking_lot::Mutex<Option<Instant>>,
}

/// One list of keys, each an X.509 SubjectPublicKeyInfo.
#[derive(Default)]
struct Ring {
    keys: HashMap<u64, Vec<u8>>,
    fetched: Option<Instant>,
}

impl Ring {
    /// Whether a key can be used without asking for a newer list.
    fn knows(&self, key_id: u64, now: Instant) -> bool {
        self.is_fresh(now) && self.keys.contains_key(&key_id)
    }

    fn is_fresh(&self, now: Instant) -> bool {
        self.fetched.is_some_and(|it| now.saturating_duration_since(it) < FRESH)
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
    /// The keys that are listed at a URL; nothing is fetched before a callback needs it.
    ///
    /// # Errors
    /// The URL is none of http or https.
    pub fn new(url: &str) -> Result<Arc<Self>, String> {
        let url = Url::parse(url).map_err(|_| "the URL of AdMob's keys must be a URL")?;
        if !["http", "https"].contains(&url.scheme()) {
            return Err("the URL of AdMob's keys must begin with http:// or https://".into());
        }
        let client = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .timeout(FETCH_TIMEOUT)
            .build()
            .map_err(|error| format!("the client for AdMob's keys: {error}"))?;
        let (next_fetch, next_remark) = (Mutex::default(), parking_lot::Mutex::default());
        Ok(Arc::new(Self { client, url, ring: ArcSwap::default(), next_fetch, next_remark }))
    }

    /// Reads the raw query of a callback and verifies that Google signed it. `None` where there is nothing to award: see
    /// `Callback::read`.
    ///
    /// # Errors
    /// `Validation`: it is malformed, or not signed by a key that Google lists. `Unavailable`: there is no list.
    pub async fn verify(self: &Arc<Self>, query: &str, now: Instant) -> Result<Option<Callback>, Refusal> {
        let refuse = |field: FieldError| Refusal::Validation(vec![field]);
        let unverified = Unverified::read(query).map_err(refuse)?;
        let key_id = unverified.key_id;
        if !self.ring.load().knows(key_id, now) {
            let keys = self.clone();
            // A task of its own: it is not given up half-way when the caller goes away.
            let _ = tokio::spawn(async move { keys.fetch(key_id, now).await }).await;
        }
        let ring = self.ring.load_full();
        match ring.keys.get(&key_id) {
            Some(key) => {
                let callback = unverified.verify(key).map_err(refuse)?;
                if callback.is_none() {
                    self.remark(now);
                }
                Ok(callback)
            }
            None if ring.is_fresh(now) => Err(refuse(unverifiable())),
            None => Err(Refusal::Unavailable("The ad cannot be verified for the moment, please try again")),
        }
    }

    fn remark(&self, now: Instant) {
        let mut next_remark = self.next_remark.lock();
        if next_remark.is_none_or(|it| now >= it) {
            *next_remark = Some(now + BETWEEN_REMARKS);
            tracing::info!(
                "AdMob callback awards nothing: the console's test call, or one without custom data"
            );
        }
    }

    /// Fetches the list, if it is still needed and may be asked for by now. If that fails, the old one stays.
    async fn fetch(&self, key_id: u64, now: Instant) {
        let mut next_fetch = self.next_fetch.lock().await;
        if self.ring.load().knows(key_id, now) || next_fetch.is_some_and(|it| now < it) {
            return;
        }
        match self.ask().await {
            Ok(keys) => {
                self.ring.store(Arc::new(Ring { keys, fetched: Some(now) }));
                *next_fetch = Some(now + BETWEEN_FETCHES);
            }
            Err(why) => {
                tracing::warn!(why, "AdMob's keys could not be fetched");
                *next_fetch = Some(now + AFTER_FAILURE);
            }
        }
    }

    async fn ask(&self) -> Result<HashMap<u64, Vec<u8>>, String> {
        let told = |error: reqwest::Error| error.to_string();
        let mut response = self.client.get(self.url.clone()).send().await.map_err(told)?;
        if response.status() != StatusCode::OK {
            return Err(format!("status {}", response.status().as_u16()));
        }
        let mut text = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(told)? {
            if text.len() + chunk.len() > MAX_LIST_BYTES {
                return Err("the list is too long".into());
            }
            text.extend_from_slice(&chunk);
        }
        let list: List = serde_json::from_slice(&text).map_err(|error| error.to_string())?;
        let listed = list.keys.len();
        // As in any set of keys (RFC 7517, section 5), one that is not understood keeps no other from counting.
        let keys: HashMap<_, _> = list.keys.iter().filter_map(ListedKey::read).collect();
        match listed - keys.len() {
            _ if keys.is_empty() => return Err("the list has no keys".into()),
            0 => {}
            skipped => tracing::warn!(skipped, "AdMob keys skipped, what they sign is refused"),
        }
        Ok(keys)
    }
}
