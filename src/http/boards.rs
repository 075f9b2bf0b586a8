//! The boards and their current periods: `/api/v1/boards`.

use std::sync::Arc;

use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::HeaderMap;
use axum::response::Response;
use jiff::Timestamp;
use serde::Serialize;
use serde_json::json;

use super::address::ClientAddress;
use super::etag;
use super::headers::bearer_token;
use crate::account;
use crate::admin;
use crate::app::App;
use crate::board::{Aggregate, Definition, Measure, Order, Viewer, Visibility};
use crate::clock::rfc3339;
use crate::error::{Code, Error, Refusal, Result};

/// `GET`: the boards that the caller may see, with `ETag` and 304.
pub async fn list(State(app): State<Arc<App>>, from: ClientAddress, headers: HeaderMap) -> Result<Response> {
    let viewer = viewer(&app, app.boards.strictest(), &headers, from).await?;
    let now = app.clock.now();
    let boards: Vec<_> =
        app.boards.visible_to(viewer).map(|board| BoardBody::new(board, &board.id, now)).collect();
    Ok(etag::respond(&headers, &json!({ "boards": boards })))
}

/// `GET {board}`: one of them; `id@value` is the board of one value of the tag that the board is split by.
pub async fn one(
    State(app): State<Arc<App>>,
    from: ClientAddress,
    headers: HeaderMap,
    address: Result<Path<String>, PathRejection>,
) -> Result<Response> {
    let Path(address) = address.map_err(|_| Refusal::BoardNotFound)?;
    let board = app.boards.find(&address)?;
    if !board.visibility.is_open_to(viewer(&app, board.visibility, &headers, from).await?) {
        return Err(Refusal::BoardNotFound.into());
    }
    Ok(etag::respond(&headers, &BoardBody::new(board, &address, app.clock.now())))
}

/// The caller, as far as boards of this visibility depend on it. An invalid login is ignored, as in `GET /api/v1/actions`.
async fn viewer(
    app: &App,
    visibility: Visibility,
    headers: &HeaderMap,
    from: ClientAddress,
) -> Result<Viewer> {
    let Some(token) = bearer_token(headers).filter(|_| visibility != Visibility::Public) else {
        return Ok(Viewer::Anonymous);
    };
    let caller = match account::admit(&app.accounts, token, from.counted_as()).await {
        Ok(caller) => caller,
        Err(Error::Refused(refusal)) if refusal.code() == Code::InvalidToken => return Ok(Viewer::Anonymous),
        Err(error) => return Err(error),
    };
    if visibility != Visibility::Admins {
        return Ok(Viewer::Player);
    }
    match admin::require_admin(&app.admin, &caller).await {
        Ok(()) => Ok(Viewer::Admin),
        Err(Error::Refused(Refusal::NotAdmin)) => Ok(Viewer::Player),
        Err(error) => Err(error),
    }
}

/// A board, in the documented order of fields.
#[derive(Serialize)]
struct BoardBody<'a> {
    id: &'a str,
    title: &'a str,
    measure: Measure,
    aggregate: Aggregate,
    order: Order,
    decimals: u32,
    top: u32,
    period: Option<PeriodBody>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct PeriodBody {
    id: String,
    starts_at: Option<String>,
    ends_at: Option<String>,
    state: &'static str,
}

impl<'a> BoardBody<'a> {
    fn new(board: &'a Definition, id: &'a str, now: Timestamp) -> Self {
        let time = |at: Timestamp| rfc3339(at.as_millisecond());
        let period = board.schedule.containing(now).map(|period| PeriodBody {
            id: period.id,
            starts_at: period.starts_at.map(time),
            ends_at: period.ends_at.map(time),
            // A period that contains the present is open.
            state: "open",
        });
        let Definition { title, measure, aggregate, order, decimals, top, .. } = board;
        Self {
            id,
            title,
            measure: *measure,
            aggregate: *aggregate,
            order: *order,
            decimals: *decimals,
            top: *top,
            period,
        }
    }
}
