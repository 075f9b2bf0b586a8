//! The board as the game API shows it: `/api/scoreboard`.

use std::sync::Arc;

use axum::extract::rejection::PathRejection;
use axum::extract::{Path, Request, State};
use axum::http::StatusCode;
use axum::response::Response;
use serde_json::json;

use super::identity::Caller;
use super::{envelope, scores};
use crate::account::{self, UserRef};
use crate::app::App;
use crate::error::{Refusal, Result};
use crate::live::Frame;

/// `GET top10`, with `ETag` and 304.
pub async fn top10(State(app): State<Arc<App>>, request: Request) -> Response {
    scores::board(&app, request.headers(), Frame::top10)
}

/// `GET user/:userId`, by number or UUID.
pub async fn user(
    State(app): State<Arc<App>>,
    Caller(caller): Caller,
    id: Result<Path<String>, PathRejection>,
) -> Result<Response> {
    let id = id.map(|Path(it)| it).unwrap_or_default();
    let id = UserRef::parse(&id).ok().filter(|it| !matches!(it, UserRef::Name(_)));
    let id = id.ok_or_else(|| Refusal::field("userId", "must be a user's number or UUID"))?;
    // Whoever asks for their own rank, as most do, is known by the login.
    let (user, number, username) = if id == UserRef::Id(caller.user) || id == UserRef::Number(caller.number) {
        (caller.user, caller.number, caller.username)
    } else {
        let found = account::find(&app, id).await?.ok_or(Refusal::UserNotFound)?;
        (found.id, found.number, found.username)
    };
    let standing = app.store.standing(user).await?;
    let (score, rank) = standing.ok_or(Refusal::Unavailable("The board is loaded, please try again"))?;
    let data = json!({ "userId": number, "username": username, "score": score, "rank": rank });
    Ok(envelope::answer(StatusCode::OK, "User score retrieved successfully", data))
}
