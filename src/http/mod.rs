//! The edge: routes, identity, envelope. It knows axum and the contract's words; it knows no Redis, no SQL and no rule. A
//! handler reads, makes one core call, and writes.

mod accept;
mod action_tokens;
mod actions;
pub(crate) mod address;
mod admin;
mod asyncapi;
mod auth;
pub(crate) mod body;
mod callbacks;
mod cors;
mod edge;
mod encoding;
mod envelope;
mod game;
pub(crate) mod idempotency;
mod identity;
mod openapi;
mod operations;
mod pages;
pub(crate) mod query;
mod rate;
mod receipts;
mod scoreboard;
mod scores;
mod socket;
mod socketio;
mod traced;

pub use accept::FirstBytes;
pub use actions::show_award;
pub use asyncapi::document as asyncapi;
pub use openapi::document as openapi;

use std::net::IpAddr;
use std::sync::Arc;

pub use axum::Router;
use axum::extract::State;
use axum::response::Redirect;
use axum::routing::{get, post};

use crate::app::App;
use crate::config::Config;
use crate::error::Refusal;

/// Bodies to here (contract, section 2).
pub const MAX_BODY_BYTES: usize = 16 * 1024;

/// What a node's first listener shows of itself. The admin listener, which only operators reach, shows all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exposure {
    /// `/metrics`, and `/readyz` in detail: they tell a cheat what was noticed, and how far behind the ledger is.
    pub internals: bool,
    /// `/admin` and `/api/admin`.
    pub admin: bool,
}

impl Exposure {
    /// As the settings say: with an admin listener nothing of it; else what is inside only to this machine.
    pub fn of(config: &Config) -> Self {
        let has_admin_listener = !config.server.admin_listen.is_empty();
        let host = config.server.host.parse().map(|it: IpAddr| it.to_canonical());
        let is_local = host.is_ok_and(|it| it.is_loopback());
        Self { internals: !has_admin_listener && is_local, admin: !has_admin_listener }
    }

    /// Whether nobody can read this node's metrics.
    pub fn hides_metrics(self) -> bool {
        self.admin && !self.internals
    }
}

/// The routes of a node's first listener.
pub fn router(app: Arc<App>) -> Router {
    let exposure = Exposure::of(&app.config);
    let mut api = Router::new()
        .route("/api/auth/register", post(auth::register))
        .route("/api/game/start", post(game::start))
        .route("/api/game/session", get(game::session))
        .route("/api/game/end", post(game::end))
        .route("/api/score/update", post(game::update))
        .route("/api/scoreboard/top10", get(scoreboard::top10))
        .route("/api/scoreboard/user/{userId}", get(scoreboard::user))
        .route("/api/v1/actions", get(actions::list))
        .route("/api/v1/actions/init", post(actions::init))
        .route("/api/v1/actions/finalize", post(actions::finalize))
        .route("/api/v1/action-tokens", post(action_tokens::issue))
        .route("/api/v1/scores", post(action_tokens::redeem))
        .route("/api/v1/scores/leaderboard", get(scores::leaderboard))
        .route("/api/v1/callbacks/admob", get(callbacks::admob))
        .route("/api/v1/ws", get(socket::open))
        .route("/api/v1/leaderboard/stream", get(socket::stream))
        .merge(socketio::routes(&app))
        .route("/.well-known/laurel-receipts.json", get(receipts::keys))
        .route("/", get(pages::live))
        .merge(shared());
    if exposure.admin {
        api = api.merge(operators());
    }
    api = if exposure.internals { api.merge(internals()) } else { api.merge(health()) };
    finish(api, app, false)
}

/// The routes of the operators' listener: what tells of the node, the admin page, and what that page needs.
pub fn admin_router(app: Arc<App>) -> Router {
    finish(shared().merge(internals()).merge(operators()), app, true)
}

/// On both listeners: how to log in, the documents, and the pages' files.
fn shared() -> Router<Arc<App>> {
    Router::new()
        .route("/api/auth/login", post(auth::login))
        .route("/healthz", get(operations::healthz))
        .route("/openapi.json", get(openapi::serve))
        .route("/asyncapi.json", get(asyncapi::serve))
        .route("/docs", get(pages::docs))
        .route("/docs/", get(async || Redirect::permanent("/docs")))
        .route("/favicon.ico", get(pages::icon))
        .route("/assets/{*path}", get(pages::asset))
}

/// The admin page and its API.
fn operators() -> Router<Arc<App>> {
    admin::routes()
        .route("/admin", get(pages::admin))
        .route("/admin/", get(async || Redirect::permanent("/admin")))
}

/// For whoever asks whether the node can serve.
fn health() -> Router<Arc<App>> {
    Router::new()
        .route("/readyz", get(operations::readyz))
        .route("/readyz/awards", get(operations::readyz_awards))
}

/// For operators: the same in detail, and the metrics.
fn internals() -> Router<Arc<App>> {
    let scrape = Arc::<operations::Scrape>::default();
    let metrics = async move |State(app): State<Arc<App>>| operations::metrics(app, scrape).await;
    Router::new()
        .route("/readyz", get(operations::readyz_detailed))
        .route("/readyz/awards", get(operations::readyz_awards_detailed))
        .route("/metrics", get(metrics))
}

fn finish(api: Router<Arc<App>>, app: Arc<App>, is_admin: bool) -> Router {
    let api = api.fallback(pages::not_found).method_not_allowed_fallback(async || Refusal::MethodNotAllowed);
    edge::wrap(api, app.clone(), is_admin).with_state(app)
}
