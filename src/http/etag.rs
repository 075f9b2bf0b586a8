//! Responses with an entity tag: 304 if the client has the same.

use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, ETAG, IF_NONE_MATCH, VARY};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use super::headers::etag_matches;
use crate::crypto::sha256_hex;

/// Whether a response is asked for again.
const ASK_AGAIN: &str = "no-cache";
/// What is closed changes only by a revision, which shows after a minute.
const CLOSED: &str = "public, max-age=60, immutable";

/// Responds with JSON and a digest of it as its tag.
pub fn respond(request_headers: &HeaderMap, body: &impl Serialize) -> Response {
    respond_cached(request_headers, body, ASK_AGAIN)
}

/// The same for what everyone may see and is closed, so that caches keep it for a while.
pub fn respond_closed(request_headers: &HeaderMap, body: &impl Serialize) -> Response {
    let mut response = respond_cached(request_headers, body, CLOSED);
    // With a login the response has more.
    response.headers_mut().insert(VARY, HeaderValue::from_static("Authorization"));
    response
}

fn respond_cached(request_headers: &HeaderMap, body: &impl Serialize, caching: &'static str) -> Response {
    let text = to_json(body);
    let tag = format!("\"{}\"", digest(&text));
    send(request_headers, text, tag, caching)
}

/// Responds with JSON and a weak tag (RFC 9110, section 8.8.1): the digest of `compared`, the body without what may differ.
pub fn respond_weakly(
    request_headers: &HeaderMap,
    body: &impl Serialize,
    compared: &impl Serialize,
) -> Response {
    let tag = format!("W/\"{}\"", digest(&to_json(compared)));
    send(request_headers, to_json(body), tag, ASK_AGAIN)
}

fn to_json(body: &impl Serialize) -> String {
    // Only numbers and strings: this cannot fail.
    serde_json::to_string(body).unwrap_or_default()
}

fn digest(text: &str) -> String {
    sha256_hex(&[text.as_bytes()])[..32].to_owned()
}

fn send(request_headers: &HeaderMap, text: String, tag: String, caching: &'static str) -> Response {
    let is_cached =
        request_headers.get(IF_NONE_MATCH).is_some_and(|value| etag_matches(value, tag.as_bytes()));
    let caching = [(CACHE_CONTROL, caching.to_owned()), (ETAG, tag)];
    if is_cached {
        return (StatusCode::NOT_MODIFIED, caching).into_response();
    }
    (caching, [(CONTENT_TYPE, "application/json")], text).into_response()
}
