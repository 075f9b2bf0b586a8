//! The public keys that receipts are checked with.

use std::sync::Arc;

use axum::extract::State;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};

use crate::app::App;

/// Whoever knows no key of a receipt's name asks again; after a rotation that helps within five minutes.
const CACHED: &str = "public, max-age=300";

/// `GET /.well-known/laurel-receipts.json`: a JWK set (RFC 7517).
pub async fn keys(State(app): State<Arc<App>>) -> Response {
    ([(CONTENT_TYPE, "application/json"), (CACHE_CONTROL, CACHED)], app.receipts.published()).into_response()
}
