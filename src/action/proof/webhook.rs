//! `webhook`: the game's own backend decides whether a proof is valid. Requests are signed as in Standard Webhooks
//! (github.com/standard-webhooks/standard-webhooks), so that the backend can authenticate them. If the response is not clear, the player gets
//! a 503 and the token stays unspent.

mod breaker;
mod request;

use std::fmt;
use std::time::{Duration, Instant};

use reqwest::{StatusCode, Url};
use serde::Deserialize;
use serde_json::{Map, Value};
use tokio::sync::Semaphore;
use tokio::time::error::Elapsed;

use super::AwardResult;
use crate::config::Secret;
use crate::error::Refusal;
use crate::metrics::Metrics;
use crate::traces::{self, Span, SpanKind};
use breaker::{Breaker, Shut};
pub use request::WebhookRequest;
use request::{SigningKey, write};

/// The longest response body, in bytes.
const MAX_RESPONSE_BYTES: usize = 16 * 1024;
/// The longest `difficulty` in a response, in bytes.
const MAX_DIFFICULTY_BYTES: usize = 64;
/// The refusal if the backend gave no clear response.
const UNAVAILABLE: Refusal =
    Refusal::Unavailable("The proof cannot be checked now. Your token is still valid. Try again.");

/// The settings of a webhook in the catalogue file.
#[derive(Clone, Debug)]
pub struct WebhookConfig {
    /// The http or https URL to call. It may contain a password, so it is never printed.
    pub url: Secret,
    /// The signing secret: `whsec_` and the base64 of 24 to 64 random bytes.
    pub secret: Secret,
    /// The longest time to wait for a response: 1 to 5000 ms.
    pub timeout_ms: u64,
    /// The most concurrent requests: 1 to 10000. Further callers wait for a slot for up to `timeout_ms`.
    pub max_in_flight: usize,
    /// The circuit breaker opens for all players after this many of them failed in a row, and for one player after as many failures of
    /// that player. At least 1.
    pub opens_after: u32,
    /// How long a breaker stays open, in ms. Then one request is tried.
    pub open_ms: u64,
}

/// The default of `timeout_ms`.
pub const TIMEOUT_MS: u64 = 2000;
/// The default of `max_in_flight`.
pub const MAX_IN_FLIGHT: usize = 64;
/// The default of `opens_after`.
pub const OPENS_AFTER: u32 = 5;
/// The default of `open_ms`.
pub const OPEN_MS: u64 = 10_000;

/// A client for one backend.
pub struct Webhook {
    client: reqwest::Client,
    url: Url,
    key: SigningKey,
    timeout: Duration,
    slots: Semaphore,
    breaker: Breaker,
}

/// The backend's response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WebhookResponse {
    /// True if the proof is valid.
    pub valid: bool,
    /// The difficulty, which selects `points_by_difficulty`.
    pub difficulty: Option<String>,
    /// Its `value`, `subscore` and `tags`. If one of them is invalid, the proof is too.
    pub award: AwardResult,
}

#[derive(Deserialize)]
struct ResponseBody {
    valid: bool,
    difficulty: Option<String>,
    #[serde(flatten)]
    others: Map<String, Value>,
}

/// Why there is no response.
enum WebhookError {
    /// The backend rejected the request with this status (4xx).
    Refused(u16),
    /// The backend is slow, broken or unreachable.
    Failed(String),
}

impl<T: Into<String>> From<T> for WebhookError {
    fn from(reason: T) -> Self {
        Self::Failed(reason.into())
    }
}

impl fmt::Debug for Webhook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Webhook").field("host", &self.url.host_str()).finish_non_exhaustive()
    }
}

impl Webhook {
    /// Checks the settings and creates the client.
    ///
    /// # Errors
    /// Every invalid setting, without the secret.
    pub fn new(config: &WebhookConfig) -> Result<Self, Vec<String>> {
        let url =
            Url::parse(config.url.expose()).ok().filter(|url| ["http", "https"].contains(&url.scheme()));
        let key = SigningKey::parse(config.secret.expose());
        let mut problems: Vec<String> = key.as_ref().err().cloned().into_iter().collect();
        for (holds, problem) in [
            (url.is_some(), "proof.url must be a URL that begins with http:// or https://"),
            ((1..=5000).contains(&config.timeout_ms), "proof.timeout_ms must be between 1 and 5000"),
            ((1..=10_000).contains(&config.max_in_flight), "proof.max_in_flight must be between 1 and 10000"),
            (config.opens_after > 0, "proof.opens_after must be at least 1"),
        ] {
            if !holds {
                problems.push(problem.to_owned());
            }
        }
        let (Some(url), Ok(key), true) = (url, key, problems.is_empty()) else { return Err(problems) };
        // A redirect would send the signed proof to another server, and a proxy from the environment could read it.
        let client = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).no_proxy();
        Ok(Self {
            client: client
                .build()
                .map_err(|error| vec![format!("cannot create the HTTP client: {error}")])?,
            url,
            key,
            timeout: Duration::from_millis(config.timeout_ms),
            slots: Semaphore::new(config.max_in_flight),
            breaker: Breaker::new(config.opens_after, Duration::from_millis(config.open_ms)),
        })
    }

    /// The longest time to wait for a response, in ms. Waiting for a slot may take as long again.
    pub fn timeout_ms(&self) -> u64 {
        self.timeout.as_millis() as u64
    }

    /// Asks the backend about one proof. The metric does not show whether the proof is valid, because the token is not spent yet.
    ///
    /// # Errors
    /// `Unavailable`: no slot or no clear response within the timeout, or a circuit breaker is open.
    pub async fn call(
        &self,
        request: WebhookRequest<'_>,
        metrics: &Metrics,
    ) -> Result<WebhookResponse, Refusal> {
        let (result, response) = self.try_call(request).await;
        metrics.webhook_calls.with_label_values(&[result]).inc();
        response.ok_or(UNAVAILABLE)
    }

    /// Returns the metric's label with the response.
    async fn try_call(&self, request: WebhookRequest<'_>) -> (&'static str, Option<WebhookResponse>) {
        let user = request.user;
        if let Some(shut) = self.breaker.is_shut(user, Instant::now()) {
            return (breaker_label(shut), None);
        }
        let Ok(Ok(_slot)) = tokio::time::timeout(self.timeout, self.slots.acquire()).await else {
            return ("busy", None);
        };
        let call = match self.breaker.admit(user, Instant::now()) {
            Ok(call) => call,
            Err(shut) => return (breaker_label(shut), None),
        };
        // The backend gets the full timeout, however long the slot took: the breaker must only measure the backend.
        let span = start_span(&self.url);
        let response = traces::within(&span, tokio::time::timeout(self.timeout, self.send(request))).await;
        end_span(span, &response);
        match response.unwrap_or_else(|_| Err(WebhookError::Failed("timed out".into()))) {
            Ok(response) => {
                call.succeeded();
                ("answered", Some(response))
            }
            // The backend works, but rejects what the player sent: that must not open the breaker for the others.
            Err(WebhookError::Refused(status)) => {
                tracing::debug!(action = request.action, status, "webhook rejected the request");
                ("refused", None)
            }
            Err(WebhookError::Failed(error)) => {
                call.failed(Instant::now());
                tracing::warn!(action = request.action, host = self.url.host_str(), error, "webhook failed");
                ("failed", None)
            }
        }
    }

    async fn send(&self, request: WebhookRequest<'_>) -> Result<WebhookResponse, WebhookError> {
        let (headers, body) = write(request, &self.key)?;
        let action = request.action;
        let request = self.client.post(self.url.clone()).headers(headers).body(body);
        let mut response = request.send().await.map_err(error_text)?;
        let status = response.status();
        let temporary = [StatusCode::REQUEST_TIMEOUT, StatusCode::TOO_MANY_REQUESTS];
        if status.is_client_error() && !temporary.contains(&status) {
            return Err(WebhookError::Refused(status.as_u16()));
        }
        if status != StatusCode::OK {
            return Err(format!("status {}", status.as_u16()).into());
        }
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(error_text)? {
            if body.len() + chunk.len() > MAX_RESPONSE_BYTES {
                return Err("the response is too long".into());
            }
            body.extend_from_slice(&chunk);
        }
        // The parser's message could quote the response, so it is not logged.
        let ResponseBody { valid, difficulty, others } =
            serde_json::from_slice(&body).map_err(|_| "the response is malformed")?;
        if difficulty.as_ref().is_some_and(|difficulty| difficulty.len() > MAX_DIFFICULTY_BYTES) {
            return Err("the difficulty is too long".into());
        }
        let award = AwardResult::read(&others);
        if award.is_none() {
            let host = self.url.host_str();
            tracing::warn!(
                action,
                host,
                "webhook sent an invalid value, subscore or tag: see docs/proofs.md"
            );
        }
        Ok(WebhookResponse { valid: valid && award.is_some(), difficulty, award: award.unwrap_or_default() })
    }
}

/// Starts the span of a request, with OpenTelemetry's names for HTTP clients. It shows the URL's host only; the rest may be secret.
fn start_span(url: &Url) -> Span {
    let mut span = traces::child(SpanKind::Client, || "POST".into());
    if span.is_sampled() {
        span.set("http.request.method", "POST");
        span.set("server.address", url.host_str().unwrap_or_default().to_owned());
        span.set("server.port", i64::from(url.port_or_known_default().unwrap_or_default()));
    }
    span
}

fn end_span(mut span: Span, response: &Result<Result<WebhookResponse, WebhookError>, Elapsed>) {
    match response {
        Ok(Ok(_)) => span.set("http.response.status_code", 200),
        Ok(Err(WebhookError::Refused(status))) => {
            span.set("http.response.status_code", i64::from(*status));
            span.fail(status.to_string());
        }
        Ok(Err(WebhookError::Failed(_))) => span.fail("_OTHER"),
        Err(_) => span.fail("timeout"),
    }
}

fn breaker_label(shut: Shut) -> &'static str {
    match shut {
        Shut::ForAll => "open",
        Shut::ForUser => "open_for_user",
    }
}

/// The error and its causes in one line, without the URL.
fn error_text(error: reqwest::Error) -> String {
    let error = error.without_url();
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(&error);
    while let Some(inner) = cause {
        text = format!("{text}: {inner}");
        cause = inner.source();
    }
    text
}
