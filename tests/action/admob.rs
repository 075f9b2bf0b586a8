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

/// Where Google's keys are listed.
pub struct Lister {
    pub url: String,
    /// The list as it is told now; nothing: it is out of order.
    list: Mutex<Option<String>>,
    asked: AtomicUsize,
}

impl Lister {
    pub async fn start(list: &str) -> Arc<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/verifier-keys.json", listener.local_addr().unwrap());
        let lister = Arc::new(Self { url, list: Mutex::new(Some(list.into())), asked: AtomicUsize::new(0) });
        let router = Router::new().route("/verifier-keys.json", get(tell)).with_state(lister.clone());
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        lister
    }

    fn tell(&self, list: Option<&str>) {
        *self.list.lock() = list.map(str::to_owned);
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }
}

async fn tell(State(lister): State<Arc<Lister>>) -> Response {
    lister.asked.fetch_add(1, Ordering::SeqCst);
    let list = lister.list.lock().clone();
    list.map_or_else(|| StatusCode::INTERNAL_SERVER_ERROR.into_response(), IntoResponse::into_response)
}

/// A key of Google's, by its number.
pub struct Key(u64, EcdsaKeyPair);

impl Key {
    pub fn new(id: u64) -> Self {
        Self(id, EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING).unwrap())
    }

    /// A callback that it signed.
    fn callback(&self) -> String {
        self.sign(
            "ad_unit=1&custom_data=t1&reward_amount=5&reward_item=coins&timestamp=1&transaction_id=ab12",
        )
    }

    /// A callback with this content.
    pub fn sign(&self, content: &str) -> String {
        let signature = self.1.sign(&SystemRandom::new(), content.as_bytes()).unwrap();
        format!("{content}&signature={}&key_id={}", URL_SAFE_NO_PAD.encode(signature), self.0)
    }
}

/// As Google lists its keys.
pub fn list(keys: &[&Key]) -> String {
    let listed = keys.iter().map(|Key(id, pair)| {
        let der: PublicKeyX509Der<'_> = pair.public_key().as_der().unwrap();
        json!({ "keyId": id, "pem": "-----BEGIN PUBLIC KEY-----", "base64": STANDARD.encode(der.as_ref()) })
    });
    json!({ "keys": listed.collect::<Vec<_>>() }).to_string()
}

#[tokio::test]
async fn keys_are_fetched_when_needed_and_kept_for_a_day() {
    let (old, new) = (Key::new(1), Key::new(2));
    let lister = Lister::start(&list(&[&old])).await;
    let keys = AdMobKeys::new(&lister.url).unwrap();
    assert_eq!(lister.asked(), 0);
    let start = Instant::now();
    let after = |seconds| start + Duration::from_secs(seconds);
    let queries: Vec<_> = (0..20).map(|_| old.callback()).collect();
    let verified = futures::future::join_all(queries.iter().map(|it| keys.verify(it, start))).await;
    let transaction = |it: &Option<Callback>| it.as_ref().unwrap().transaction_id.clone();
    assert!(verified.iter().all(|it| transaction(it.as_ref().unwrap()) == "ab12"));
    assert_eq!(lister.asked(), 1, "one fetch for all who came at once");

    lister.tell(Some(&list(&[&old, &new])));
    for _ in 0..5 {
        assert!(matches!(keys.verify(&new.callback(), after(59)).await, Err(Refusal::Validation(_))));
    }
    assert_eq!(lister.asked(), 1, "a key that nobody knows is asked for once a minute");
    assert!(keys.verify(&new.callback(), after(60)).await.is_ok());
    assert!(keys.verify(&old.callback(), after(86_400)).await.is_ok());
    assert_eq!(lister.asked(), 2);

    // A day after the last fetch the list is old; while there is no newer one it stays.
    lister.tell(None);
    assert!(keys.verify(&old.callback(), after(86_460)).await.is_ok());
    assert_eq!(lister.asked(), 3);
    lister.tell(Some(&list(&[&new])));
    assert!(matches!(keys.verify(&old.callback(), after(86_470)).await, Err(Refusal::Validation(_))));
}

#[tokio::test]
async fn without_any_list_nothing_is_judged() {
    let key = Key::new(1);
    let lister = Lister::start("").await;
    let keys = AdMobKeys::new(&lister.url).unwrap();
    let start = Instant::now();
    let huge = format!("{}{}", list(&[&key]), " ".repeat(70_000));
    for (turn, told) in [Some("nonsense"), Some(r#"{"keys":[]}"#), Some(&huge), None].into_iter().enumerate()
    {
        lister.tell(told);
        let now = start + Duration::from_secs(turn as u64);
        let refused = keys.verify(&key.callback(), now).await;
        assert!(matches!(refused, Err(Refusal::Unavailable(_))), "{told:?}: {refused:?}");
    }
    lister.tell(Some(&list(&[&key])));
    assert!(keys.verify(&key.callback(), start + Duration::from_secs(4)).await.is_ok(), "a second later");
    assert_eq!(lister.asked(), 5);
    let malformed = keys.verify("key_id=1", start).await;
    assert!(matches!(malformed, Err(Refusal::Validation(_))), "needs no list");
}

#[tokio::test]
async fn a_key_that_is_not_understood_keeps_no_other_from_counting() {
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
    for (place, other) in others.into_iter().enumerate() {
        keys.insert(place % 3, other);
    }
    let lister = Lister::start(&listed.to_string()).await;
    let keys = AdMobKeys::new(&lister.url).unwrap();
    for key in [&old, &new] {
        assert!(keys.verify(&key.callback(), Instant::now()).await.is_ok());
    }
    let unknown = keys.verify(&Key::new(4).callback(), Instant::now()).await;
    assert!(matches!(unknown, Err(Refusal::Validation(_))), "{unknown:?}");
}
