//! The board as `/api/v1` shows it: from the node's own snapshot, encoded once.

use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};

use crate::app::App;
use crate::error::Refusal;
use crate::live::Frame;

/// `GET leaderboard`, with `ETag` and 304.
pub async fn leaderboard(State(app): State<Arc<App>>, request: Request) -> Response {
    board(&app, request.headers(), Frame::answer)
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
    let is_stale = stale_since_ms.is_some();
    let tag = frame.tag(is_stale);
    let cached = headers.get(header::IF_NONE_MATCH).is_some_and(|it| names(it, &tag));
    let mut response = if cached {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        let json = HeaderValue::from_static("application/json");
        ([(header::CONTENT_TYPE, json)], Body::from(encode(&frame, is_stale))).into_response()
    };
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    if let Ok(tag) = HeaderValue::from_maybe_shared(tag) {
        response.headers_mut().insert(header::ETAG, tag);
    }
    if let Some(since_ms) = stale_since_ms {
        let age_s = (app.clock.now_ms() - since_ms).max(0) / 1000;
        response.headers_mut().insert(header::AGE, HeaderValue::from(age_s));
    }
    response
}

/// Whether `If-None-Match` names a tag, weak or strong (RFC 9110, section 13.1.2).
pub fn names(value: &HeaderValue, tag: &[u8]) -> bool {
    let listed = value.to_str().unwrap_or_default().split(',').map(str::trim);
    listed.into_iter().any(|it| it == "*" || it.strip_prefix("W/").unwrap_or(it).as_bytes() == tag)
}
