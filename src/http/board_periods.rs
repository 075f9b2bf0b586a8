//! The periods of a board: `/api/v1/boards/{board}/periods`.

use std::sync::Arc;

use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::HeaderMap;
use axum::response::Response;
use data_encoding::HEXLOWER;
use serde_json::{Value, json};

use super::address::ClientAddress;
use super::boards::find;
use super::etag;
use super::query::Query;
use crate::app::App;
use crate::board::Visibility;
use crate::clock::rfc3339;
use crate::entries::{PastPeriod, Revision};
use crate::error::{Refusal, Result};

/// `GET`: a page of periods, newest first, with `ETag` and 304.
pub async fn list(
    State(app): State<Arc<App>>,
    from: ClientAddress,
    headers: HeaderMap,
    address: Result<Path<String>, PathRejection>,
    mut query: Query,
) -> Result<Response> {
    let cursor = query.text("cursor");
    let limit = query.number("limit", 1..=200, 25);
    query.finish()?;
    let (address, board, _) = find(&app, address, &headers, from).await?;
    let page = app.entries.periods(&board, &address, cursor.as_deref(), limit).await?;
    let mut body = json!({ "periods": page.periods.iter().map(show).collect::<Vec<_>>() });
    if let Some(next) = page.next {
        body["next"] = next.into();
    }
    Ok(etag::respond(&headers, &body))
}

/// `GET {period}`: one of them with its revisions.
pub async fn one(
    State(app): State<Arc<App>>,
    from: ClientAddress,
    headers: HeaderMap,
    path: Result<Path<(String, String)>, PathRejection>,
) -> Result<Response> {
    let Path((address, period)) = path.map_err(|_| Refusal::PeriodNotFound)?;
    let (address, board, _) = find(&app, Ok(Path(address)), &headers, from).await?;
    let period = app.entries.one_period(&board, &address, &period).await?;
    let mut body = show(&period);
    if let Some(newest) = period.revisions.first() {
        body["signature"] = newest.signature.as_str().into();
        let revisions = period.revisions.iter().rev().map(|revision| show_revision(revision, false));
        body["revisions"] = revisions.collect();
    }
    let is_final = period.period.is_closed && board.visibility == Visibility::Public;
    let respond = if is_final { etag::respond_closed } else { etag::respond };
    Ok(respond(&headers, &body))
}

/// A period in a response. `total`, `root` and `revision` are there once it is closed.
pub fn show(PastPeriod { period, state, revisions }: &PastPeriod) -> Value {
    let mut body = json!({
        "id": period.id,
        "startsAt": show_time(period.starts_us),
        "endsAt": show_time(period.ends_us),
        "state": state,
    });
    if let Some(newest) = revisions.first() {
        body["total"] = newest.entries.into();
        body["root"] = HEXLOWER.encode(&newest.root).into();
        body["revision"] = newest.revision.into();
    }
    body
}

/// A bound of a period in a response; `None` if the period has none.
pub fn show_time(at_us: i64) -> Option<String> {
    Some(at_us).filter(|at| ![i64::MIN, i64::MAX].contains(at)).map(|at| rfc3339(at / 1000))
}

/// A revision in a response. The names of admins are for admins only.
pub fn show_revision(revision: &Revision, names_admins: bool) -> Value {
    let actor = match revision.actor.as_str() {
        "laurel" => "laurel",
        actor if names_admins => actor,
        _ => "operator",
    };
    json!({
        "revision": revision.revision,
        "root": HEXLOWER.encode(&revision.root),
        "reason": revision.reason,
        "actor": actor,
        "at": rfc3339(revision.at_ms),
    })
}
