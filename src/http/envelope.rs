//! Responses: the envelope of `/api`, the status of each error code, and the `RateLimit-*` and `Retry-After` headers. This is the only
//! file that maps errors to HTTP.

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde_json::{Value, json};

use crate::clock::{Clock, rfc3339, time_of_day};
use crate::error::{Code, Error, Fault, RateWindow, Refusal};
use crate::rate_limit::AttemptOutcome;

/// The error code of a response, in its extensions. The edge counts it.
#[derive(Clone, Copy, Debug)]
pub struct ErrorCode(pub Code);

/// A success in the envelope.
pub fn answer(status: StatusCode, message: &str, data: impl Serialize) -> Response {
    let envelope = Envelope { data, message, status_code: status.as_u16(), metadata: NoMetadata {} };
    (status, Json(envelope)).into_response()
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Envelope<'a, T> {
    data: T,
    message: &'a str,
    status_code: u16,
    metadata: NoMetadata,
}

#[derive(Serialize)]
struct NoMetadata {}

/// Marks a response as replayed for a repeated `Idempotency-Key`.
pub fn mark_replayed(response: &mut Response) {
    response.headers_mut().insert("idempotent-replayed", HeaderValue::from_static("true"));
}

/// The HTTP status of an error code.
pub fn status(code: Code) -> StatusCode {
    match code {
        Code::Unauthorized | Code::InvalidToken | Code::InvalidCredentials | Code::TokenExpired => {
            StatusCode::UNAUTHORIZED
        }
        Code::Forbidden => StatusCode::FORBIDDEN,
        Code::NotFound
        | Code::TokenNotFound
        | Code::UserNotFound
        | Code::BoardNotFound
        | Code::PeriodNotFound => StatusCode::NOT_FOUND,
        Code::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
        Code::TokenAlreadyUsed | Code::SessionMismatch | Code::AlreadyExists | Code::IdempotencyMismatch => {
            StatusCode::CONFLICT
        }
        Code::PayloadTooLarge => StatusCode::PAYLOAD_TOO_LARGE,
        Code::UnsupportedMediaType => StatusCode::UNSUPPORTED_MEDIA_TYPE,
        Code::ProofInvalid => StatusCode::UNPROCESSABLE_ENTITY,
        Code::InvalidAction | Code::InvalidPoints | Code::ValidationError => StatusCode::BAD_REQUEST,
        Code::RateLimitExceeded | Code::ActionLimitReached => StatusCode::TOO_MANY_REQUESTS,
        Code::ServiceUnavailable => StatusCode::SERVICE_UNAVAILABLE,
        Code::InternalError => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

fn error(code: Code, message: &str, at_ms: i64, details: Option<(&str, Value)>) -> Response {
    let status = status(code);
    let mut metadata = json!({ "errorCode": code.as_str(), "timestamp": rfc3339(at_ms) });
    if let Some((name, value)) = details {
        metadata[name] = value;
    }
    let body =
        json!({ "data": null, "message": message, "statusCode": status.as_u16(), "metadata": metadata });
    let mut response = (status, Json(body)).into_response();
    response.extensions_mut().insert(ErrorCode(code));
    response
}

/// Extra metadata that helps a client to correct its request. It must not depend on a proof's content.
fn details(refusal: &Refusal, now_ms: i64) -> Option<(&'static str, Value)> {
    let resets_at = |ms: u64| rfc3339(now_ms + ms as i64);
    Some(match refusal {
        Refusal::Unauthorized => ("expected", json!("Authorization: Bearer <access token>")),
        Refusal::AccessTokenTooLong { max_bytes } => {
            ("expected", json!(format!("an access token of at most {max_bytes} bytes")))
        }
        Refusal::InvalidAction { valid } => ("validActionTypes", json!(valid)),
        Refusal::ActionClosed { opens_at_ms, closes_at_ms } => {
            ("openUtc", json!({ "from": time_of_day(*opens_at_ms), "to": time_of_day(*closes_at_ms) }))
        }
        Refusal::InvalidPoints { expected } => ("expectedPoints", json!(expected)),
        Refusal::RateLimited { limit, window } => {
            let resets_at = resets_at(window.reset_ms);
            ("limit", json!({ "name": limit, "max": window.limit, "resetsAt": resets_at }))
        }
        Refusal::ActionLimited { limit, wait_ms } => {
            ("limit", json!({ "name": limit, "resetsAt": resets_at(*wait_ms) }))
        }
        Refusal::Validation(fields) => (
            "fields",
            fields.iter().map(|error| json!({ "field": error.field, "problem": error.problem })).collect(),
        ),
        _ => return None,
    })
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let now_ms = Clock::default().now_ms();
        let (at_ms, retry_ms) = match &self {
            Self::ProofInvalid { at_ms } => (*at_ms, None),
            Self::RateLimited { window, .. } => (now_ms, Some(window.reset_ms)),
            Self::ActionLimited { wait_ms, .. } => (now_ms, Some(*wait_ms)),
            Self::Unavailable(_) => (now_ms, Some(1000)),
            // A random delay spreads the retries of clients that are refused together.
            Self::NoSocket => (now_ms, Some(rand::random_range(1000..=5000))),
            _ => (now_ms, None),
        };
        let mut response = error(self.code(), &self.message(), at_ms, details(&self, now_ms));
        if let Some(retry_ms) = retry_ms {
            response.headers_mut().insert(header::RETRY_AFTER, seconds(retry_ms));
        }
        if let Self::RateLimited { window, .. } = &self {
            write_rate_limit(&mut response, window);
        }
        response
    }
}

impl IntoResponse for Fault {
    fn into_response(self) -> Response {
        if self.retryable {
            tracing::warn!(fault = %self, "store unavailable, request answered with 503");
            return Refusal::Unavailable("The service is temporarily unavailable, please try again")
                .into_response();
        }
        tracing::error!(fault = %self, "request failed");
        error(
            Code::InternalError,
            "Something went wrong, please try again later",
            Clock::default().now_ms(),
            None,
        )
    }
}

impl IntoResponse for Error {
    fn into_response(self) -> Response {
        match self {
            Self::Refused(refusal) => refusal.into_response(),
            Self::Fault(fault) => fault.into_response(),
        }
    }
}

/// Milliseconds as whole seconds, rounded up and at least 1, so that a client that waits this long is not early.
pub fn seconds(ms: u64) -> HeaderValue {
    HeaderValue::from(ms.div_ceil(1000).max(1))
}

/// Writes the `RateLimit-*` headers (draft-ietf-httpapi-ratelimit-headers, the three-header form).
fn write_rate_limit(response: &mut Response, window: &RateWindow) {
    let headers = response.headers_mut();
    headers.insert("ratelimit-limit", HeaderValue::from(window.limit));
    headers.insert("ratelimit-remaining", HeaderValue::from(window.limit.saturating_sub(window.used)));
    headers.insert("ratelimit-reset", seconds(window.reset_ms));
}

/// Turns the outcome of a rate-limited request into a response with the `RateLimit-*` headers.
pub fn respond<T>(attempt: AttemptOutcome<T>, show: impl FnOnce(T) -> Response) -> Response {
    let mut response = attempt.outcome.map_or_else(IntoResponse::into_response, show);
    // A refusal for a full window already has the headers of that window.
    let has_headers = response.headers().contains_key("ratelimit-limit");
    if let Some(window) = attempt.rate.as_ref().filter(|_| !has_headers) {
        write_rate_limit(&mut response, window);
    }
    if attempt.replayed {
        mark_replayed(&mut response);
    }
    response
}
