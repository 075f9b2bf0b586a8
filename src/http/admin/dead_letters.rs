//! The admin API for dead letters: list, retry, discard.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use serde_json::{Value, json};

use super::super::body::Body;
use super::super::envelope;
use super::super::query::Query;
use super::{Admin, Id, read_decision};
use crate::admin::{self, DeadLetter, DeadLetterAction};
use crate::app::App;
use crate::clock::rfc3339;
use crate::error::{Refusal, Result};

/// `GET dead-letters?state=waiting&limit=50`.
pub async fn list(State(app): State<Arc<App>>, _: Admin, mut query: Query) -> Result<Response> {
    let all = query.choice("state", &[("waiting", false), ("all", true)]);
    let limit = query.number("limit", 1..=1000, 50);
    query.finish()?;
    let letters = admin::dead_letters(&app.admin, all, limit).await?;
    Ok(envelope::answer(
        StatusCode::OK,
        "Dead letters retrieved successfully",
        letters.iter().map(shown).collect::<Vec<_>>(),
    ))
}

fn shown(letter: &DeadLetter) -> Value {
    json!({
        "letterId": letter.id,
        "at": rfc3339(letter.at_ms),
        "streamId": letter.stream_id,
        "eventId": letter.event_id,
        "id": letter.user,
        "userId": letter.known.as_ref().map(|(number, _)| number),
        "username": letter.known.as_ref().map(|(_, name)| name),
        "kind": letter.kind,
        "points": letter.points,
        "reason": letter.reason,
        "detail": letter.detail,
        "entry": letter.entry,
        "state": letter.state,
        "inRedis": letter.in_redis,
        "decidedBy": letter.decided.as_ref().map(|(by, _)| by),
        "decidedReason": letter.decided.as_ref().map(|(_, reason)| reason),
    })
}

/// `POST dead-letters/:letterId/retry` and `…/discard`.
pub async fn decide(
    app: &App,
    Admin(actor): Admin,
    id: Id,
    body: &[u8],
    fate: DeadLetterAction,
) -> Result<Response> {
    let decision = read_decision(actor, body)?;
    let id = id.ok().and_then(|it| it.0.parse().ok()).ok_or(Refusal::NotFound)?;
    let state = admin::decide_dead_letter(&app.admin, id, fate, &decision).await?;
    Ok(envelope::answer(StatusCode::OK, "Done", json!({ "letterId": id, "state": state })))
}

/// The route's handler for one fate.
pub fn route(fate: DeadLetterAction) -> axum::routing::MethodRouter<Arc<App>> {
    axum::routing::post(async move |State(app): State<Arc<App>>, admin: Admin, id: Id, Body(body): Body| {
        decide(&app, admin, id, &body, fate).await
    })
}
