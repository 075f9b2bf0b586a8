//! Responses with an entity tag: 304 if the client has the same.

use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, ETAG, IF_NONE_MATCH};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use super::headers::etag_matches;
use crate::crypto::sha256_hex;

/// Responds with JSON and a digest of it as its tag.
pub fn respond(request_headers: &HeaderMap, body: &impl Serialize) -> Response {
    // Only numbers and strings: this cannot fail.
    let text = serde_json::to_string(body).unwrap_or_default();
    let tag = format!("\"{}\"", &sha256_hex(&[text.as_bytes()])[..32]);
    let is_cached =
        request_headers.get(IF_NONE_MATCH).is_some_and(|value| etag_matches(value, tag.as_bytes()));
    let caching = [(CACHE_CONTROL, "no-cache".to_owned()), (ETAG, tag)];
    if is_cached {
        return (StatusCode::NOT_MODIFIED, caching).into_response();
    }
    (caching, [(CONTENT_TYPE, "application/json")], text).into_response()
}
