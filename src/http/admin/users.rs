//! Users as operators see them: found, reported, with their whole history and what there is against them.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use serde_json::{Map, Value, json};

use super::super::body::whole;
use super::super::envelope;
use super::super::query::Query;
use super::{Admin, Id, find, suspected, window};
use crate::admin::{self, Cursor, Event};
use crate::app::App;
use crate::clock::rfc3339;
use crate::error::{Refusal, Result};

/// More than any name, number or address has.
const MAX_SEARCH_CHARS: usize = 255;

/// `GET users?search=…&after=…&limit=20`.
pub async fn search(State(app): State<Arc<App>>, _: Admin, mut query: Query) -> Result<Response> {
    let text = query.parsed("search", |it| {
        let short = it.chars().count() <= MAX_SEARCH_CHARS;
        short.then(|| it.to_owned()).ok_or_else(|| format!("must be at most {MAX_SEARCH_CHARS} characters"))
    });
    let after = query.parsed("after", |it| {
        whole(it)
            .and_then(|it| it.try_into().ok())
            .filter(|it| (1..1 << 53).contains(it))
            .ok_or_else(|| "must be what `next` said on the page before".to_owned())
    });
    let limit = query.number("limit", 1..=100, 20);
    query.finish()?;
    let found = admin::search(&app, text.as_deref(), after, limit).await?;
    let users = found.users.iter().map(|it| {
        json!({
            "userId": it.number,
            "id": it.id,
            "username": it.username,
            "role": it.role,
            "score": it.score,
            "banned": it.banned,
            "quarantined": it.quarantined,
            "createdAt": rfc3339(it.created_at_ms),
        })
    });
    let data = json!({ "total": found.total, "users": users.collect::<Value>(), "next": found.next });
    Ok(envelope::answer(StatusCode::OK, "Users retrieved successfully", data))
}

/// `GET users/:userId?hours=24`.
pub async fn report(State(app): State<Arc<App>>, _: Admin, id: Id, query: Query) -> Result<Response> {
    let (hours, _) = window(query)?;
    let user = find(&app, id).await?;
    let it = admin::report(&app, user, hours).await?;
    let data = json!({
        "userId": it.user.number,
        "id": it.user.id,
        "username": it.user.username,
        "role": it.user.role,
        "score": it.total,
        "shown": it.shown,
        "rank": it.rank,
        "banned": it.banned,
        "quarantined": it.quarantined,
        "awards": it.awards,
        "createdAt": rfc3339(it.created_at_ms),
        "lastAt": it.last_at_ms.map(rfc3339),
        "signs": it.signs,
    });
    Ok(envelope::answer(StatusCode::OK, "User retrieved successfully", data))
}

/// `GET users/:userId/history?before=…&limit=50`.
pub async fn history(State(app): State<Arc<App>>, _: Admin, id: Id, mut query: Query) -> Result<Response> {
    let before = query.parsed("before", Cursor::parse);
    let limit = query.number("limit", 1..=200, 50);
    query.finish()?;
    let user = find(&app, id).await?;
    let page = admin::history(&app, user.id, before, limit).await?;
    let data = json!({
        "events": page.events.iter().map(event).collect::<Value>(),
        "next": page.next.as_ref().map(Cursor::to_text),
    });
    Ok(envelope::answer(StatusCode::OK, "History retrieved successfully", data))
}

/// The facts stand beside the kind and the time; what is a time among them is written as one.
fn event(it: &Event) -> Value {
    let mut shown = Map::new();
    shown.insert("kind".to_owned(), it.kind.as_str().into());
    shown.insert("at".to_owned(), rfc3339(it.at_ms).into());
    for (name, fact) in it.facts.as_object().into_iter().flatten() {
        match name.strip_suffix("_ms") {
            Some(name) => shown.insert(format!("{name}At"), fact.as_i64().map(rfc3339).into()),
            None => shown.insert(name.clone(), fact.clone()),
        };
    }
    shown.into()
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
    let it = admin::evidence(&app, &suspect, hours).await?;
    let signs = it.seen.iter().map(|it| {
        json!({
            "hour": rfc3339(it.hour_ms),
            "sign": it.sign,
            "count": it.count,
            "firstAt": rfc3339(it.first_at_ms),
            "lastAt": rfc3339(it.last_at_ms),
        })
    });
    let refused = it.refused.iter().map(|it| {
        json!({
            "at": rfc3339(it.at_ms),
            "eventId": it.event_id,
            "actionType": it.action,
            "points": it.points,
            "proof": it.proof,
        })
    });
    let (players, addresses) =
        if it.user.is_none() { (it.behind, Vec::new()) } else { (Vec::new(), it.behind) };
    let data = json!({
        "suspect": it.suspect,
        "userId": it.user.as_ref().map(|it| it.number),
        "username": it.user.as_ref().map(|it| it.username.as_str()),
        "signs": signs.collect::<Value>(),
        "players": players.iter().map(suspected).collect::<Value>(),
        "addresses": addresses.iter().map(suspected).collect::<Value>(),
        "refused": refused.collect::<Value>(),
    });
    Ok(envelope::answer(StatusCode::OK, "Evidence retrieved successfully", data))
}
