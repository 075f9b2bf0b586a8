//! The WebSocket handshake at `/api/v1/ws` and the server-sent events at `/api/v1/leaderboard/stream`. A refusal is an HTTP response,
//! sent before the connection is upgraded.

use std::net::IpAddr;
use std::sync::Arc;

use axum::extract::State;
use axum::http::header::{
    CACHE_CONTROL, CONTENT_ENCODING, CONTENT_TYPE, SEC_WEBSOCKET_PROTOCOL, SEC_WEBSOCKET_VERSION,
};
use axum::http::{HeaderMap, HeaderName, HeaderValue};
use axum::response::{IntoResponse, Response};
use tokio::sync::SemaphorePermit;

use super::address::ClientAddress;
use super::cors::OriginAccess;
use super::headers::{accepts_gzip, bearer_token};

use super::query::Query;
use crate::account::{self, Identity};
use crate::app::App;
use crate::error::{RateWindow, Refusal, Result};
use crate::live::websocket::{MessageLimits, Upgrade};
use crate::live::{self, BoardViewer, ConnectionPermit, LimitError, PendingPermit};

/// The sub-protocol of this API. Browsers cannot set headers and send the login as a second sub-protocol.
const PROTOCOL: &str = "laurel.v1";
/// Maximum size of a client message. Clients send pings, and names of boards.
const MAX_MESSAGE_BYTES: usize = 4 * 1024;

/// `GET /api/v1/ws`
pub async fn open(
    State(app): State<Arc<App>>,
    from: ClientAddress,
    query: Query,
    headers: HeaderMap,
    upgrade: Option<Upgrade>,
) -> Result<Response> {
    let query = access_token(query)?;
    let token = bearer_token(&headers).or_else(|| sub_protocol(&headers)).or(query.as_deref());
    let token = token.ok_or(Refusal::Unauthorized)?;
    check_origin(&app, &headers)?;
    check_open(&app)?;
    let _handshake = begin_handshake(&app).await?;
    let caller = account::admit_listener(&app.accounts, token, from.counted_as()).await?;
    let Some(upgrade) = upgrade else { return Ok(no_handshake()) };
    let permit = permit(&app, Some(&caller), from.counted_as())?;
    let compression = app.config.live.compression;
    let limits =
        MessageLimits { max_message_bytes: MAX_MESSAGE_BYTES, max_frames: live::MAX_FRAMES, compression };
    let live = app.live.clone();
    Ok(upgrade
        .protocol(PROTOCOL, &headers)
        .accept(limits, move |socket| live::serve_websocket(live, caller, socket, permit)))
}

/// `GET /api/v1/leaderboard/stream`. With `live.public_stream` a login is needed for the player's own events only.
pub async fn stream(
    State(app): State<Arc<App>>,
    from: ClientAddress,
    mut query: Query,
    headers: HeaderMap,
) -> Result<Response> {
    let mut boards = query.texts("board", live::MAX_BOARDS);
    let query = access_token(query)?;
    check_origin(&app, &headers)?;
    check_open(&app)?;
    let _handshake = begin_handshake(&app).await?;
    let caller = match bearer_token(&headers).or(query.as_deref()) {
        Some(token) => Some(account::admit_listener(&app.accounts, token, from.counted_as()).await?),
        None if app.config.live.public_stream => None,
        None => return Err(Refusal::Unauthorized.into()),
    };
    boards.sort_unstable();
    boards.dedup();
    let mut viewer = BoardViewer::new(caller.as_ref().map(|caller| caller.user));
    let mut watches = Vec::with_capacity(boards.len());
    for board in &boards {
        watches.push(viewer.watch(&app.live, board).await?);
    }
    let permit = permit(&app, caller.as_ref(), from.counted_as())?;
    let compressed = app.config.live.compression && accepts_gzip(&headers);
    let body =
        live::serve_events(&app.live, caller, watches, compressed, permit).await.ok_or(Refusal::NoSocket)?;
    let mut response = Response::new(body);
    let mut set = |name: HeaderName, value: HeaderValue| response.headers_mut().insert(name, value);
    set(CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    set(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if compressed {
        set(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    }
    // Otherwise nginx buffers events.
    set(HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no"));
    Ok(response)
}

/// The login from the query, for clients that cannot set headers. The query is never logged.
fn access_token(mut query: Query) -> Result<Option<String>, Refusal> {
    let token = query.text("access_token");
    query.finish().map(|()| token)
}

/// 400 for a request that is not a WebSocket handshake, with the supported version (RFC 6455, section 4.4).
fn no_handshake() -> Response {
    let mut response =
        Refusal::field("headers", "must be those of a WebSocket handshake (RFC 6455)").into_response();
    response.headers_mut().insert(SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13"));
    response
}

/// Refuses a page whose origin may not call this node.
pub fn check_origin(app: &App, headers: &HeaderMap) -> Result<(), Refusal> {
    match OriginAccess::of(&app.config.server.cors_origins, headers) {
        OriginAccess::Denied => Err(Refusal::OriginNotAllowed),
        _ => Ok(()),
    }
}

/// Refuses new connections while the node starts or drains.
pub fn check_open(app: &App) -> Result<(), Refusal> {
    if app.health.is_ready() { Ok(()) } else { Err(no_socket(app, "closed")) }
}

/// Waits for a handshake permit.
async fn begin_handshake(app: &App) -> Result<SemaphorePermit<'_>, Refusal> {
    app.live.handshakes.acquire().await.ok_or_else(|| no_socket(app, "busy"))
}

/// Counts a refusal for a reason on the node's side: the client retries later.
fn no_socket(app: &App, reason: &str) -> Refusal {
    app.metrics.socket_refused(reason);
    Refusal::NoSocket
}

/// Takes a connection permit for a user, or for a client without a login.
fn permit(app: &App, caller: Option<&Identity>, from: IpAddr) -> Result<ConnectionPermit, Refusal> {
    app.live.connection_limits.acquire(caller.map(|it| it.user), from).map_err(|error| refused(app, error))
}

/// Takes a permit for a session whose login follows its handshake.
pub fn pending_permit(app: &App, from: IpAddr) -> Result<PendingPermit, Refusal> {
    app.live.connection_limits.acquire_pending(from).map_err(|error| refused(app, error))
}

fn refused(app: &App, error: LimitError) -> Refusal {
    app.metrics.socket_refused(error.label());
    match error {
        LimitError::Full => Refusal::NoSocket,
        LimitError::Exceeded { limit, max } => {
            Refusal::RateLimited { limit, window: RateWindow { limit: max, used: max, reset_ms: 5000 } }
        }
    }
}

/// The login in `Sec-WebSocket-Protocol: laurel.v1, bearer.<jwt>`.
fn sub_protocol(headers: &HeaderMap) -> Option<&str> {
    let offered = headers.get_all(SEC_WEBSOCKET_PROTOCOL);
    let mut offered = offered.iter().filter_map(|it| it.to_str().ok()).flat_map(|it| it.split(','));
    offered.find_map(|it| it.trim().strip_prefix("bearer."))
}
