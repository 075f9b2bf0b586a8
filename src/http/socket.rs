//! The handshake of `/api/v1/ws`. Whoever is refused is refused with an HTTP answer, before any socket is open.

use std::sync::Arc;

use axum::extract::rejection::QueryRejection;
use axum::extract::ws::WebSocketUpgrade;
use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::extract::{Query, State};
use axum::http::HeaderMap;
use axum::http::header::{ORIGIN, SEC_WEBSOCKET_PROTOCOL};
use axum::response::Response;
use serde::Deserialize;

use super::address::ClientAddress;
use super::identity::bearer;
use crate::account;
use crate::app::App;
use crate::error::{RateWindow, Refusal, Result};
use crate::live;

/// The sub-protocol that is spoken; the login comes beside it, since browsers cannot set headers.
const PROTOCOL: &str = "laurel.v1";
/// What a client may say: it only listens.
const MAX_MESSAGE_BYTES: usize = 4 * 1024;
/// tungstenite's default of 128 KiB is allocated and zeroed for every socket.
const READ_BUFFER_BYTES: usize = 1024;
/// A client that takes nothing holds at most so much.
const MAX_WRITE_BUFFER_BYTES: usize = 64 * 1024;

/// The login as a query, for clients that can do nothing else. The query is never logged.
#[derive(Deserialize)]
pub struct Access {
    access_token: Option<String>,
}

/// `GET /api/v1/ws`
pub async fn open(
    State(app): State<Arc<App>>,
    from: ClientAddress,
    query: Result<Query<Access>, QueryRejection>,
    headers: HeaderMap,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Result<Response> {
    let query = query.ok().and_then(|Query(it)| it.access_token);
    let token = bearer(&headers).or_else(|| sub_protocol(&headers)).or(query.as_deref());
    let caller = account::admit(&app, token.ok_or(Refusal::Unauthorized)?, from.counted_as()).await?;
    allow_origin(&app, &headers)?;
    if !app.health.is_ready() {
        return Err(
            Refusal::Unavailable("This node takes no sockets for the moment, please connect again").into()
        );
    }
    // While Redis is away nobody can say; whoever is banned is closed when it is back.
    if app.store.is_banned(caller.user).await.unwrap_or(false) {
        return Err(Refusal::Banned.into());
    }
    let upgrade = upgrade.map_err(|_| Refusal::field("headers", "must ask for a WebSocket (RFC 6455)"))?;
    let seat = app.seats.take(caller.user, from.counted_as()).ok_or(Refusal::RateLimited(RateWindow {
        limit: app.config.limits.sockets_per_user,
        used: app.config.limits.sockets_per_user,
        reset_ms: 5000,
    }))?;
    Ok(upgrade
        .protocols([PROTOCOL])
        .read_buffer_size(READ_BUFFER_BYTES)
        .write_buffer_size(0)
        .max_write_buffer_size(MAX_WRITE_BUFFER_BYTES)
        .max_message_size(MAX_MESSAGE_BYTES)
        .max_frame_size(MAX_MESSAGE_BYTES)
        .on_upgrade(move |socket| live::serve_websocket(app, caller, socket, seat)))
}

/// The login in `Sec-WebSocket-Protocol: laurel.v1, bearer.<jwt>`.
fn sub_protocol(headers: &HeaderMap) -> Option<&str> {
    let offered = headers.get_all(SEC_WEBSOCKET_PROTOCOL);
    let mut offered = offered.iter().filter_map(|it| it.to_str().ok()).flat_map(|it| it.split(','));
    offered.find_map(|it| it.trim().strip_prefix("bearer."))
}

/// Browsers send an origin; what sends none is no browser, and has no cookies to abuse.
pub fn allow_origin(app: &App, headers: &HeaderMap) -> Result<(), Refusal> {
    let allowed = &app.config.live.allowed_origins;
    let Some(origin) = headers.get(ORIGIN) else { return Ok(()) };
    if allowed.is_empty() || allowed.iter().any(|it| it.as_bytes() == origin.as_bytes()) {
        Ok(())
    } else {
        Err(Refusal::OriginNotAllowed)
    }
}
