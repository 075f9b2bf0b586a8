//! The envelope, and the one place that knows which status a code has (contract, section 2).

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use super::rate;
use crate::clock::{Clock, rfc3339, time_of_day};
use crate::error::{Code, Error, Fault, Refusal};

/// The code of an error answer, for the count at the edge.
#[derive(Clone, Copy, Debug)]
pub struct Told(pub Code);

/// An answer in the envelope.
pub fn answer(status: StatusCode, message: &str, data: Value) -> Response {
    let body = json!({ "data": data, "message": message, "statusCode": status.as_u16(), "metadata": {} });
    (status, Json(body)).into_response()
}

/// Marks an answer as the first one again.
pub fn mark_replayed(response: &mut Response) {
    response.headers_mut().insert("idempotent-replayed", HeaderValue::from_static("true"));
}

/// What a code is answered with.
pub fn status(code: Code) -> StatusCode {
    match code {
        Code::Unauthorized | Code::InvalidToken | Code::InvalidCredentials | Code::TokenExpired => {
            StatusCode::UNAUTHORIZED
        }
        Code::Forbidden => StatusCode::FORBIDDEN,
        Code::NotFound | Code::TokenNotFound | Code::UserNotFound => StatusCode::NOT_FOUND,
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
    response.extensions_mut().insert(Told(code));
    response
}

/// What a client needs to get it right, beside the code and the message, which the source documents fix. None of it may depend on a proof.
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
        Refusal::Validation(fields) => {
            let named = fields.iter().map(|it| json!({ "field": it.field, "problem": it.problem }));
            ("fields", named.collect())
        }
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
            // Those who are refused together should not come back together.
            Self::NoSocket => (now_ms, Some(rand::random_range(1000..=5000))),
            _ => (now_ms, None),
        };
        let mut response = error(self.code(), &self.message(), at_ms, details(&self, now_ms));
        if let Some(retry_ms) = retry_ms {
            response.headers_mut().insert(header::RETRY_AFTER, rate::seconds(retry_ms));
        }
        if let Self::RateLimited { window, .. } = &self {
            rate::write(&mut response, window);
        }
        response
    }
}

impl IntoResponse for Fault {
    fn into_response(self) -> Response {
        if self.retryable {
            tracing::warn!(fault = %self, "a store is away");
            return Refusal::Unavailable("The service is not available for the moment, please try again")
                .into_response();
        }
        tracing::error!(fault = %self, "a request failed");
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
