//! The admin API, `/api/admin`, for callers with the role `admin`.

mod analytics;
mod boards;
mod dead_letters;
mod periods;
mod users;

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Router;
use axum::extract::rejection::PathRejection;
use axum::extract::{FromRequestParts, Path, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use axum::routing::{get, patch, post};
use serde_json::{Value, json};

use super::auth::Caller;
use super::body::{Body, Fields};
use super::query::Query;
use super::{envelope, idempotency};
use crate::abuse::AbuseSignal;
use crate::account::User;
use crate::admin::{self, Adjustment, DeadLetterAction, Decision, PeriodAction, Restriction, Suspect};
use crate::app::App;
use crate::clock::rfc3339;
use crate::error::{Error, Refusal, Result};
use crate::live;

type Id = Result<Path<String>, PathRejection>;

/// The routes.
pub fn routes() -> Router<Arc<App>> {
    let restrict = |restriction: Restriction| {
        post(
            async move |State(app): State<Arc<App>>,
                        admin: Admin,
                        id: Id,
                        headers: HeaderMap,
                        Body(body): Body| {
                decide(&app, admin, id, &headers, &body, restriction).await
            },
        )
    };
    Router::new()
        .route("/api/admin/suspects", get(suspects))
        .route("/api/admin/audit", get(audit))
        .route("/api/admin/dead-letters", get(dead_letters::list))
        .route("/api/admin/dead-letters/{letterId}/retry", dead_letters::route(DeadLetterAction::Retry))
        .route("/api/admin/dead-letters/{letterId}/discard", dead_letters::route(DeadLetterAction::Discard))
        .route("/api/admin/boards", post(boards::create))
        .route("/api/admin/board-preview", post(boards::preview))
        .route("/api/admin/boards/{board}", patch(boards::change))
        .route("/api/admin/boards/{board}/periods", get(periods::list))
        .route("/api/admin/boards/{board}/periods/{period}", get(periods::one))
        .route("/api/admin/boards/{board}/periods/{period}/close", periods::route(PeriodAction::Close))
        .route("/api/admin/boards/{board}/periods/{period}/hold", periods::route(PeriodAction::Hold))
        .route("/api/admin/boards/{board}/periods/{period}/release", periods::route(PeriodAction::Release))
        .route("/api/admin/boards/{board}/rebuild", post(periods::rebuild))
        .route("/api/admin/suspects/{suspect}", get(users::evidence))
        .route("/api/admin/activity", get(analytics::activity))
        .route("/api/admin/most-active", get(analytics::most_active))
        .route("/api/admin/peak-hours", get(analytics::peak_hours))
        .route("/api/admin/scores", get(analytics::scores))
        .route("/api/admin/sessions", get(analytics::sessions))
        .route("/api/admin/users", get(users::search))
        .route("/api/admin/users/{userId}", get(users::report))
        .route("/api/admin/users/{userId}/history", get(users::history))
        .route("/api/admin/users/{userId}/ban", restrict(Restriction::Ban))
        .route("/api/admin/users/{userId}/unban", restrict(Restriction::Unban))
        .route("/api/admin/users/{userId}/quarantine", restrict(Restriction::Quarantine))
        .route("/api/admin/users/{userId}/approve", restrict(Restriction::Approve))
        .route("/api/admin/users/{userId}/void", post(void))
        .route("/api/admin/users/{userId}/adjust", post(adjust))
}

/// A caller with the role `admin`, by name.
pub struct Admin(String);

impl FromRequestParts<Arc<App>> for Admin {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self> {
        let Caller(caller) = Caller::from_request_parts(parts, app).await?;
        admin::require_admin(&app.admin, &caller).await?;
        Ok(Self(caller.username))
    }
}

/// Parses `hours` (how far back) and `limit`.
fn window(mut query: Query) -> Result<(u32, u32), Refusal> {
    let window = (query.number("hours", 1..=720, 24), query.number("limit", 1..=1000, 50));
    query.finish().map(|()| window)
}

async fn suspects(State(app): State<Arc<App>>, _: Admin, query: Query) -> Result<Response> {
    let (hours, limit) = window(query)?;
    let found = admin::suspects(&app.admin, hours, limit).await?;
    let data = json!({
        "players": found.users.iter().map(suspected).collect::<Value>(),
        "addresses": found.addresses.iter().map(suspected).collect::<Value>(),
        "weights": AbuseSignal::ALL.iter().map(|signal| (signal.as_str(), signal.weight())).collect::<BTreeMap<_, _>>(),
    });
    Ok(envelope::answer(StatusCode::OK, "Suspects retrieved successfully", data))
}

/// A suspect in a response. For an address the user and the restrictions are null or false.
fn suspected(suspect: &Suspect) -> Value {
    json!({
        "suspect": suspect.suspect,
        "userId": suspect.user.as_ref().map(|(number, _)| number),
        "username": suspect.user.as_ref().map(|(_, name)| name),
        "weight": suspect.weight,
        "signals": suspect.signals,
        "lastAt": rfc3339(suspect.last_at_ms),
        "banned": suspect.banned,
        "quarantined": suspect.quarantined,
    })
}

async fn audit(State(app): State<Arc<App>>, _: Admin, query: Query) -> Result<Response> {
    let (_, limit) = window(query)?;
    let entries = admin::audit(&app.admin, limit).await?;
    let data = entries.iter().map(|entry| {
        json!({
            "at": rfc3339(entry.at_ms),
            "actor": entry.actor,
            "action": entry.action,
            "userId": entry.user.as_ref().map(|(number, _)| number),
            "username": entry.user.as_ref().map(|(_, name)| name),
            "reason": entry.reason,
            "detail": entry.detail,
        })
    });
    Ok(envelope::answer(StatusCode::OK, "Audit retrieved successfully", data.collect::<Vec<_>>()))
}

/// Reads a body that has nothing but the reason.
fn read_decision(actor: String, body: &[u8]) -> Result<Decision> {
    let mut fields = Fields::read(body)?;
    let reason = fields.text("reason", Decision::read_reason);
    fields.finish()?;
    Ok(Decision { actor, host: None, reason: reason.unwrap_or_default() })
}

async fn find(app: &App, id: Id) -> Result<User> {
    let id = id.map(|Path(it)| it).unwrap_or_default();
    admin::find_user(&app.admin, &id).await
}

async fn decide(
    app: &App,
    Admin(actor): Admin,
    id: Id,
    headers: &HeaderMap,
    body: &[u8],
    restriction: Restriction,
) -> Result<Response> {
    let decision = read_decision(actor, body)?;
    let key = idempotency::key(headers)?;
    let user = find(app, id).await?;
    admin::restrict(&app.admin, user.id, restriction, key, &decision).await?;
    refresh_board(app).await;
    let data = json!({ "userId": user.number, "username": user.username, "action": restriction.as_str() });
    Ok(envelope::answer(StatusCode::OK, "Done", data))
}

async fn void(
    State(app): State<Arc<App>>,
    Admin(actor): Admin,
    id: Id,
    headers: HeaderMap,
    Body(body): Body,
) -> Result<Response> {
    let decision = read_decision(actor, &body)?;
    let key = idempotency::key(&headers)?;
    let user = find(&app, id).await?;
    let changed = admin::void(&app.admin, user.id, key, &decision).await?;
    refresh_board(&app).await;
    Ok(envelope::answer(StatusCode::OK, "Held points removed", show_change(&user, changed)))
}

async fn adjust(
    State(app): State<Arc<App>>,
    Admin(actor): Admin,
    id: Id,
    headers: HeaderMap,
    Body(body): Body,
) -> Result<Response> {
    let mut fields = Fields::read(&body)?;
    let points = fields.signed_number("points");
    let reason = fields.text("reason", Decision::read_reason);
    fields.finish()?;
    let key = idempotency::key(&headers)?;
    let user = find(&app, id).await?;
    let decision = Decision { actor, host: None, reason: reason.unwrap_or_default() };
    let changed = admin::adjust(&app.admin, &user, points.unwrap_or_default(), key, &decision).await?;
    refresh_board(&app).await;
    Ok(envelope::answer(StatusCode::OK, "Score adjusted", show_change(&user, Some(changed))))
}

/// Reloads this node's board, so that the admin sees the effect at once. Other nodes receive it by pub/sub.
async fn refresh_board(app: &App) {
    if let Err(fault) = live::poll(&app.live).await {
        tracing::debug!(%fault, "board refresh failed, the next poll repeats it");
    }
}

fn show_change(user: &User, changed: Option<Adjustment>) -> Value {
    json!({
        "userId": user.number,
        "username": user.username,
        "eventId": changed.map(|it| it.event_id),
        "scoreBefore": changed.map(|it| it.before),
        "newScore": changed.map(|it| it.after),
    })
}
