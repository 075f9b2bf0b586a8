//! Players: `/api/v1/users` and `/api/v1/me`.

use std::sync::Arc;

use axum::Json;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::HeaderMap;
use axum::response::Response;
use serde_json::{Value, json};

use super::address::ClientAddress;
use super::auth::Caller;
use super::boards::visible;
use super::etag;
use super::query::Query;
use crate::account::{self, Profile, UserRef};
use crate::app::App;
use crate::clock::rfc3339;
use crate::entries::{BoardPlaces, PeriodPlace};
use crate::error::{Refusal, Result};
use crate::ledger::{self, PastAward};

type Id = Result<Path<String>, PathRejection>;

/// `GET users/{userId}`: a public profile, by number or UUID.
pub async fn profile(State(app): State<Arc<App>>, headers: HeaderMap, id: Id) -> Result<Response> {
    let profile = account::profile(&app.accounts, reference(id)?).await?;
    Ok(etag::respond(&headers, &show(&profile)))
}

/// `GET users/{userId}/history?limit=&cursor=`: the awards that count.
pub async fn history(
    State(app): State<Arc<App>>,
    headers: HeaderMap,
    id: Id,
    mut query: Query,
) -> Result<Response> {
    let cursor = query.text("cursor");
    let limit = query.number("limit", 1..=200, 25);
    query.finish()?;
    let page = ledger::award_history(&app.ledger, reference(id)?, cursor.as_deref(), limit).await?;
    let entries: Vec<_> = page.awards.iter().map(entry).collect();
    let mut body = json!({ "entries": entries });
    if let Some(next) = page.next {
        body["next"] = next.into();
    }
    Ok(etag::respond(&headers, &body))
}

/// `GET users/{userId}/places`: current and best places on the boards that the caller may see.
pub async fn places(
    State(app): State<Arc<App>>,
    from: ClientAddress,
    headers: HeaderMap,
    id: Id,
) -> Result<Response> {
    let user = account::find_player(&app.accounts, reference(id)?).await?;
    let boards = visible(&app, &headers, from).await?;
    let places = app.entries.places(&boards, user).await?;
    let show = |places: &BoardPlaces| {
        let BoardPlaces { board, current, best } = places;
        json!({ "board": board, "current": current.as_ref().map(place), "best": best.as_ref().map(place) })
    };
    Ok(etag::respond(&headers, &json!({ "places": places.iter().map(show).collect::<Value>() })))
}

/// `GET me`: the caller's own profile.
pub async fn me(State(app): State<Arc<App>>, Caller(caller): Caller) -> Result<Json<Value>> {
    let own = account::own_profile(&app.accounts, &caller).await?;
    let mut body = show(&own.public);
    body["number"] = own.number.into();
    body["roles"] = json!([own.role]);
    if let Some(email) = own.email {
        body["email"] = email.into();
    }
    Ok(Json(body))
}

/// The user of a path, by number or UUID.
///
/// # Errors
/// The text is neither.
pub fn reference(id: Id) -> Result<UserRef, Refusal> {
    let id = id.map(|Path(it)| it).unwrap_or_default();
    let id = UserRef::parse(&id).ok().filter(|id| !matches!(id, UserRef::Name(_)));
    id.ok_or_else(|| Refusal::field("userId", "must be a user's number or UUID"))
}

fn show(profile: &Profile) -> Value {
    json!({
        "userId": profile.id,
        "username": profile.username,
        "displayName": profile.username,
        "createdAt": rfc3339(profile.created_at_ms),
        "score": profile.score,
        "rank": profile.rank,
    })
}

fn place((period, entry): &PeriodPlace) -> Value {
    let mut place = json!({
        "period": period,
        "position": entry.position,
        "rank": entry.rank,
        "score": entry.result.score,
        "achievedAt": rfc3339(entry.result.hlc_us / 1000),
    });
    if let Some(subscore) = entry.result.subscore {
        place["subscore"] = subscore.into();
    }
    place
}

fn entry(award: &PastAward) -> Value {
    let mut entry = json!({
        "eventId": award.event_id,
        "actionType": award.action_type,
        "points": award.points,
        "at": rfc3339(award.hlc_us / 1000),
    });
    for (name, number) in [("value", award.value), ("subscore", award.subscore)] {
        if let Some(number) = number {
            entry[name] = number.into();
        }
    }
    entry
}
