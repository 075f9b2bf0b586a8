//! Routes for balancers and monitoring: `/healthz`, `/readyz`, `/readyz/awards`, `/metrics`, and the public keys of receipts.

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

/// Liveness: the process runs.
pub async fn healthz() -> Response {
    Json(json!({ "status": "ok" })).into_response()
}

/// Ready for reads and sockets. An unavailable store is listed in `degraded`, but the status stays 200: otherwise an outage of a shared
/// store would take all nodes out of the balancer.
pub async fn readyz(State(app): State<Arc<App>>) -> Response {
    readiness(&app, app.health.is_ready(), false)
}

/// Ready for awards.
pub async fn readyz_awards(State(app): State<Arc<App>>) -> Response {
    readiness(&app, takes_awards(&app), false)
}

/// `readyz` for operators.
pub async fn readyz_detailed(State(app): State<Arc<App>>) -> Response {
    readiness(&app, app.health.is_ready(), true)
}

/// `readyz_awards` for operators.
pub async fn readyz_awards_detailed(State(app): State<Arc<App>>) -> Response {
    readiness(&app, takes_awards(&app), true)
}

fn takes_awards(app: &App) -> bool {
    app.health.accepts_awards(app.config.outbox.max_entries)
}

fn readiness(app: &App, ready: bool, with_details: bool) -> Response {
    let status = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let mut body = json!({
        "ready": ready,
        "draining": app.health.is_draining(),
        "degraded": app.health.degraded(),
        "boardVersion": app.hub.newest().version,
    });
    // Not public: it shows when awards will be refused.
    if with_details {
        body["outboxEntries"] = app.health.outbox().into();
    }
    let mut response = (status, Json(body)).into_response();
    if !ready {
        response.headers_mut().insert(header::RETRY_AFTER, super::envelope::seconds(1000));
    }
    response
}

/// Minimum age of a metrics text before it is written again: this limits the cost to 1.5 % of one core.
const MIN_SCRAPE_INTERVAL: Duration = Duration::from_millis(100);

/// The last metrics text and when it was written. Writing takes 1.5 ms of a core, so concurrent scrapes share one text.
#[derive(Default)]
pub struct Scrape(Mutex<Option<(Instant, Bytes)>>);

impl Scrape {
    fn text(&self, write: impl FnOnce() -> String) -> Bytes {
        let mut last = self.0.lock();
        match &*last {
            Some((at, text)) if at.elapsed() < MIN_SCRAPE_INTERVAL => text.clone(),
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

/// Clients fetch the keys again for an unknown `kid`; after a rotation they find it within five minutes.
const RECEIPT_KEYS_CACHE: &str = "public, max-age=300";

/// `GET /.well-known/laurel-receipts.json`: a JWK set (RFC 7517).
pub async fn receipt_keys(State(app): State<Arc<App>>) -> Response {
    (
        [(header::CONTENT_TYPE, "application/json"), (header::CACHE_CONTROL, RECEIPT_KEYS_CACHE)],
        app.receipts.published(),
    )
        .into_response()
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
        assert!(written < 100, "each scrape wrote a text");
    }
}
