//! The webhook client: signatures, unclear responses, limits, circuit breaker and settings.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use aws_lc_rs::hmac;
use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use laurel::action::proof::AwardResult;
use laurel::action::proof::webhook::{self, Webhook, WebhookConfig, WebhookRequest, WebhookResponse};
use laurel::error::Refusal;
use laurel::metrics::Metrics;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use uuid::Uuid;

use crate::harness::eventually;

const SECRET: &[u8] = b"for tests: twenty-four and more";

/// A game's backend, which responds as the path says: `/valid`, `/slow`, …
pub struct Backend {
    pub base: String,
    requests: AtomicUsize,
    in_flight: AtomicUsize,
    max_in_flight: AtomicUsize,
    /// One permit per response of `/held`.
    released: Semaphore,
}

impl Backend {
    pub async fn start() -> Arc<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let backend = Arc::new(Self {
            base: format!("http://{}", listener.local_addr().unwrap()),
            requests: AtomicUsize::new(0),
            in_flight: AtomicUsize::new(0),
            max_in_flight: AtomicUsize::new(0),
            released: Semaphore::new(0),
        });
        let router = Router::new().route("/{behavior}", post(respond)).with_state(backend.clone());
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        backend
    }

    pub fn requests(&self) -> usize {
        self.requests.load(Ordering::SeqCst)
    }
}

async fn respond(
    State(backend): State<Arc<Backend>>,
    Path(behavior): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let earlier = backend.requests.fetch_add(1, Ordering::SeqCst);
    let valid = || r#"{"valid":true,"difficulty":"hard","note":"of no concern","value":61250}"#.to_owned();
    match behavior.as_str() {
        "valid" if is_signed(&headers, &body) => valid().into_response(),
        "valid" => r#"{"valid":false}"#.into_response(),
        "loot" => {
            let message: Value = serde_json::from_slice(&body).unwrap();
            if message["data"]["proof"]["loot"] == 500 {
                return StatusCode::INTERNAL_SERVER_ERROR.into_response();
            }
            json!({ "valid": message["data"]["proof"]["loot"] == 7, "difficulty": "hard" })
                .to_string()
                .into_response()
        }
        // The response is in the proof.
        "puppet" => {
            let message: Value = serde_json::from_slice(&body).unwrap();
            message["data"]["proof"]["response"].to_string().into_response()
        }
        "third-time" if earlier > 1 => valid().into_response(),
        "held" => {
            let in_flight = backend.in_flight.fetch_add(1, Ordering::SeqCst) + 1;
            backend.max_in_flight.fetch_max(in_flight, Ordering::SeqCst);
            backend.released.acquire().await.unwrap().forget();
            backend.in_flight.fetch_sub(1, Ordering::SeqCst);
            valid().into_response()
        }
        "echo" => json!({ "valid": serde_json::from_slice::<Value>(&body).unwrap() == expected() })
            .to_string()
            .into_response(),
        "slow" => std::future::pending().await,
        "created" => (StatusCode::CREATED, valid()).into_response(),
        "redirect" => (StatusCode::TEMPORARY_REDIRECT, [(header::LOCATION, "/valid")]).into_response(),
        "garbage" => "yes".into_response(),
        "text" => r#"{"valid":"true"}"#.into_response(),
        "silent" => r#"{"difficulty":"hard"}"#.into_response(),
        "huge" => format!("{}{}", valid(), " ".repeat(20_000)).into_response(),
        "wordy" => json!({ "valid": true, "difficulty": "x".repeat(65) }).to_string().into_response(),
        _ => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

/// Verifies a signature by the rules of Standard Webhooks.
fn is_signed(headers: &HeaderMap, body: &[u8]) -> bool {
    let text = |name: &str| headers[name].to_str().unwrap();
    let mut message = format!("{}.{}.", text("webhook-id"), text("webhook-timestamp")).into_bytes();
    message.extend_from_slice(body);
    let tag = STANDARD.decode(text("webhook-signature").strip_prefix("v1,").unwrap()).unwrap();
    let key = hmac::Key::new(hmac::HMAC_SHA256, SECRET);
    text("webhook-timestamp") == "1704449105" && hmac::verify(&key, &message, &tag).is_ok()
}

/// The message that the client sends.
fn expected() -> Value {
    json!({
        "type": "proof.submitted",
        "timestamp": "2024-01-05T10:05:05.007Z",
        "data": { "userId": Uuid::from_u128(1), "actionType": "raid", "tokenId": "t1", "proof": { "loot": 7 } },
    })
}

fn config(url: &str) -> WebhookConfig {
    let secret = format!("whsec_{}", STANDARD.encode(SECRET));
    WebhookConfig {
        url: url.to_owned().into(),
        secret: secret.into(),
        timeout_ms: 5000,
        max_in_flight: webhook::MAX_IN_FLIGHT,
        opens_after: webhook::OPENS_AFTER,
        open_ms: webhook::OPEN_MS,
    }
}

/// Has a player's proof verified.
async fn call(hook: &Webhook, metrics: &Metrics) -> Result<WebhookResponse, Refusal> {
    call_for(1, hook, metrics).await
}

async fn call_for(user: u128, hook: &Webhook, metrics: &Metrics) -> Result<WebhookResponse, Refusal> {
    let proof = json!({ "loot": 7 });
    let request = WebhookRequest {
        user: Uuid::from_u128(user),
        action: "raid",
        token_id: "t1",
        proof: proof.as_object(),
        now_ms: 1_704_449_105_007,
    };
    hook.call(request, metrics).await
}

fn is_unavailable(response: &Result<WebhookResponse, Refusal>) -> bool {
    matches!(response, Err(Refusal::Unavailable(_)))
}

fn calls(metrics: &Metrics, result: &str) -> u64 {
    metrics.webhook_calls.with_label_values(&[result]).get()
}

#[tokio::test]
async fn a_signed_request_gets_its_response() {
    let (backend, metrics) = (Backend::start().await, Metrics::default());
    let hook = Webhook::new(&config(&format!("{}/valid", backend.base))).unwrap();
    let award = AwardResult { value: Some(61_250), ..AwardResult::default() };
    let hard = WebhookResponse { valid: true, difficulty: Some("hard".into()), award };
    assert_eq!(call(&hook, &metrics).await.unwrap(), hard);
    let hook = Webhook::new(&config(&format!("{}/echo", backend.base))).unwrap();
    let plain = WebhookResponse { valid: true, difficulty: None, award: AwardResult::default() };
    assert_eq!(call(&hook, &metrics).await.unwrap(), plain);

    let mut other_secret = config(&format!("{}/valid", backend.base));
    other_secret.secret = format!("whsec_{}", STANDARD.encode([7; 24])).into();
    let hook = Webhook::new(&other_secret).unwrap();
    assert!(!call(&hook, &metrics).await.unwrap().valid, "the backend must refuse another secret");
    // The metric must not reveal whether the proof is valid, because the token is not spent yet.
    assert_eq!(calls(&metrics, "answered"), 3);
}

#[tokio::test]
async fn an_unclear_response_is_unavailable() {
    let (backend, metrics) = (Backend::start().await, Metrics::default());
    let paths = ["broken", "created", "redirect", "garbage", "text", "silent", "huge", "wordy"];
    for path in paths {
        let hook = Webhook::new(&config(&format!("{}/{path}", backend.base))).unwrap();
        let response = call(&hook, &metrics).await;
        assert!(is_unavailable(&response), "{path}: {response:?}");
    }
    assert_eq!(backend.requests(), paths.len(), "a redirect must not be followed");
    let slow = WebhookConfig { timeout_ms: 50, ..config(&format!("{}/slow", backend.base)) };
    assert!(is_unavailable(&call(&Webhook::new(&slow).unwrap(), &metrics).await));
    let closed_port = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    assert!(is_unavailable(
        &call(&Webhook::new(&config(&format!("http://{closed_port}"))).unwrap(), &metrics).await
    ));
    assert_eq!(calls(&metrics, "failed"), paths.len() as u64 + 2);
}

#[tokio::test]
async fn the_breaker_stops_calls_to_a_failing_backend() {
    let (backend, metrics) = (Backend::start().await, Metrics::default());
    let broken = WebhookConfig { opens_after: 2, ..config(&format!("{}/broken", backend.base)) };
    let hook = Webhook::new(&broken).unwrap();
    for _ in 0..50 {
        assert!(is_unavailable(&call(&hook, &metrics).await));
    }
    assert_eq!((backend.requests(), calls(&metrics, "open_for_user")), (2, 48));
    // Another player's failure is the second in a row, and opens the breaker for all.
    for _ in 0..50 {
        assert!(is_unavailable(&call_for(2, &hook, &metrics).await));
    }
    assert_eq!((backend.requests(), calls(&metrics, "open")), (3, 49));
}

#[tokio::test]
async fn a_successful_trial_closes_the_breaker() {
    let (backend, metrics) = (Backend::start().await, Metrics::default());
    let url = format!("{}/third-time", backend.base);
    let hook = Webhook::new(&WebhookConfig { opens_after: 2, open_ms: 50, ..config(&url) }).unwrap();
    assert!(is_unavailable(&call(&hook, &metrics).await) && is_unavailable(&call(&hook, &metrics).await));
    eventually("a successful trial", async || call(&hook, &metrics).await.ok()).await;
    assert_eq!(backend.requests(), 3);
    assert!(call(&hook, &metrics).await.unwrap().valid);
}

#[tokio::test]
async fn concurrent_calls_are_limited() {
    let (backend, metrics) = (Backend::start().await, Metrics::default());
    let url = format!("{}/held", backend.base);
    let hook = Webhook::new(&WebhookConfig { max_in_flight: 2, ..config(&url) }).unwrap();
    let release = async {
        eventually("two requests in flight", async || (backend.requests() == 2).then_some(())).await;
        backend.released.add_permits(10);
    };
    let calling = futures::future::join_all((0..10).map(|_| call(&hook, &metrics)));
    let (responses, ()) = tokio::join!(calling, release);
    assert!(responses.iter().all(Result::is_ok), "{responses:?}");
    assert_eq!(backend.max_in_flight.load(Ordering::SeqCst), 2);

    let hook = WebhookConfig { max_in_flight: 1, timeout_ms: 100, ..config(&url) };
    let hook = Webhook::new(&hook).unwrap();
    let responses = futures::future::join_all((0..5).map(|_| call(&hook, &metrics))).await;
    assert!(responses.iter().all(is_unavailable), "{responses:?}");
    assert!(calls(&metrics, "busy") >= 1, "a call that waits too long for a slot must be counted");
}

#[test]
fn invalid_settings_are_refused() {
    let valid = || config("https://game.example/judge");
    assert!(Webhook::new(&valid()).is_ok());
    let invalid = [
        WebhookConfig { url: "ftp://game.example".to_owned().into(), ..valid() },
        WebhookConfig { url: "game.example".to_owned().into(), ..valid() },
        WebhookConfig { secret: "whsec_c2hvcnQ=".to_owned().into(), ..valid() },
        WebhookConfig { timeout_ms: 0, ..valid() },
        WebhookConfig { max_in_flight: 0, ..valid() },
        WebhookConfig { opens_after: 0, ..valid() },
    ];
    for config in invalid {
        let problems = Webhook::new(&config).unwrap_err();
        let hides_secret = problems[0].starts_with("proof.") && !problems[0].contains("c2hvcnQ");
        assert!(problems.len() == 1 && hides_secret, "{problems:?}");
    }
}
