//! The admin API for the periods of boards: list, close, hold, release, rebuild.

use std::sync::Arc;

use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use axum::routing::MethodRouter;
use serde_json::{Value, json};

use super::super::board_periods::{show, show_revision};
use super::super::body::Body;
use super::super::query::Query;
use super::super::{envelope, idempotency};
use super::{Admin, Id, read_decision};
use crate::admin::{self, PeriodAction};
use crate::app::App;
use crate::clock::rfc3339;
use crate::entries::PastPeriod;
use crate::error::{Refusal, Result};

type PeriodPath = Result<Path<(String, String)>, PathRejection>;

/// `GET boards/{board}/periods`: as everyone sees them, with holds, and with the names of admins in the newest revision.
pub async fn list(State(app): State<Arc<App>>, _: Admin, address: Id, mut query: Query) -> Result<Response> {
    let Path(address) = address.map_err(|_| Refusal::BoardNotFound)?;
    let cursor = query.text("cursor");
    let limit = query.number("limit", 1..=200, 25);
    query.finish()?;
    let board = app.boards.find(&address)?;
    let page = app.entries.periods(&board, &address, cursor.as_deref(), limit).await?;
    let periods: Value = page.periods.iter().map(show_to_admin).collect();
    let data = json!({ "periods": periods, "next": page.next });
    Ok(envelope::answer(StatusCode::OK, "Periods retrieved successfully", data))
}

/// `GET boards/{board}/periods/{period}`: one of them with all revisions, oldest first.
pub async fn one(State(app): State<Arc<App>>, _: Admin, path: PeriodPath, query: Query) -> Result<Response> {
    query.finish()?;
    let Path((address, period)) = path.map_err(|_| Refusal::PeriodNotFound)?;
    let board = app.boards.find(&address)?;
    let period = app.entries.one_period(&board, &address, &period).await?;
    let mut data = show_to_admin(&period);
    data["revisions"] = period.revisions.iter().rev().map(|revision| show_revision(revision, true)).collect();
    Ok(envelope::answer(StatusCode::OK, "Period retrieved successfully", data))
}

fn show_to_admin(period: &PastPeriod) -> Value {
    let mut body = show(period);
    let closes_us = Some(period.period.closes_us).filter(|at| *at < i64::MAX);
    body["closesAt"] = closes_us.map(|at| rfc3339(at / 1000)).into();
    body["heldBy"] = period.period.held_by.as_deref().into();
    body["newestRevision"] = period.revisions.first().map(|newest| show_revision(newest, true)).into();
    body
}

/// `POST boards/{board}/periods/{period}/close`, `…/hold` and `…/release`.
pub fn route(action: PeriodAction) -> MethodRouter<Arc<App>> {
    axum::routing::post(
        async move |State(app): State<Arc<App>>,
                    admin: Admin,
                    path: PeriodPath,
                    headers: HeaderMap,
                    Body(body): Body| { decide(&app, admin, path, &headers, &body, action).await },
    )
}

async fn decide(
    app: &App,
    Admin(actor): Admin,
    path: PeriodPath,
    headers: &HeaderMap,
    body: &[u8],
    action: PeriodAction,
) -> Result<Response> {
    let decision = read_decision(actor, body)?;
    let key = idempotency::key(headers)?;
    let Path((address, period)) = path.map_err(|_| Refusal::PeriodNotFound)?;
    let board = app.boards.find(&address)?;
    admin::decide_period(&app.admin, &board.id, &period, action, key, &decision).await?;
    let data = json!({ "board": board.id, "period": period, "action": action.as_str() });
    Ok(envelope::answer(StatusCode::OK, "Done", data))
}

/// `POST boards/{board}/rebuild`.
pub async fn rebuild(
    State(app): State<Arc<App>>,
    Admin(actor): Admin,
    address: Id,
    headers: HeaderMap,
    Body(body): Body,
) -> Result<Response> {
    let decision = read_decision(actor, &body)?;
    let key = idempotency::key(&headers)?;
    let Path(address) = address.map_err(|_| Refusal::BoardNotFound)?;
    let board = app.boards.find(&address)?;
    let periods = admin::rebuild(&app.admin, &board.id, key, &decision).await?;
    let data = json!({ "board": board.id, "periods": periods });
    Ok(envelope::answer(StatusCode::OK, "The leader loads the board", data))
}
