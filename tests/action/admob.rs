//! AdMob's public keys: fetched on demand, cached, and used to verify callbacks.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use aws_lc_rs::encoding::{AsDer, PublicKeyX509Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair};
use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use laurel::action::proof::admob::{AdMobKeys, Callback};
use laurel::error::Refusal;
use parking_lot::Mutex;
use serde_json::json;
use tokio::net::TcpListener;

/// A server of a key list, like Google's.
pub struct KeyServer {
    pub url: String,
    /// The list to serve, or `None` for status 500.
    list: Mutex<Option<String>>,
    requests: AtomicUsize,
}

impl KeyServer {
    pub async fn start(list: &str) -> Arc<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/verifier-keys.json", listener.local_addr().unwrap());
        let server =
            Arc::new(Self { url, list: Mutex::new(Some(list.into())), requests: AtomicUsize::new(0) });
        let router = Router::new().route("/verifier-keys.json", get(serve)).with_state(server.clone());
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        server
    }

    fn set_list(&self, list: Option<&str>) {
        *self.list.lock() = list.map(str::to_owned);
    }

    fn requests(&self) -> usize {
        self.requests.load(Ordering::SeqCst)
    }
}

async fn serve(State(server): State<Arc<KeyServer>>) -> Response {
    server.requests.fetch_add(1, Ordering::SeqCst);
    let list = server.list.lock().clone();
    list.map_or_else(|| StatusCode::INTERNAL_SERVER_ERROR.into_response(), IntoResponse::into_response)
}

/// A key pair with its id.
pub struct Key(u64, EcdsaKeyPair);

impl Key {
    pub fn new(id: u64) -> Self {
        Self(id, EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING).unwrap())
    }

    /// A signed callback.
    fn callback(&self) -> String {
        self.sign(
            "ad_unit=1&custom_data=t1&reward_amount=5&reward_item=coins&timestamp=1&transaction_id=ab12",
        )
    }

    /// Signs a callback with this content.
    pub fn sign(&self, content: &str) -> String {
        let signature = self.1.sign(&SystemRandom::new(), content.as_bytes()).unwrap();
        format!("{content}&signature={}&key_id={}", URL_SAFE_NO_PAD.encode(signature), self.0)
    }
}

/// A key list in Google's format.
pub fn list(keys: &[&Key]) -> String {
    let listed = keys.iter().map(|Key(id, pair)| {
        let der: PublicKeyX509Der<'_> = pair.public_key().as_der().unwrap();
        json!({ "keyId": id, "pem": "-----BEGIN PUBLIC KEY-----", "base64": STANDARD.encode(der.as_ref()) })
    });
    json!({ "keys": listed.collect::<Vec<_>>() }).to_string()
}

#[tokio::test]
async fn keys_are_fetched_on_demand_and_cached_for_a_day() {
    let (old, new) = (Key::new(1), Key::new(2));
    let server = KeyServer::start(&list(&[&old])).await;
    let keys = AdMobKeys::new(&server.url).unwrap();
    assert_eq!(server.requests(), 0);
    let start = Instant::now();
    let after = |seconds| start + Duration::from_secs(seconds);
    let queries: Vec<_> = (0..20).map(|_| old.callback()).collect();
    let verified = futures::future::join_all(queries.iter().map(|query| keys.verify(query, start))).await;
    let transaction = |callback: &Option<Callback>| callback.as_ref().unwrap().transaction_id.clone();
    assert!(verified.iter().all(|callback| transaction(callback.as_ref().unwrap()) == "ab12"));
    assert_eq!(server.requests(), 1, "concurrent callbacks share one request");

    server.set_list(Some(&list(&[&old, &new])));
    for _ in 0..5 {
        assert!(matches!(keys.verify(&new.callback(), after(59)).await, Err(Refusal::Validation(_))));
    }
    assert_eq!(server.requests(), 1, "an unknown key causes one request per minute");
    assert!(keys.verify(&new.callback(), after(60)).await.is_ok());
    assert!(keys.verify(&old.callback(), after(86_400)).await.is_ok());
    assert_eq!(server.requests(), 2);

    // The list expires a day after its request, but is used until a request succeeds.
    server.set_list(None);
    assert!(keys.verify(&old.callback(), after(86_460)).await.is_ok());
    assert_eq!(server.requests(), 3);
    server.set_list(Some(&list(&[&new])));
    assert!(matches!(keys.verify(&old.callback(), after(86_470)).await, Err(Refusal::Validation(_))));
}

#[tokio::test]
async fn callbacks_are_unavailable_without_a_key_list() {
    let key = Key::new(1);
    let server = KeyServer::start("").await;
    let keys = AdMobKeys::new(&server.url).unwrap();
    let start = Instant::now();
    let huge = format!("{}{}", list(&[&key]), " ".repeat(70_000));
    for (second, list) in
        [Some("nonsense"), Some(r#"{"keys":[]}"#), Some(&huge), None].into_iter().enumerate()
    {
        server.set_list(list);
        let now = start + Duration::from_secs(second as u64);
        let refused = keys.verify(&key.callback(), now).await;
        assert!(matches!(refused, Err(Refusal::Unavailable(_))), "{list:?}: {refused:?}");
    }
    server.set_list(Some(&list(&[&key])));
    assert!(
        keys.verify(&key.callback(), start + Duration::from_secs(4)).await.is_ok(),
        "the next request is a second later"
    );
    assert_eq!(server.requests(), 5);
    let malformed = keys.verify("key_id=1", start).await;
    assert!(
        matches!(malformed, Err(Refusal::Validation(_))),
        "a malformed callback is refused without a list"
    );
}

#[tokio::test]
async fn unknown_key_formats_do_not_disable_other_keys() {
    let (old, new) = (Key::new(1), Key::new(2));
    let mut listed: serde_json::Value = serde_json::from_str(&list(&[&old, &new])).unwrap();
    let keys = listed["keys"].as_array_mut().unwrap();
    let others = [
        json!({ "keyId": "pq-1", "base64": "AAAA" }),
        json!({ "keyId": 3 }),
        json!({ "keyId": 4, "base64": "no base64!" }),
        json!({ "keyId": -5, "base64": "AAAA" }),
        json!({ "kty": "AKP", "alg": "ML-DSA-65", "pub": "AAAA" }),
        json!(null),
    ];
    for (index, other) in others.into_iter().enumerate() {
        keys.insert(index % 3, other);
    }
    let server = KeyServer::start(&listed.to_string()).await;
    let keys = AdMobKeys::new(&server.url).unwrap();
    for key in [&old, &new] {
        assert!(keys.verify(&key.callback(), Instant::now()).await.is_ok());
    }
    let unknown = keys.verify(&Key::new(4).callback(), Instant::now()).await;
    assert!(matches!(unknown, Err(Refusal::Validation(_))), "{unknown:?}");
}
