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
    keys: Vec<ListedKey>,
}

#[derive(Deserialize)]
struct ListedKey {
    #[serde(rename = "keyId")]
    id: u64,
    base64: String,
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
        Ok(Arc::new(Self { client, url, ring: ArcSwap::default(), next_fetch: Mutex::default() }))
    }

    /// Reads the raw query of a callback and verifies that Google signed it.
    ///
    /// # Errors
    /// `Validation`: it is malformed, or not signed by a key that Google lists. `Unavailable`: there is no list.
    pub async fn verify(self: &Arc<Self>, query: &str, now: Instant) -> Result<Callback, Refusal> {
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
            Some(key) => unverified.verify(key).map_err(refuse),
            None if ring.is_fresh(now) => Err(refuse(unverifiable())),
            None => Err(Refusal::Unavailable("The ad cannot be verified for the moment, please try again")),
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
        let keys: HashMap<_, _> = list
            .keys
            .into_iter()
            .filter_map(|it| STANDARD.decode(it.base64).ok().map(|key| (it.id, key)))
            .collect();
        if keys.is_empty() { Err("the list has no keys".into()) } else { Ok(keys) }
    }
}
