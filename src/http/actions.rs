//! The actions API, `/api/v1/actions`, and the callbacks of ad networks, `/api/v1/callbacks`.

use std::sync::Arc;

use axum::Json;
use axum::extract::{RawQuery, State};
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::address::ClientAddress;
use super::auth::Caller;
use super::body::{Body, Fields};
use super::headers::bearer_token;
use super::{envelope, idempotency};
use crate::account;
use crate::action::Action;
use crate::app::App;
use crate::award::{self, Award, Credential, IssuedToken, RedeemRequest};
use crate::clock::time_of_day;
use crate::error::{Refusal, Result};

/// `POST init`
pub async fn init(
    State(app): State<Arc<App>>,
    Caller(caller): Caller,
    from: ClientAddress,
    Body(body): Body,
) -> Result<Response> {
    let mut fields = Fields::read(&body)?;
    let action_type = fields.text("actionType", |text| Ok(text.to_owned()));
    fields.finish()?;
    let metered =
        award::issue(&app.awards, &caller, from.counted_as(), &action_type.unwrap_or_default()).await;
    Ok(envelope::respond(metered, show_issued))
}

fn show_issued(issued: IssuedToken) -> Response {
    let mut answer = json!({
        "antiSpamToken": issued.token,
        "expiresIn": issued.expires_in_s,
        "actionId": issued.action_id,
    });
    if let Some(challenge) = issued.challenge {
        answer["challenge"] = challenge;
    }
    Json(answer).into_response()
}

/// `POST finalize`
pub async fn finalize(
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
    let idempotency = idempotency::read(app, headers, "finalize", body)?;
    let mut fields = Fields::read(body)?;
    let token = fields.optional_text("antiSpamToken");
    let proof = fields.optional_object("proof");
    fields.finish()?;
    Ok(RedeemRequest { credential: Credential::AntiSpam(token), proof, idempotency })
}

/// An award as `/api/v1` returns it.
pub fn show_award(award: &Award) -> Response {
    Json(Shown {
        success: true,
        new_score: award.score,
        rank: award.rank,
        leaderboard: award.board.rows(),
        receipt: &award.receipt,
    })
    .into_response()
}

/// The fields of an award, in the documented order.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Shown<'a> {
    success: bool,
    new_score: u64,
    rank: Option<u64>,
    leaderboard: &'a RawValue,
    receipt: &'a str,
}

/// `GET`: the open actions. With a valid login each action also has `availableInMs`, the player's remaining wait. An invalid login is
/// ignored. Without Redis the field is left out.
pub async fn list(State(app): State<Arc<App>>, from: ClientAddress, headers: HeaderMap) -> Json<Value> {
    let actions = app.catalogue.all();
    let mut shown: Vec<_> = actions.iter().map(show_action).collect();
    let limits: Vec<_> = actions.iter().map(|action| (action.kind.as_str(), &action.limits)).collect();
    if let Some(token) = bearer_token(&headers)
        && let Ok(caller) = account::admit(&app.accounts, token, from.counted_as()).await
        && let Ok(waits) = app.store.action_waits(caller.user, &limits).await
    {
        for (action, wait_ms) in shown.iter_mut().zip(waits) {
            action["availableInMs"] = wait_ms.into();
        }
    }
    Json(json!({ "actions": shown }))
}

fn show_action(action: &Action) -> Value {
    let limits = &action.limits;
    let open = (limits.open_for_ms > 0).then(
        || json!({ "from": time_of_day(limits.opens_at_ms), "to": time_of_day(limits.closes_at_ms()) }),
    );
    json!({
        "actionType": action.kind,
        "actionId": action.number,
        "points": action.points,
        "pointsByDifficulty": action.points_by_difficulty,
        "proof": action.proof.kind(),
        "checks": action.proof.checks().iter().map(|it| it.kind()).collect::<Value>(),
        "flows": action.flows,
        "limits": {
            "cooldownMs": limits.cooldown_ms,
            "capPerHour": limits.cap_per_hour,
            "capPerDay": limits.cap_per_day,
            "openUtc": open,
        },
    })
}

/// `GET admob`: server-side verification of a rewarded ad (developers.google.com/admob/android/ssv). AdMob signs the query instead of
/// sending a login.
pub async fn admob(
    State(app): State<Arc<App>>,
    from: ClientAddress,
    RawQuery(query): RawQuery,
) -> Result<Response> {
    let award = award::redeem_callback(&app.awards, from.counted_as(), &query.unwrap_or_default()).await?;
    // The ad network reads the status only.
    Ok(Json(json!({ "success": award.is_some(), "newScore": award.map(|it| it.score) })).into_response())
}
