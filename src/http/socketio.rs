//! `/socket.io/`: whoever is refused here is refused with an HTTP answer that the client takes for "come back later".

use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::rejection::{BytesRejection, QueryRejection};
use axum::extract::{DefaultBodyLimit, Query, State};
use axum::http::{HeaderMap, Method};
use axum::response::{IntoResponse, Response};
use axum::routing::any;

use super::MAX_BODY_BYTES;
use super::address::ClientAddress;
use super::socket::{check_open, check_origin};
use crate::app::App;
use crate::error::Refusal;
use crate::live::engineio::{self, Engine};
use crate::live::scoreboard_engine;
use crate::live::websocket::Upgrade;

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
    upgrade: Option<Upgrade>,
    body: Result<Bytes, BytesRejection>,
) -> Response {
    let query = query.map(|Query(it)| it).unwrap_or_default();
    // Those who have not joined yet have no seat.
    let full = door.app.seats.are_taken() || door.engine.sessions() >= door.app.seats.most();
    let open = || if full { Err(Refusal::NoSocket) } else { check_open(&door.app) };
    let may = check_origin(&door.app, &headers).and_then(|()| if query.is_new() { open() } else { Ok(()) });
    if let Err(refusal) = may {
        return refusal.into_response();
    }
    let Ok(body) = body else { return Refusal::PayloadTooLarge.into_response() };
    door.engine.serve(&method, &query, upgrade, body, from.counted_as()).await
}
