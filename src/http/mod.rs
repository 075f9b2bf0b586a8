//! The edge: routes, identity, envelope. It knows axum and the contract's words; it knows no Redis, no SQL and no rule. A
//! handler reads, makes one core call, and writes.

mod accept;
mod action_tokens;
mod actions;
mod address;
mod admin;
mod asyncapi;
mod auth;
mod body;
mod callbacks;
mod edge;
mod encoding;
mod envelope;
mod game;
mod idempotency;
mod identity;
mod openapi;
mod operations;
mod pages;
mod query;
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

use std::sync::Arc;

use axum::Router;
use axum::routing::{get, post};

use crate::app::App;
use crate::error::Refusal;

/// Bodies to here (contract, section 2).
pub const MAX_BODY_BYTES: usize = 16 * 1024;

/// Every route of a node.
pub fn router(app: Arc<App>) -> Router {
    let api = Router::new()
        .route("/api/auth/register", post(auth::register))
        .route("/api/auth/login", post(auth::login))
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
        .route("/api/v1/leaderboard/stream", socket::stream_route(&app))
        .merge(admin::routes())
        .merge(socketio::routes(&app))
        .route("/.well-known/laurel-receipts.json", get(receipts::keys))
        .route("/healthz", get(operations::healthz))
        .route("/readyz", get(operations::readyz))
        .route("/readyz/awards", get(operations::readyz_awards))
        .route("/metrics", get(operations::metrics))
        .route("/openapi.json", get(openapi::serve))
        .route("/asyncapi.json", get(asyncapi::serve))
        .route("/", get(pages::live))
        .route("/admin", get(pages::admin))
        .route("/docs", get(pages::docs))
        .route("/assets/{*path}", get(pages::asset))
        .fallback(async || Refusal::NotFound)
        .method_not_allowed_fallback(async || Refusal::MethodNotAllowed);
    edge::wrap(api, app.clone()).with_state(app)
}
