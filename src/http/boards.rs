//! The boards and their current periods: `/api/v1/boards`.

use std::sync::Arc;

use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::HeaderMap;
use axum::response::Response;
use futures::future::join_all;
use serde::Serialize;
use serde_json::json;

use super::address::ClientAddress;
use super::board_periods::show_time;
use super::etag;
use super::headers::bearer_token;
use crate::account::{self, Identity};
use crate::app::App;
use crate::board::{Aggregate, Definition, Measure, Order, Visibility};
use crate::entries::viewer;
use crate::error::{Code, Error, Refusal, Result};

/// `GET`: the boards that the caller may see, with `ETag` and 304.
pub async fn list(State(app): State<Arc<App>>, from: ClientAddress, headers: HeaderMap) -> Result<Response> {
    let boards = visible(&app, &headers, from).await?;
    let boards = join_all(boards.iter().map(|board| BoardBody::read(&app, board, &board.id))).await;
    Ok(etag::respond(&headers, &json!({ "boards": boards })))
}

/// `GET {board}`: one of them; `id@value` is the board of one value of the tag that the board is split by.
pub async fn one(
    State(app): State<Arc<App>>,
    from: ClientAddress,
    headers: HeaderMap,
    address: Result<Path<String>, PathRejection>,
) -> Result<Response> {
    let (address, board, _) = find(&app, address, &headers, from).await?;
    Ok(etag::respond(&headers, &BoardBody::read(&app, &board, &address).await))
}

/// The boards that the caller may see.
pub async fn visible(app: &App, headers: &HeaderMap, from: ClientAddress) -> Result<Vec<Arc<Definition>>> {
    let strictest = app.boards.strictest();
    let caller = if strictest == Visibility::Public { None } else { caller(app, headers, from).await? };
    let viewer = viewer(&app.accounts, strictest, caller.map(|caller| caller.user)).await?;
    Ok(app.boards.visible_to(viewer))
}

/// Finds a board that the caller may see. Returns its address, its definition, and the caller, if there is a valid login.
pub async fn find(
    app: &App,
    address: Result<Path<String>, PathRejection>,
    headers: &HeaderMap,
    from: ClientAddress,
) -> Result<(String, Arc<Definition>, Option<Identity>)> {
    let Path(address) = address.map_err(|_| Refusal::BoardNotFound)?;
    let board = app.boards.find(&address)?;
    let caller = caller(app, headers, from).await?;
    let user = caller.as_ref().map(|caller| caller.user);
    if !board.visibility.is_open_to(viewer(&app.accounts, board.visibility, user).await?) {
        return Err(Refusal::BoardNotFound.into());
    }
    Ok((address, board, caller))
}

/// The caller. An invalid login is ignored, as in `GET /api/v1/actions`.
async fn caller(app: &App, headers: &HeaderMap, from: ClientAddress) -> Result<Option<Identity>> {
    let Some(token) = bearer_token(headers) else { return Ok(None) };
    match account::admit(&app.accounts, token, from.counted_as()).await {
        Ok(caller) => Ok(Some(caller)),
        Err(Error::Refused(refusal)) if refusal.code() == Code::InvalidToken => Ok(None),
        Err(error) => Err(error),
    }
}

/// A board, in the documented order of fields.
#[derive(Serialize)]
pub struct BoardBody<'a> {
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
    /// Null while it is not known.
    players: Option<u64>,
}

impl<'a> BoardBody<'a> {
    /// Reads the current period of a board. `id` is the board's id, or its address as requested.
    pub async fn read(app: &App, board: &'a Definition, id: &'a str) -> Self {
        let current = app.entries.current(board, id).await;
        // Those of the definition take effect with the next period.
        let rules = current.as_ref().map_or(&board.rules, |(period, _)| &period.rules);
        let (measure, aggregate, order, top) = (rules.measure, rules.aggregate, rules.order, rules.top);
        let period = current.map(|(period, players)| PeriodBody {
            starts_at: show_time(period.starts_us),
            ends_at: show_time(period.ends_us),
            id: period.id,
            // A period that contains the present is open.
            state: "open",
            players,
        });
        let Definition { title, decimals, .. } = board;
        Self { id, title, measure, aggregate, order, decimals: *decimals, top, period }
    }
}
