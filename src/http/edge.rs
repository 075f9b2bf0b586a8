//! What every request passes: a request id, the client's address, a limit for it, a time-out, a net under panics, a line in the log,
//! a count. One layer has it all: each layer of a router costs a request an allocation and a copy of all that is below it.

use std::any::Any;
use std::net::SocketAddr;
use std::panic::AssertUnwindSafe;
use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::{ConnectInfo, MatchedPath, Request, State};
use axum::http::{HeaderValue, Method};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use futures::FutureExt;
use ipnet::IpNet;

use super::address::ClientAddress;
use super::envelope::Told;
use super::traced;
use crate::app::App;
use crate::config::networks;
use crate::error::{Error, Fault, Refusal};
use crate::suspicion::Sign;
use crate::telemetry::{self, About};

const REQUEST_ID: &str = "x-request-id";
/// As a route, of a path that leads nowhere.
pub const UNMATCHED: &str = "unmatched";

/// What the edge knows.
#[derive(Clone)]
struct Edge {
    app: Arc<App>,
    /// Proxies whose word counts on whom they speak for.
    trusted: Arc<[IpNet]>,
}

/// Puts the edge around the routes.
pub fn wrap(routes: Router<Arc<App>>, app: Arc<App>) -> Router<Arc<App>> {
    // The settings were checked when they were read; of others nobody is trusted.
    let trusted = networks(&app.config.server.trusted_proxies).unwrap_or_default().into();
    routes.layer(from_fn_with_state(Edge { app, trusted }, pass))
}

/// Takes the request's id or makes one, echoes it, and notes the answer.
async fn pass(
    State(Edge { app, trusted }): State<Edge>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    mut request: Request,
    next: Next,
) -> Response {
    let started = Instant::now();
    let from = ClientAddress::of(peer.ip(), request.headers(), &trusted);
    request.extensions_mut().insert(from);
    let id = request_id(&app, &request);
    let method = known(request.method());
    let matched = request.extensions().get::<MatchedPath>().cloned();
    let route = matched.as_ref().map_or(UNMATCHED, MatchedPath::as_str);
    let request_id = id.to_str().unwrap_or_default();
    let traced = traced::begin(&app, &request, route, request_id);
    let about = About {
        request_id: request_id.to_owned(),
        trace: traced.as_ref().map(|it| (it.trace_id(), it.span_id())),
        method,
        route: route.to_owned(),
    };
    let mut response = telemetry::about(about, async {
        let answer = pin!(answer(&app, from, request, next));
        let response = match &traced {
            Some(traced) => traced.run(answer).await,
            None => answer.await,
        };
        let told = response.extensions().get::<Told>().map(|it| it.0.as_str());
        let took_us = started.elapsed().as_micros() as u64;
        tracing::debug!(status = response.status().as_u16(), code = told, took_us, "answered");
        response
    })
    .await;
    if let Some(traced) = traced {
        traced::answered(traced, response.status());
    }
    response.headers_mut().insert(REQUEST_ID, id);
    app.metrics.http(method, route, response.status().as_u16(), started.elapsed());
    if let Some(Told(code)) = response.extensions().get() {
        app.metrics.refusal(*code);
        app.refusals.note(*code);
    }
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

/// The routes' answer, unless the address has asked for too much, it takes too long, or there is a panic. Operators' own paths are not
/// limited: a flood must not hide the node from them. A poll of Socket.IO waits for as long as there is nothing to say.
async fn answer(app: &App, from: ClientAddress, request: Request, next: Next) -> Response {
    let path = request.uri().path();
    let polls = path == super::socketio::PATH;
    if (path.starts_with("/api/") || polls)
        && let Err(refusal) = app.gate.address(from.counted_as()).await
    {
        app.note(Some(Sign::Flooding), None, from.counted_as());
        return refusal.into_response();
    }
    let waits = polls && request.method() == Method::GET;
    let answering = AssertUnwindSafe(next.run(request)).catch_unwind();
    if waits {
        return answering.await.unwrap_or_else(after_panic);
    }
    let limit = Duration::from_millis(app.config.server.request_timeout_ms);
    match tokio::time::timeout(limit, answering).await {
        Ok(answered) => answered.unwrap_or_else(after_panic),
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
