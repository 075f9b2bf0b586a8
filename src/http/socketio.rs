//! `/socket.io/`: whoever is refused here is refused with an HTTP answer that the client takes for "come back later".

use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::rejection::{BytesRejection, QueryRejection};
use axum::extract::ws::WebSocketUpgrade;
use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::extract::{DefaultBodyLimit, Query, State};
use axum::http::{HeaderMap, Method};
use axum::response::{IntoResponse, Response};
use axum::routing::any;

use super::MAX_BODY_BYTES;
use super::address::ClientAddress;
use super::socket::allow_origin;
use crate::app::App;
use crate::error::Refusal;
use crate::live::engineio::{self, Engine};
use crate::live::scoreboard_engine;

/// Where the official client looks for it.
pub const PATH: &str = "/socket.io/";

struct Door {
    app: Arc<App>,
    engine: Arc<Engine>,
}

/// The routes, with the engine behind them.
pub fn routes(app: &Arc<App>) -> Router<Arc<App>> {
    let door = Arc::new(Door { app: app.clone(), engine: scoreboard_engine(app) });
    Router::new().route(PATH, any(serve)).layer(DefaultBodyLimit::max(MAX_BODY_BYTES)).with_state(door)
}

async fn serve(
    State(door): State<Arc<Door>>,
    from: ClientAddress,
    method: Method,
    headers: HeaderMap,
    query: Result<Query<engineio::Query>, QueryRejection>,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
    body: Result<Bytes, BytesRejection>,
) -> Response {
    if let Err(refusal) = allow_origin(&door.app, &headers) {
        return refusal.into_response();
    }
    let Ok(body) = body else { return Refusal::PayloadTooLarge.into_response() };
    let query = query.map(|Query(it)| it).unwrap_or_default();
    if query.is_new() && !door.app.health.is_ready() {
        return Refusal::Unavailable("This node takes no sockets for the moment, please connect again")
            .into_response();
    }
    door.engine.serve(&method, &query, upgrade.ok(), body, from.counted_as()).await
}
