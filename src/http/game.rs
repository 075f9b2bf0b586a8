//! The game API: `/api/game` and `/api/score`.

use std::sync::Arc;

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use serde::Serialize;
use serde_json::json;

use super::address::ClientAddress;
use super::auth::Caller;
use super::body::{Body, Fields};
use super::{envelope, idempotency};
use crate::app::App;
use crate::award::{self, Award, Credential, RedeemRequest};
use crate::clock::rfc3339;
use crate::error::{Refusal, Result};
use crate::game;

/// `POST /api/game/start`
pub async fn start(State(app): State<Arc<App>>, Caller(caller): Caller) -> Response {
    envelope::respond(game::start(&app.awards, &caller).await, |session| {
        let data = json!({
            "sessionId": session.session_id,
            "actionToken": session.token.as_str(),
            "expiresAt": rfc3339(session.expires_at_ms),
            "sessionDuration": session.lasts_s,
        });
        envelope::answer(StatusCode::OK, "Game session started", data)
    })
}

/// `GET /api/game/session`
pub async fn session(State(app): State<Arc<App>>, Caller(caller): Caller) -> Result<Response> {
    let session = game::current_session(&app.awards, &caller).await?;
    let data = json!({
        "sessionId": session.id,
        "actionToken": Some(session.token).filter(|token| !token.is_empty()),
        "startedAt": rfc3339(session.started_at_ms),
        "expiresAt": rfc3339(session.expires_at_ms),
        "actionsCompleted": session.actions,
    });
    Ok(envelope::answer(StatusCode::OK, "Game session retrieved successfully", data))
}

/// `POST /api/game/end`
pub async fn end(State(app): State<Arc<App>>, Caller(caller): Caller) -> Result<Response> {
    let session = game::end(&app.awards, &caller).await?;
    let data = json!({
        "finalScore": session.score,
        "actionsCompleted": session.actions,
        "sessionDuration": session.played_ms / 1000,
    });
    Ok(envelope::answer(StatusCode::OK, "Game session ended", data))
}

/// `POST /api/score/update`
pub async fn update(
    State(app): State<Arc<App>>,
    Caller(caller): Caller,
    from: ClientAddress,
    headers: HeaderMap,
    body: Result<Body, Refusal>,
) -> Response {
    let submission = body.and_then(|Body(body)| read_redeem(&app, &headers, &body));
    envelope::respond(award::redeem(&app.awards, &caller, from.counted_as(), submission).await, |award| {
        show_award(&award)
    })
}

fn read_redeem(app: &App, headers: &HeaderMap, body: &[u8]) -> Result<RedeemRequest, Refusal> {
    let idempotency = idempotency::read(app, headers, "update", body)?;
    let mut fields = Fields::read(body)?;
    let token = fields.optional_text("actionToken");
    let action_type = fields.text("actionType", |text| Ok(text.to_owned()));
    let points = fields.points("points");
    let proof = fields.optional_object("proof");
    fields.finish()?;
    let credential = Credential::Game {
        token,
        action_type: action_type.unwrap_or_default(),
        points: points.unwrap_or_default(),
    };
    Ok(RedeemRequest { credential, proof, idempotency })
}

fn show_award(award: &Award) -> Response {
    let (token, expires_at_ms) = award.next.as_ref().map_or(("", 0), |(token, at_ms)| (token, *at_ms));
    let data = Updated {
        new_score: award.score,
        points_earned: award.points,
        rank: award.rank,
        new_action_token: token,
        expires_at: rfc3339(expires_at_ms),
        receipt: &award.receipt,
    };
    envelope::answer(StatusCode::OK, "Score updated successfully", data)
}

/// What `update` answers.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Updated<'a> {
    new_score: u64,
    points_earned: u64,
    rank: Option<u64>,
    new_action_token: &'a str,
    expires_at: String,
    receipt: &'a str,
}
