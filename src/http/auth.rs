//! `/api/auth`, and the extractor of the caller for routes that need a login.

use std::sync::Arc;

use axum::extract::{FromRequestParts, State};
use axum::http::StatusCode;
use axum::http::request::Parts;
use axum::response::Response;
use serde_json::json;

use super::address::ClientAddress;
use super::body::{Body, Fields};
use super::envelope;
use super::headers::bearer_token;
use crate::abuse::AbuseSignal;
use crate::account::{self, Email, Identity, LoggedIn, Password, Username};
use crate::app::App;
use crate::error::{Error, Refusal, Result};

/// The logged-in caller, from `Authorization: Bearer`.
pub struct Caller(pub Identity);

impl FromRequestParts<Arc<App>> for Caller {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, Error> {
        let from = ClientAddress::from_request_parts(parts, app).await?;
        let token = bearer_token(&parts.headers).ok_or(Refusal::Unauthorized)?;
        account::admit(&app.accounts, token, from.counted_as()).await.map(Self)
    }
}

pub async fn register(
    State(app): State<Arc<App>>,
    from: ClientAddress,
    Body(body): Body,
) -> Result<Response> {
    let mut fields = Fields::read(&body)?;
    let username = fields.text("username", Username::parse);
    let email = fields.text("email", Email::parse);
    let password = fields.text("password", Password::parse);
    fields.finish()?;
    let (Some(username), Some(email), Some(password)) = (username, email, password) else {
        unreachable!("finish reports every missing field")
    };
    let count = |error: Option<&Error>| app.metrics.registration(error.map(Error::code));
    let window = account::count_register(&app.accounts, from.counted_as())
        .await
        .inspect_err(|error| count(Some(error)))?;
    let outcome = account::register(&app.accounts, username, email, password, from.counted_as()).await;
    count(outcome.as_ref().err());
    let attempt = crate::rate_limit::AttemptOutcome { outcome, rate: window, replayed: false };
    Ok(envelope::respond(attempt, |login| show(StatusCode::CREATED, "Registration successful", &login)))
}

pub async fn login(State(app): State<Arc<App>>, from: ClientAddress, Body(body): Body) -> Result<Response> {
    let mut fields = Fields::read(&body)?;
    let short =
        |it: &str| if it.len() <= 255 { Ok(it.to_owned()) } else { Err("must be at most 255 bytes".into()) };
    let username = fields.text("username", short);
    let password = fields.text("password", Password::parse);
    fields.finish()?;
    let (Some(username), Some(password)) = (username, password) else {
        unreachable!("finish reports every missing field")
    };
    let count = |error: Option<&Error>| app.metrics.login(error.map(Error::code));
    let window = account::count_login(&app.accounts, &username, from.counted_as())
        .await
        .inspect_err(|error| count(Some(error)))?;
    let outcome = account::login(&app.accounts, &username, password, from.counted_as()).await;
    count(outcome.as_ref().err());
    if let Err(Error::Refused(Refusal::InvalidCredentials)) = outcome {
        app.abuse_signals.note(Some(AbuseSignal::BadLogin), None, from.counted_as());
    }
    let attempt = crate::rate_limit::AttemptOutcome { outcome, rate: window, replayed: false };
    Ok(envelope::respond(attempt, |login| show(StatusCode::OK, "Login successful", &login)))
}

fn show(status: StatusCode, message: &str, LoggedIn { user, token }: &LoggedIn) -> Response {
    let user = json!({ "id": user.number, "uuid": user.id, "username": user.username, "score": user.score });
    envelope::answer(status, message, json!({ "token": token, "user": user }))
}
