//! The top list as the two APIs show it: `/api/scoreboard` and `/api/v1/scores/leaderboard`.

use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::json;

use super::auth::Caller;
use super::users::reference;
use super::{envelope, headers};
use crate::account::{self, UserRef};
use crate::app::App;
use crate::error::{Refusal, Result};
use crate::live::EncodedBoard;

/// `GET top10`, with `ETag` and 304.
pub async fn top10(State(app): State<Arc<App>>, request: Request) -> Response {
    respond(&app, request.headers(), EncodedBoard::top10)
}

/// `GET user/:userId`: a user's score and rank, by number or UUID.
pub async fn user(
    State(app): State<Arc<App>>,
    Caller(caller): Caller,
    id: Result<Path<String>, PathRejection>,
) -> Result<Response> {
    let id = reference(id)?;
    // Most requests ask for the caller's own rank: the login has the rest, so Postgres is not queried.
    let (user, number, username) = if id == UserRef::Id(caller.user) || id == UserRef::Number(caller.number) {
        (caller.user, caller.number, caller.username)
    } else {
        let found = account::find(&app.accounts, id).await?.ok_or(Refusal::UserNotFound)?;
        (found.id, found.number, found.username)
    };
    let standing = app.store.standing(user).await?;
    let (score, rank) =
        standing.ok_or(Refusal::Unavailable("The board is still loading, please try again"))?;
    let data = json!({ "userId": number, "username": username, "score": score, "rank": rank });
    Ok(envelope::answer(StatusCode::OK, "User score retrieved successfully", data))
}

/// `GET leaderboard`, with `ETag` and 304.
pub async fn leaderboard(State(app): State<Arc<App>>, request: Request) -> Response {
    respond(&app, request.headers(), EncodedBoard::leaderboard)
}

/// Responds from the node's own snapshot, encoded once by `encode`: 304 if the client has this version, 503 before the first board.
/// While Redis is unavailable the response has an `Age` header and a `stale` field, and so another tag.
fn respond(app: &App, request_headers: &HeaderMap, encode: fn(&EncodedBoard, bool) -> Bytes) -> Response {
    let stale_since_ms = app.health.stale_since_ms();
    let board = app.hub.newest_encoded();
    let version = board.board.version;
    // A node that has just started has no board. An empty one would be older than the last one a client saw.
    if version == 0 {
        return Refusal::Unavailable("The board is still loading, please try again").into_response();
    }
    let is_stale = stale_since_ms.is_some();
    let tag = board.etag(is_stale);
    let cached =
        request_headers.get(header::IF_NONE_MATCH).is_some_and(|value| headers::etag_matches(value, &tag));
    let mut response = if cached {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        let json = HeaderValue::from_static("application/json");
        ([(header::CONTENT_TYPE, json)], Body::from(encode(&board, is_stale))).into_response()
    };
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    if let Ok(tag) = HeaderValue::from_maybe_shared(tag) {
        response.headers_mut().insert(header::ETAG, tag);
    }
    if let Some(since_ms) = stale_since_ms {
        let age_s = (app.clock.now_ms() - since_ms).max(0) / 1000;
        response.headers_mut().insert(header::AGE, HeaderValue::from(age_s));
    }
    response
}
