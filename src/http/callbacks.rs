//! What ad networks call: `/api/v1/callbacks`. They sign what they say, and have no login.

use std::sync::Arc;

use axum::Json;
use axum::extract::{RawQuery, State};
use axum::response::{IntoResponse, Response};
use serde_json::json;

use super::address::ClientAddress;
use crate::app::App;
use crate::award;
use crate::error::Result;

/// `GET admob`: server-side verification of a rewarded ad (developers.google.com/admob/android/ssv).
pub async fn admob(
    State(app): State<Arc<App>>,
    from: ClientAddress,
    RawQuery(query): RawQuery,
) -> Result<Response> {
    let award = award::redeem_callback(&app, from.counted_as(), &query.unwrap_or_default()).await?;
    // The network only looks at the status.
    Ok(Json(json!({ "success": award.is_some(), "newScore": award.map(|it| it.score) })).into_response())
}
