//! The board as `/api/v1` shows it: from the node's own snapshot, encoded once.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};

use crate::app::App;
use crate::error::Refusal;
use crate::live::Frame;

/// `GET leaderboard`, with `ETag` and 304.
pub async fn leaderboard(State(app): State<Arc<App>>, headers: HeaderMap) -> Response {
    board(&app, &headers, Frame::answer)
}

/// The board as `encode` writes it, under its version, or 304 if the client has that; 503 before there is one. While Redis is away it carries its `Age`
/// and says that it may be stale; that is another text, so it has another tag.
pub fn board(app: &App, headers: &HeaderMap, encode: fn(&Frame, bool) -> Bytes) -> Response {
    let stale_since_ms = app.health.stale_since_ms();
    let frame = app.hub.newest_frame();
    let version = frame.board.version;
    // A node that was just started has none yet, and an empty one would be older than what a client saw before.
    if version == 0 {
        return Refusal::Unavailable("The board is loaded, please try again").into_response();
    }
    let tag =
        if stale_since_ms.is_some() { format!("\"{version}-stale\"") } else { format!("\"{version}\"") };
    let cached = headers.get(header::IF_NONE_MATCH).is_some_and(|it| names(it, &tag));
    let mut response = if cached {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        let body = encode(&frame, stale_since_ms.is_some());
        ([(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))], body).into_response()
    };
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    if let Ok(tag) = HeaderValue::from_str(&tag) {
        response.headers_mut().insert(header::ETAG, tag);
    }
    if let Some(since_ms) = stale_since_ms {
        let age_s = (app.clock.now_ms() - since_ms).max(0) / 1000;
        response.headers_mut().insert(header::AGE, HeaderValue::from(age_s));
    }
    response
}

/// Whether `If-None-Match` names a tag, weak or strong (RFC 9110, section 13.1.2).
pub fn names(value: &HeaderValue, tag: &str) -> bool {
    let listed = value.to_str().unwrap_or_default().split(',').map(str::trim);
    listed.into_iter().any(|it| it == "*" || it.strip_prefix("W/").unwrap_or(it) == tag)
}
