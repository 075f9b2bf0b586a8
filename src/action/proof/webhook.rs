//! `webhook`: the game's own backend judges a proof. The request is signed as Standard Webhooks says
//! (github.com/standard-webhooks/standard-webhooks), so that the backend knows who asks. Whatever is not a clear answer is
//! none: the caller is told to come back, and the token stays unspent.

mod breaker;
mod signature;
mod traced;

use std::fmt;
use std::time::{Duration, Instant};

use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderValue};
use reqwest::{StatusCode, Url};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use tokio::sync::Semaphore;
use uuid::Uuid;

use crate::clock::rfc3339;
use crate::config::Secret;
use crate::error::Refusal;
use crate::metrics::Metrics;
use crate::traces;
use breaker::{Breaker, Shut};
use signature::SigningKey;

/// Longer answers are no answers.
const MAX_ANSWER_BYTES: usize = 16 * 1024;
/// A word such as `hard`; longer ones make the answer malformed.
const MAX_DIFFICULTY_BYTES: usize = 64;
/// What a caller hears while the backend cannot be asked.
const UNAVAILABLE: Refusal =
    Refusal::Unavailable("The proof cannot be checked for the moment, please try again");

/// A hook as it stands in the catalogue's file.
#[derive(Clone, Debug)]
pub struct WebhookConfig {
    /// Where to ask: http or https. It may carry a password, so it is not printed.
    pub url: Secret,
    /// `whsec_` and the base64 of 24 to 64 random bytes.
    pub secret: Secret,
    /// An answer that takes longer is none: 1 to 5000.
    pub timeout_ms: u64,
    /// Requests under way at once: 1 to 10000. Beyond it callers wait for a place, as long as for an answer.
    pub max_in_flight: usize,
    /// After failures in a row of so many players nobody asks for a while; after so many of one player, that player: at least 1.
    pub opens_after: u32,
    /// For so long; then one request tries.
    pub open_ms: u64,
}

/// `timeout_ms` where the file leaves it out.
pub const TIMEOUT_MS: u64 = 2000;
/// `max_in_flight` where the file leaves it out.
pub const MAX_IN_FLIGHT: usize = 64;
/// `opens_after` where the file leaves it out.
pub const OPENS_AFTER: u32 = 5;
/// `open_ms` where the file leaves it out.
pub const OPEN_MS: u64 = 10_000;

/// One backend that can be asked.
pub struct Webhook {
    client: reqwest::Client,
    url: Url,
    key: SigningKey,
    timeout: Duration,
    places: Semaphore,
    breaker: Breaker,
}

/// What the backend is asked.
#[derive(Clone, Copy, Debug)]
pub struct Question<'a> {
    /// Who did it.
    pub user: Uuid,
    /// The action's type.
    pub action: &'a str,
    /// The token that is to be redeemed: the same in every try of one proof.
    pub token_id: &'a str,
    /// What the client handed in.
    pub proof: Option<&'a Map<String, Value>>,
    /// The node's clock, in milliseconds: the backend refuses what is old.
    pub now_ms: i64,
}

/// What the backend says.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Judgement {
    /// Whether the proof verifies.
    pub valid: bool,
    /// How hard what was done is, in a word of the game's.
    #[serde(default)]
    pub difficulty: Option<String>,
}

/// Why there is no judgement.
enum NoAnswer {
    /// The backend answers, with a status that says the question is wrong.
    Refused(u16),
    /// The backend is slow, broken or away.
    Failed(String),
}

impl<T: Into<String>> From<T> for NoAnswer {
    fn from(why: T) -> Self {
        Self::Failed(why.into())
    }
}

impl fmt::Debug for Webhook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Webhook").field("host", &self.url.host_str()).finish_non_exhaustive()
    }
}

impl Webhook {
    /// A hook as the catalogue says.
    ///
    /// # Errors
    /// Everything that is impossible about it, without the secret.
    pub fn new(config: &WebhookConfig) -> Result<Self, Vec<String>> {
        let url = Url::parse(config.url.expose()).ok().filter(|it| ["http", "https"].contains(&it.scheme()));
        let key = SigningKey::read(config.secret.expose());
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
        // A redirect would carry the signed proof elsewhere, and a proxy of the environment would read it.
        let client = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).no_proxy();
        Ok(Self {
            client: client.build().map_err(|error| vec![format!("the webhook's client: {error}")])?,
            url,
            key,
            timeout: Duration::from_millis(config.timeout_ms),
            places: Semaphore::new(config.max_in_flight),
            breaker: Breaker::new(config.opens_after, Duration::from_millis(config.open_ms)),
        })
    }

    /// The longest time that an answer may take, in ms; the wait for a place to ask may take as long.
    pub fn timeout_ms(&self) -> u64 {
        self.timeout.as_millis() as u64
    }

    /// Asks the backend about one proof. The metric does not say what the backend answered, for the token is not spent yet.
    ///
    /// # Errors
    /// `Unavailable`: no clear answer within the time-out, no place to ask within as much again, or too many failures just before.
    pub async fn ask(&self, question: Question<'_>, metrics: &Metrics) -> Result<Judgement, Refusal> {
        let (result, judged) = self.try_to_ask(question).await;
        metrics.webhook_calls.with_label_values(&[result]).inc();
        judged.ok_or(UNAVAILABLE)
    }

    /// The answer, and a word for the metric.
    async fn try_to_ask(&self, question: Question<'_>) -> (&'static str, Option<Judgement>) {
        let user = question.user;
        if let Some(shut) = self.breaker.is_shut(user, Instant::now()) {
            return (word(shut), None);
        }
        let Ok(Ok(_place)) = tokio::time::timeout(self.timeout, self.places.acquire()).await else {
            return ("busy", None);
        };
        let call = match self.breaker.admit(user, Instant::now()) {
            Ok(call) => call,
            Err(shut) => return (word(shut), None),
        };
        // The backend has all its time, however long the place took: the breaker is to judge it alone.
        let span = traced::begin(&self.url);
        let answer = traces::within(&span, tokio::time::timeout(self.timeout, self.call(question))).await;
        traced::end(span, &answer);
        match answer.unwrap_or_else(|_| Err(NoAnswer::Failed("no answer in time".into()))) {
            Ok(judgement) => {
                call.succeeded();
                ("answered", Some(judgement))
            }
            // It answers, but does not like what the player sent: that must not close it for the others.
            Err(NoAnswer::Refused(status)) => {
                tracing::debug!(action = question.action, status, "a webhook refused a question");
                ("refused", None)
            }
            Err(NoAnswer::Failed(why)) => {
                call.failed(Instant::now());
                tracing::warn!(action = question.action, why, "a webhook gave no answer");
                ("failed", None)
            }
        }
    }

    async fn call(&self, question: Question<'_>) -> Result<Judgement, NoAnswer> {
        let (headers, body) = self.write(question)?;
        let request = self.client.post(self.url.clone()).headers(headers).body(body);
        let mut response = request.send().await.map_err(told)?;
        let status = response.status();
        let passing = [StatusCode::REQUEST_TIMEOUT, StatusCode::TOO_MANY_REQUESTS];
        if status.is_client_error() && !passing.contains(&status) {
            return Err(NoAnswer::Refused(status.as_u16()));
        }
        if status != StatusCode::OK {
            return Err(format!("status {}", status.as_u16()).into());
        }
        let mut answer = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(told)? {
            if answer.len() + chunk.len() > MAX_ANSWER_BYTES {
                return Err("the answer is too long".into());
            }
            answer.extend_from_slice(&chunk);
        }
        // The error's text could quote the answer, so it is left out.
        let judgement: Judgement = serde_json::from_slice(&answer).map_err(|_| "the answer is malformed")?;
        match &judgement.difficulty {
            Some(difficulty) if difficulty.len() > MAX_DIFFICULTY_BYTES => {
                Err("the difficulty is too long".into())
            }
            _ => Ok(judgement),
        }
    }

    /// The signed message. Every one has an id of its own, a repeat too: the backend is to judge again, not to recognise it.
    fn write(&self, question: Question<'_>) -> Result<(HeaderMap, String), String> {
        let data = json!({
            "userId": question.user,
            "actionType": question.action,
            "tokenId": question.token_id,
            "proof": question.proof,
        });
        let body = json!({ "type": "proof.submitted", "timestamp": rfc3339(question.now_ms), "data": data });
        let body = body.to_string();
        let id = format!("msg_{}", Uuid::new_v4().simple());
        let at_s = (question.now_ms / 1000).to_string();
        let signature = self.key.sign(&id, &at_s, &body);
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        for (name, value) in
            [("webhook-id", id), ("webhook-timestamp", at_s), ("webhook-signature", signature)]
        {
            headers.insert(name, HeaderValue::from_str(&value).map_err(|error| error.to_string())?);
        }
        traced::pass_on(&mut headers);
        Ok((headers, body))
    }
}

fn word(shut: Shut) -> &'static str {
    match shut {
        Shut::ForAll => "open",
        Shut::ForUser => "open_for_user",
    }
}

/// What went wrong, without the URL and all its causes in one line.
fn told(error: reqwest::Error) -> String {
    let error = error.without_url();
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(&error);
    while let Some(inner) = cause {
        text = format!("{text}: {inner}");
        cause = inner.source();
    }
    text
}
