//! What every request passes: a request id, a time-out, a net under panics, a line in the log, a count.

use std::any::Any;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderValue, Method};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use ipnet::IpNet;
use tower_http::catch_panic::CatchPanicLayer;
use tracing::Instrument;

use super::address::{self, ClientAddress};
use super::envelope::Told;
use super::traced;
use crate::app::App;
use crate::config::networks;
use crate::error::{Code, Error, Fault, Refusal};
use crate::suspicion::Sign;
use crate::traces;

const REQUEST_ID: &str = "x-request-id";
/// As a route, of a path that leads nowhere.
pub const UNMATCHED: &str = "unmatched";

/// Puts the layers around the routes.
pub fn wrap(routes: Router<Arc<App>>, app: Arc<App>) -> Router<Arc<App>> {
    // The settings were checked when they were read; of others nobody is trusted.
    let trusted: Arc<[IpNet]> = networks(&app.config.server.trusted_proxies).unwrap_or_default().into();
    routes
        .layer(CatchPanicLayer::custom(after_panic))
        .layer(from_fn_with_state(app.clone(), time_out))
        .layer(from_fn_with_state(app.clone(), admit))
        .layer(from_fn_with_state(trusted, address::mark))
        .layer(from_fn_with_state(app, note))
}

/// Takes the request's id or makes one, echoes it, and notes the answer.
async fn note(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    let started = Instant::now();
    let id = request_id(&app, &request);
    let method = request.method().clone();
    let route = request.extensions().get::<MatchedPath>().map_or(UNMATCHED, |it| it.as_str()).to_owned();
    let request_id = id.to_str().unwrap_or_default();
    let traced = traced::begin(&app, &request, &route, request_id);
    // Whatever is logged at all is logged with the ids, so the span is there at every level.
    let span = tracing::error_span!(
        "request",
        request_id,
        trace_id = traced.as_ref().map(traces::Request::trace_id),
        span_id = traced.as_ref().map(traces::Request::span_id),
        %method,
        route
    );
    let answer = next.run(request).instrument(span.clone());
    let mut response = match &traced {
        Some(traced) => traced.run(answer).await,
        None => answer.await,
    };
    if let Some(traced) = traced {
        traced::answered(traced, response.status());
    }
    response.headers_mut().insert(REQUEST_ID, id);
    let (status, took) = (response.status().as_u16(), started.elapsed());
    app.metrics.http(known(&method), &route, status, took);
    let told = response.extensions().get::<Told>().map(|it| it.0);
    if let Some(code) = told {
        app.metrics.refusal(code);
        app.refusals.note(code);
    }
    tracing::debug!(parent: &span, status, code = told.map(Code::as_str), took_us = took.as_micros() as u64, "answered");
    response
}

/// Anybody can make up a method; as labels there are these.
pub fn known(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::DELETE => "DELETE",
        Method::HEAD => "HEAD",
        Method::OPTIONS => "OPTIONS",
        Method::PATCH => "PATCH",
        _ => "other",
    }
}

/// 1 to 128 visible ASCII characters are taken as they are.
fn request_id(app: &App, request: &Request) -> HeaderValue {
    let given = request
        .headers()
        .get(REQUEST_ID)
        .filter(|id| (1..=128).contains(&id.len()) && id.as_bytes().iter().all(u8::is_ascii_graphic));
    let make =
        || HeaderValue::from_str(&app.clock.new_id().to_string()).unwrap_or(HeaderValue::from_static("-"));
    given.cloned().unwrap_or_else(make)
}

/// Operators' own paths are not limited: a flood must not hide the node from them.
async fn admit(State(app): State<Arc<App>>, from: ClientAddress, request: Request, next: Next) -> Response {
    let path = request.uri().path();
    if (path.starts_with("/api/") || path == super::socketio::PATH)
        && let Err(refusal) = app.gate.address(from.counted_as()).await
    {
        app.note(Some(Sign::Flooding), None, from.counted_as());
        return refusal.into_response();
    }
    next.run(request).await
}

/// A poll of Socket.IO waits for as long as there is nothing to say, so it is left alone.
async fn time_out(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    if request.uri().path() == super::socketio::PATH && request.method() == Method::GET {
        return next.run(request).await;
    }
    let limit = Duration::from_millis(app.config.server.request_timeout_ms);
    match tokio::time::timeout(limit, next.run(request)).await {
        Ok(response) => response,
        Err(_) => Refusal::Unavailable("The request took too long, please try again").into_response(),
    }
}

fn after_panic(panic: Box<dyn Any + Send>) -> Response {
    let text = panic
        .downcast_ref::<String>()
        .cloned()
        .or_else(|| panic.downcast_ref::<&str>().map(|it| (*it).into()));
    let text: String = text.unwrap_or_else(|| "a panic without words".into());
    Error::Fault(Fault::new("answer a request", text)).into_response()
}
