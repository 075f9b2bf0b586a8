//! The admin API for users: search, report, history, and the evidence against a suspect.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use serde_json::{Map, Value, json};

use super::super::body::parse_integer;
use super::super::envelope;
use super::super::query::Query;
use super::{Admin, Id, find, suspected, window};
use crate::admin::{self, Cursor, Event};
use crate::app::App;
use crate::clock::rfc3339;
use crate::error::{Refusal, Result};

/// Maximum search length: longer than any name, number or e-mail address.
const MAX_SEARCH_CHARS: usize = 255;

/// `GET users?search=…&after=…&limit=20`.
pub async fn search(State(app): State<Arc<App>>, _: Admin, mut query: Query) -> Result<Response> {
    let text = query.parsed("search", |text| {
        let is_short = text.chars().count() <= MAX_SEARCH_CHARS;
        is_short
            .then(|| text.to_owned())
            .ok_or_else(|| format!("must be at most {MAX_SEARCH_CHARS} characters"))
    });
    let after = query.parsed("after", |text| {
        parse_integer(text)
            .and_then(|number| number.try_into().ok())
            .filter(|number| (1..1 << 53).contains(number))
            .ok_or_else(|| "must be the `next` of the previous page".to_owned())
    });
    let limit = query.number("limit", 1..=100, 20);
    query.finish()?;
    let found = admin::search(&app.admin, text.as_deref(), after, limit).await?;
    let users = found.users.iter().map(|user| {
        json!({
            "userId": user.number,
            "id": user.id,
            "username": user.username,
            "role": user.role,
            "score": user.score,
            "banned": user.banned,
            "quarantined": user.quarantined,
            "createdAt": rfc3339(user.created_at_ms),
        })
    });
    let data = json!({ "total": found.total, "users": users.collect::<Value>(), "next": found.next });
    Ok(envelope::answer(StatusCode::OK, "Users retrieved successfully", data))
}

/// `GET users/:userId?hours=24`.
pub async fn report(State(app): State<Arc<App>>, _: Admin, id: Id, query: Query) -> Result<Response> {
    let (hours, _) = window(query)?;
    let user = find(&app, id).await?;
    let report = admin::report(&app.admin, user, hours).await?;
    let data = json!({
        "userId": report.user.number,
        "id": report.user.id,
        "username": report.user.username,
        "role": report.user.role,
        "score": report.total,
        "shown": report.shown,
        "rank": report.rank,
        "banned": report.banned,
        "quarantined": report.quarantined,
        "awards": report.awards,
        "createdAt": rfc3339(report.created_at_ms),
        "lastAt": report.last_at_ms.map(rfc3339),
        "signals": report.signals,
    });
    Ok(envelope::answer(StatusCode::OK, "User retrieved successfully", data))
}

/// `GET users/:userId/history?before=…&limit=50`.
pub async fn history(State(app): State<Arc<App>>, _: Admin, id: Id, mut query: Query) -> Result<Response> {
    let before = query.parsed("before", Cursor::parse);
    let limit = query.number("limit", 1..=200, 50);
    query.finish()?;
    let user = find(&app, id).await?;
    let page = admin::history(&app.admin, user.id, before, limit).await?;
    let data = json!({
        "events": page.events.iter().map(event).collect::<Value>(),
        "next": page.next.as_ref().map(Cursor::to_text),
    });
    Ok(envelope::answer(StatusCode::OK, "History retrieved successfully", data))
}

/// An event as one flat object: kind, time and facts. Facts named `…_ms` become RFC 3339 times named `…At`.
fn event(event: &Event) -> Value {
    let mut fields = Map::new();
    fields.insert("kind".to_owned(), event.kind.as_str().into());
    fields.insert("at".to_owned(), rfc3339(event.at_ms).into());
    for (name, fact) in event.facts.as_object().into_iter().flatten() {
        match name.strip_suffix("_ms") {
            Some(name) => fields.insert(format!("{name}At"), fact.as_i64().map(rfc3339).into()),
            None => fields.insert(name.clone(), fact.clone()),
        };
    }
    fields.into()
}

/// `GET suspects/:suspect?hours=24`.
pub async fn evidence(
    State(app): State<Arc<App>>,
    _: Admin,
    suspect: Id,
    mut query: Query,
) -> Result<Response> {
    let hours = query.number("hours", 1..=720, 24);
    query.finish()?;
    let suspect = suspect.map_err(|_| Refusal::UserNotFound)?;
    let evidence = admin::evidence(&app.admin, &suspect, hours).await?;
    let signals = evidence.signals.iter().map(|hourly| {
        json!({
            "hour": rfc3339(hourly.hour_ms),
            "signal": hourly.signal,
            "count": hourly.count,
            "firstAt": rfc3339(hourly.first_at_ms),
            "lastAt": rfc3339(hourly.last_at_ms),
        })
    });
    let refused = evidence.refused.iter().map(|attempt| {
        json!({
            "at": rfc3339(attempt.at_ms),
            "eventId": attempt.event_id,
            "actionType": attempt.action,
            "points": attempt.points,
            "proof": attempt.proof,
        })
    });
    let (players, addresses) =
        if evidence.user.is_none() { (evidence.related, Vec::new()) } else { (Vec::new(), evidence.related) };
    let data = json!({
        "suspect": evidence.suspect,
        "userId": evidence.user.as_ref().map(|it| it.number),
        "username": evidence.user.as_ref().map(|it| it.username.as_str()),
        "signals": signals.collect::<Value>(),
        "players": players.iter().map(suspected).collect::<Value>(),
        "addresses": addresses.iter().map(suspected).collect::<Value>(),
        "refused": refused.collect::<Value>(),
    });
    Ok(envelope::answer(StatusCode::OK, "Evidence retrieved successfully", data))
}
