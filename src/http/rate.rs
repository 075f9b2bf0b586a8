//! The `RateLimit-*` headers (draft-ietf-httpapi-ratelimit-headers, the three-header form) and `Retry-After`.

use axum::http::HeaderValue;
use axum::response::{IntoResponse, Response};

use super::envelope::mark_replayed;
use crate::award::AttemptOutcome;
use crate::error::RateWindow;

/// Whole seconds, rounded up: who waits so long is not refused for having come early. At least 1.
pub fn seconds(ms: u64) -> HeaderValue {
    HeaderValue::from(ms.div_ceil(1000).max(1))
}

/// Tells where a window stands.
pub fn write(response: &mut Response, window: &RateWindow) {
    let headers = response.headers_mut();
    headers.insert("ratelimit-limit", HeaderValue::from(window.limit));
    headers.insert("ratelimit-remaining", HeaderValue::from(window.limit.saturating_sub(window.used)));
    headers.insert("ratelimit-reset", seconds(window.reset_ms));
}

/// Turns an outcome into an answer with its window.
pub fn respond<T>(attempt: AttemptOutcome<T>, show: impl FnOnce(T) -> Response) -> Response {
    let mut response = attempt.outcome.map_or_else(IntoResponse::into_response, show);
    // A refusal for a full window tells of that one itself.
    let told = response.headers().contains_key("ratelimit-limit");
    if let Some(window) = attempt.rate.as_ref().filter(|_| !told) {
        write(&mut response, window);
    }
    if attempt.replayed {
        mark_replayed(&mut response);
    }
    response
}
