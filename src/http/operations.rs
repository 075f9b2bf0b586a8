//! What operators and balancers ask: `/healthz`, `/readyz`, `/readyz/awards`, `/metrics`.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::json;

use crate::app::App;

/// The process lives.
pub async fn healthz() -> Response {
    Json(json!({ "status": "ok" })).into_response()
}

/// Reads and sockets can be served; a store that is away is only named, lest a shared outage empty the balancer.
pub async fn readyz(State(app): State<Arc<App>>) -> Response {
    tell(&app, app.health.is_ready())
}

/// An award could be taken.
pub async fn readyz_awards(State(app): State<Arc<App>>) -> Response {
    tell(&app, app.health.takes_awards(app.config.outbox.max_entries))
}

fn tell(app: &App, ready: bool) -> Response {
    let status = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let body = json!({
        "ready": ready,
        "draining": app.health.is_draining(),
        "degraded": app.health.degraded(),
        "boardVersion": app.hub.newest().version,
        "outboxEntries": app.health.outbox(),
    });
    let mut response = (status, Json(body)).into_response();
    if !ready {
        response.headers_mut().insert(header::RETRY_AFTER, super::rate::seconds(1000));
    }
    response
}

/// Prometheus' text format.
pub async fn metrics(State(app): State<Arc<App>>) -> Response {
    app.metrics.runtime(&tokio::runtime::Handle::current().metrics());
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], app.metrics.text()).into_response()
}
