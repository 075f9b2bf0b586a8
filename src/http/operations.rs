//! What operators and balancers ask: `/healthz`, `/readyz`, `/readyz/awards`, `/metrics`.

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Json;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use parking_lot::Mutex;
use serde_json::json;

use crate::app::App;

/// The process lives.
pub async fn healthz() -> Response {
    Json(json!({ "status": "ok" })).into_response()
}

/// Reads and sockets can be served; a store that is away is only named, lest a shared outage empty the balancer.
pub async fn readyz(State(app): State<Arc<App>>) -> Response {
    tell(&app, app.health.is_ready(), false)
}

/// An award could be taken.
pub async fn readyz_awards(State(app): State<Arc<App>>) -> Response {
    tell(&app, takes_awards(&app), false)
}

/// `readyz` for operators.
pub async fn readyz_detailed(State(app): State<Arc<App>>) -> Response {
    tell(&app, app.health.is_ready(), true)
}

/// `readyz_awards` for operators.
pub async fn readyz_awards_detailed(State(app): State<Arc<App>>) -> Response {
    tell(&app, takes_awards(&app), true)
}

fn takes_awards(app: &App) -> bool {
    app.health.takes_awards(app.config.outbox.max_entries)
}

fn tell(app: &App, ready: bool, in_detail: bool) -> Response {
    let status = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let mut body = json!({
        "ready": ready,
        "draining": app.health.is_draining(),
        "degraded": app.health.degraded(),
        "boardVersion": app.hub.newest().version,
    });
    // How far the ledger is behind is nothing for players: it says when awards will be refused.
    if in_detail {
        body["outboxEntries"] = app.health.outbox().into();
    }
    let mut response = (status, Json(body)).into_response();
    if !ready {
        response.headers_mut().insert(header::RETRY_AFTER, super::rate::seconds(1000));
    }
    response
}

/// However many ask for the metrics, writing them costs one core 1.5 % at most.
const BETWEEN_TEXTS: Duration = Duration::from_millis(100);

/// The metrics' last text. To write it takes 1.5 ms of a core, so those who ask at about one time share one.
#[derive(Default)]
pub struct Scrape(Mutex<Option<(Instant, Bytes)>>);

impl Scrape {
    fn text(&self, write: impl FnOnce() -> String) -> Bytes {
        let mut last = self.0.lock();
        match &*last {
            Some((at, text)) if at.elapsed() < BETWEEN_TEXTS => text.clone(),
            _ => last.insert((Instant::now(), write().into())).1.clone(),
        }
    }
}

/// Prometheus' text format.
pub async fn metrics(app: Arc<App>, scrape: Arc<Scrape>) -> Response {
    let text = scrape.text(|| {
        app.metrics.stores(app.health.stores());
        app.metrics.runtime(&tokio::runtime::Handle::current().metrics());
        app.metrics.text()
    });
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], text).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_of_scrapes_shares_one_text() {
        let (scrape, mut written) = (Scrape::default(), 0);
        for _ in 0..100 {
            scrape.text(|| {
                written += 1;
                String::new()
            });
        }
        assert!(written < 100, "each was written");
    }
}
