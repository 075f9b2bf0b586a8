//! `/socket.io/`. A refusal is an HTTP response, after which the official client retries.

use std::net::IpAddr;
use std::sync::Arc;

use axum::Router;
use axum::body::{Body, Bytes, to_bytes};
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::http::{HeaderMap, Method};
use axum::response::{IntoResponse, Response};
use axum::routing::any;

use super::MAX_BODY_BYTES;
use super::address::ClientAddress;
use super::realtime::{check_open, check_origin, pending_permit};
use crate::app::App;
use crate::error::Refusal;
use crate::live::engineio::{self, Engine, Peer};
use crate::live::websocket::Upgrade;
use crate::live::{PendingPermit, scoreboard_engine};

/// Default path of the official client.
pub const PATH: &str = "/socket.io/";

struct SocketIoState {
    app: Arc<App>,
    engine: Arc<Engine>,
}

/// The routes, with the engine behind them.
pub fn routes(app: &Arc<App>) -> Router<Arc<App>> {
    let state = Arc::new(SocketIoState { app: app.clone(), engine: scoreboard_engine(&app.live) });
    Router::new().route(PATH, any(serve)).with_state(state)
}

async fn serve(
    State(state): State<Arc<SocketIoState>>,
    from: ClientAddress,
    method: Method,
    headers: HeaderMap,
    query: Result<Query<engineio::Query>, QueryRejection>,
    upgrade: Option<Upgrade>,
    body: Body,
) -> Response {
    let query = query.map(|Query(it)| it).unwrap_or_default();
    let permit = match admit(&state.app, &headers, &query, from.counted_as()) {
        Ok(permit) => permit,
        Err(refusal) => return refusal.into_response(),
    };
    // A poll has no body. If a client announces one, it is not read.
    let body = if method == Method::POST { to_bytes(body, MAX_BODY_BYTES).await } else { Ok(Bytes::new()) };
    let Ok(body) = body else { return Refusal::PayloadTooLarge.into_response() };
    let peer = Peer { address: from.counted_as(), permit };
    state.engine.serve(&method, &query, upgrade, body, peer).await
}

/// Takes a permit for a new session. Before its login it does not count as a socket. Requests of existing sessions need none.
fn admit(
    app: &App,
    headers: &HeaderMap,
    query: &engineio::Query,
    from: IpAddr,
) -> Result<Option<PendingPermit>, Refusal> {
    check_origin(app, headers)?;
    if !query.is_new() {
        return Ok(None);
    }
    check_open(app)?;
    pending_permit(app, from).map(Some)
}
