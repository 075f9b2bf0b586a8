//! The HTTP edge: routes, authentication, bodies, responses. A handler parses the request, makes one core call and maps the result. It
//! contains no Redis, no SQL and no rules.

mod accept;
mod action_tokens;
mod actions;
pub(crate) mod address;
mod admin;
mod asyncapi;
mod auth;
mod board;
mod board_entries;
mod board_periods;
mod boards;
pub(crate) mod body;
mod cors;
mod edge;
mod envelope;
mod etag;
mod game;
mod headers;
pub(crate) mod idempotency;
mod openapi;
mod operations;
mod pages;
pub(crate) mod query;
mod realtime;
mod socketio;
mod users;

pub use accept::Http1Acceptor;
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

/// Maximum size of a request body.
pub const MAX_BODY_BYTES: usize = 16 * 1024;

/// The operators' routes that the public listener serves. The admin listener serves all of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exposure {
    /// `/metrics` and the details of `/readyz`: they would show a cheater what was detected and how far behind the ledger is.
    pub internals: bool,
    /// `/admin` and `/api/admin`.
    pub admin: bool,
}

impl Exposure {
    /// With `server.admin_listen` nothing is exposed. Without it, internals are exposed on loopback only.
    pub fn of(config: &Config) -> Self {
        let has_admin_listener = !config.server.admin_listen.is_empty();
        let host = config.server.host.parse().map(|it: IpAddr| it.to_canonical());
        let is_local = host.is_ok_and(|it| it.is_loopback());
        Self { internals: !has_admin_listener && is_local, admin: !has_admin_listener }
    }

    /// Whether no listener serves the metrics.
    pub fn hides_metrics(self) -> bool {
        self.admin && !self.internals
    }
}

/// The routes of the public listener.
pub fn router(app: Arc<App>) -> Router {
    let exposure = Exposure::of(&app.config);
    let mut api = Router::new()
        .route("/api/auth/register", post(auth::register))
        .route("/api/game/start", post(game::start))
        .route("/api/game/session", get(game::session))
        .route("/api/game/end", post(game::end))
        .route("/api/score/update", post(game::update))
        .route("/api/scoreboard/top10", get(board::top10))
        .route("/api/scoreboard/user/{userId}", get(board::user))
        .route("/api/v1/actions", get(actions::list))
        .route("/api/v1/actions/init", post(actions::init))
        .route("/api/v1/actions/finalize", post(actions::finalize))
        .route("/api/v1/action-tokens", post(action_tokens::issue))
        .route("/api/v1/scores", post(action_tokens::redeem))
        .route("/api/v1/scores/leaderboard", get(board::leaderboard))
        .route("/api/v1/users/{userId}", get(users::profile))
        .route("/api/v1/users/{userId}/history", get(users::history))
        .route("/api/v1/users/{userId}/places", get(users::places))
        .route("/api/v1/me", get(users::me))
        .route("/api/v1/callbacks/admob", get(actions::admob))
        .route("/api/v1/ws", get(realtime::open))
        .route("/api/v1/leaderboard/stream", get(realtime::stream))
        .merge(socketio::routes(&app))
        .route("/.well-known/laurel-receipts.json", get(operations::receipt_keys))
        .route("/", get(pages::live))
        .merge(shared());
    if exposure.admin {
        api = api.merge(operators());
    }
    api = if exposure.internals { api.merge(internals()) } else { api.merge(health()) };
    finish(api, app, false)
}

/// The routes of the admin listener: health, metrics, the admin page, and what that page needs.
pub fn admin_router(app: Arc<App>) -> Router {
    finish(shared().merge(internals()).merge(operators()), app, true)
}

/// Routes of both listeners: login, boards, which the admin page shows too, API documents and page files.
fn shared() -> Router<Arc<App>> {
    Router::new()
        .route("/api/auth/login", post(auth::login))
        .route("/api/v1/boards", get(boards::list))
        .route("/api/v1/boards/{board}", get(boards::one))
        .route("/api/v1/boards/{board}/entries", get(board_entries::page))
        .route("/api/v1/boards/{board}/entries/lookup", post(board_entries::lookup))
        .route("/api/v1/boards/{board}/periods", get(board_periods::list))
        .route("/api/v1/boards/{board}/periods/{period}", get(board_periods::one))
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

/// Readiness for balancers.
fn health() -> Router<Arc<App>> {
    Router::new()
        .route("/readyz", get(operations::readyz))
        .route("/readyz/awards", get(operations::readyz_awards))
}

/// Readiness with details, and metrics.
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
