//! Verified tokens: `/api/v1/action-tokens` issues them, `/api/v1/scores` redeems them.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use serde_json::json;

use super::actions::show_award;
use super::address::ClientAddress;
use super::auth::Caller;
use super::body::{Body, Fields};
use super::{envelope, idempotency};
use crate::app::App;
use crate::award::{self, Credential, ProveRequest, ProvenToken, RedeemRequest};
use crate::clock::rfc3339;
use crate::error::Refusal;

/// `POST /api/v1/action-tokens`
pub async fn issue(
    State(app): State<Arc<App>>,
    Caller(caller): Caller,
    from: ClientAddress,
    headers: HeaderMap,
    body: Result<Body, Refusal>,
) -> Response {
    let prove_request = body.and_then(|Body(body)| read_proof(&app, &headers, &body));
    envelope::respond(award::prove(&app.awards, &caller, from.counted_as(), prove_request).await, show_proven)
}

fn read_proof(app: &App, headers: &HeaderMap, body: &[u8]) -> Result<ProveRequest, Refusal> {
    let idempotency = idempotency::read(app, headers, "action-tokens", body)?;
    let mut fields = Fields::read(body)?;
    let action_type = fields.optional_text("actionType");
    let action_number = fields.optional_number("actionId");
    let anti_spam = fields.optional_text("antiSpamToken");
    let session = fields.optional_text("sessionId");
    let proof = fields.optional_object("proof");
    if action_type.is_empty() && action_number.is_none() && anti_spam.is_empty() {
        fields.problem("actionType", "is missing; send actionType, actionId or antiSpamToken");
    }
    fields.finish()?;
    Ok(ProveRequest { action_type, action_number, anti_spam, session, proof, idempotency })
}

fn show_proven(proven: ProvenToken) -> Response {
    let answer = json!({
        "actionToken": proven.token.as_str(),
        "actionType": proven.action_type,
        "expiresAt": rfc3339(proven.expires_at_ms),
        "expiresIn": proven.expires_in_s,
    });
    (StatusCode::CREATED, Json(answer)).into_response()
}

/// `POST /api/v1/scores`
pub async fn redeem(
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
    let idempotency = idempotency::read(app, headers, "scores", body)?;
    let mut fields = Fields::read(body)?;
    let token = fields.optional_text("actionToken");
    let session = fields.optional_text("sessionId");
    fields.finish()?;
    Ok(RedeemRequest { credential: Credential::Proven { token, session }, proof: None, idempotency })
}
