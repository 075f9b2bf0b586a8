//! The admin API for boards: create one at run time, preview its periods, change its title, kept periods and visibility.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use serde_json::{Map, Value, json};

use super::super::board_periods::show_time;
use super::super::boards::BoardBody;
use super::super::body::{Body, Fields};
use super::super::{envelope, idempotency};
use super::{Admin, Id};
use crate::admin::{self, Decision};
use crate::app::App;
use crate::board::Period;
use crate::error::{Refusal, Result};

/// `POST boards`: creates a board from the keys of `boards.toml` as JSON.
pub async fn create(
    State(app): State<Arc<App>>,
    Admin(actor): Admin,
    headers: HeaderMap,
    Body(body): Body,
) -> Result<Response> {
    let (keys, reason) = read(&body, "created")?;
    let key = idempotency::key(&headers)?;
    let decision = Decision { actor, host: None, reason };
    admin::create_board(&app.admin, &keys, key, &decision).await?;
    let id = keys.get("id").and_then(Value::as_str).unwrap_or_default();
    show(&app, id, StatusCode::CREATED, "Board created").await
}

/// `POST board-preview`: the same checks, and the first periods.
pub async fn preview(State(app): State<Arc<App>>, _: Admin, Body(body): Body) -> Result<Response> {
    let (keys, _) = read(&body, "")?;
    let admin::BoardPreview { definition, periods } = admin::preview_board(&app.admin, &keys).await?;
    let period = |period: &Period| {
        json!({
            "id": period.id,
            "startsAt": show_time(period.starts_us()),
            "endsAt": show_time(period.ends_us()),
            "closesAt": show_time(definition.closes_us(period)),
        })
    };
    let data = json!({ "periods": periods.iter().map(period).collect::<Value>() });
    Ok(envelope::answer(StatusCode::OK, "The board can be created", data))
}

/// `PATCH boards/{board}`: changes the keys that may change while a period is open.
pub async fn change(
    State(app): State<Arc<App>>,
    Admin(actor): Admin,
    id: Id,
    headers: HeaderMap,
    Body(body): Body,
) -> Result<Response> {
    let (changes, reason) = read(&body, "changed")?;
    let key = idempotency::key(&headers)?;
    let Path(id) = id.map_err(|_| Refusal::BoardNotFound)?;
    let decision = Decision { actor, host: None, reason };
    admin::change_board(&app.admin, &id, &changes, key, &decision).await?;
    show(&app, &id, StatusCode::OK, "Board changed").await
}

/// The keys of a board, and the reason for the audit log.
fn read(body: &[u8], default_reason: &str) -> Result<(Map<String, Value>, String), Refusal> {
    let mut fields = Fields::read(body)?;
    let reason = if fields.has("reason") { fields.text("reason", Decision::read_reason) } else { None };
    let keys = fields.rest()?;
    Ok((keys, reason.unwrap_or_else(|| default_reason.to_owned())))
}

async fn show(app: &App, id: &str, status: StatusCode, message: &str) -> Result<Response> {
    let board = app.boards.find(id)?;
    let body = BoardBody::read(app, &board, id).await;
    Ok(envelope::answer(status, message, json!(body)))
}
