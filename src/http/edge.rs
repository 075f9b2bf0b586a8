//! The middleware of every request: request id, client address, rate limit per address, time-out, panic handler, log line, metric, span.
//! It is one plain tower service, because each router layer costs a request an allocation and a copy of everything below it, and axum
//! middleware takes the request apart and rebuilds it.

use std::any::Any;
use std::convert::Infallible;
use std::net::{IpAddr, Ipv4Addr};
use std::panic::AssertUnwindSafe;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::HttpBody;
use axum::extract::{MatchedPath, Request};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use axum::response::{IntoResponse, Response};
use futures::FutureExt;
use futures::future::BoxFuture;
use ipnet::IpNet;
use tower::Service;
use tower::layer::layer_fn;
use uuid::Uuid;

use super::accept::Peer;
use super::address::ClientAddress;
use super::cors::OriginAccess;
use super::envelope::ErrorCode;
use super::query;
use crate::abuse::AbuseSignal;
use crate::app::App;
use crate::config::networks;
use crate::connections::{RequestGuard, Slot};
use crate::error::{Error, Fault, Refusal};
use crate::telemetry::{self, RequestContext};
use crate::traces::{self, Span};

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// Route label of a path without a route.
pub const UNMATCHED: &str = "unmatched";

/// State of the middleware.
#[derive(Clone)]
struct Edge {
    app: Arc<App>,
    /// Proxies whose `X-Forwarded-For` entries count.
    trusted: Arc<[IpNet]>,
    /// Whether this is the admin listener.
    is_admin: bool,
}

/// Wraps the routes in the middleware.
pub fn wrap(routes: Router<Arc<App>>, app: Arc<App>, is_admin: bool) -> Router<Arc<App>> {
    // The configuration was checked when it was loaded. Should it be invalid, no proxy is trusted.
    let trusted = networks(&app.config.server.trusted_proxies).unwrap_or_default().into();
    let edge = Edge { app, trusted, is_admin };
    routes.layer(layer_fn(move |routes| EdgeService { edge: edge.clone(), routes }))
}

/// The routes with the middleware around them.
#[derive(Clone)]
struct EdgeService<S> {
    edge: Edge,
    routes: S,
}

impl<S> Service<Request> for EdgeService<S>
where
    S: Service<Request, Response = Response, Error = Infallible>,
    S::Future: Send + 'static,
{
    type Response = Response;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Response, Infallible>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.routes.poll_ready(context)
    }

    fn call(&mut self, mut request: Request) -> Self::Future {
        let app = self.edge.app.clone();
        // Every listener adds the peer. Requests without one would share one rate limit.
        let peer = request.extensions_mut().remove::<Peer>();
        debug_assert!(peer.is_some(), "the listener did not add the peer");
        let busy = peer.as_ref().and_then(|it| it.slot.as_ref()).map(Slot::begin);
        let mut info = RequestInfo::read(&self.edge, peer.as_ref(), &mut request);
        let preflight = info.origin.preflight(&request);
        // A preflight is exempt from the rate limit: it costs no more than a refusal, and browsers hide the refusal from the page.
        info.is_limited &= preflight.is_none();
        let early = preflight.or_else(|| {
            let read = query::check_read(info.method, info.route(), request.uri().query());
            read.err().map(Refusal::into_response)
        });
        let span = begin_span(&app, &request, info.route(), info.id()).map(Box::new);
        // The routes do nothing until this future is polled. It is boxed, because it holds the request and would be moved several times.
        let handler = self.routes.call(request);
        let handler = Box::pin(async move {
            if let Some(response) = early {
                return Ok(response);
            }
            let response = handler.await?;
            let stays = !takes_connection(&response) || busy.is_none_or(RequestGuard::keep_open);
            Ok(if stays { response } else { Refusal::NoSocket.into_response() })
        });
        Box::pin(async move { Ok(handle(&app, &info, span, handler).await) })
    }
}

/// Whether the response takes over the connection: a stream of unknown length, or an upgrade to another protocol.
fn takes_connection(response: &Response) -> bool {
    response.status() == StatusCode::SWITCHING_PROTOCOLS || response.body().size_hint().exact().is_none()
}

/// Properties of a request that the middleware uses after the request was passed on.
struct RequestInfo {
    at: Instant,
    from: ClientAddress,
    id: HeaderValue,
    method: &'static str,
    route: Option<MatchedPath>,
    origin: OriginAccess,
    /// Whether the rate limit per address applies. Operators' paths are exempt, so that they work during a flood.
    is_limited: bool,
    /// Whether the request has no time-out: a Socket.IO poll waits until there is a packet.
    is_long_poll: bool,
}

impl RequestInfo {
    /// Reads the properties and adds the client's address to the request.
    fn read(edge: &Edge, peer: Option<&Peer>, request: &mut Request) -> Self {
        let at = Instant::now();
        let peer = peer.map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |it| it.address.ip());
        let from = ClientAddress::of(peer, request.headers(), &edge.trusted);
        request.extensions_mut().insert(from);
        let path = request.uri().path();
        let polls = path == super::socketio::PATH;
        let origins = &edge.app.config.server.cors_origins;
        let origin = if edge.is_admin || is_for_operators(path) {
            OriginAccess::of_operator(origins, request.headers())
        } else {
            OriginAccess::of(origins, request.headers())
        };
        Self {
            at,
            from,
            id: request_id(&edge.app, request),
            method: known(request.method()),
            route: request.extensions().get::<MatchedPath>().cloned(),
            origin,
            is_limited: path.starts_with("/api/") || polls,
            is_long_poll: polls && request.method() == Method::GET,
        }
    }

    fn id(&self) -> &str {
        self.id.to_str().unwrap_or_default()
    }

    fn route(&self) -> &str {
        self.route.as_ref().map_or(UNMATCHED, MatchedPath::as_str)
    }
}

/// Runs the handler, then logs and counts the response and adds the headers of every response.
async fn handle(
    app: &App,
    info: &RequestInfo,
    span: Option<Box<traces::Request>>,
    handler: Pin<Box<impl Future<Output = Result<Response, Infallible>>>>,
) -> Response {
    let context = RequestContext {
        request_id: info.id().to_owned(),
        trace: span.as_ref().map(|span| (span.trace_id(), span.span_id())),
        method: info.method,
        route: info.route().to_owned(),
    };
    let mut response = telemetry::with_request(context, async {
        let guarded = pin!(guard(app, info, handler));
        let response = match &span {
            Some(span) => span.run(guarded).await,
            None => guarded.await,
        };
        let code = response.extensions().get::<ErrorCode>().map(|it| it.0.as_str());
        let took_us = info.at.elapsed().as_micros() as u64;
        tracing::debug!(status = response.status().as_u16(), code, took_us, "request answered");
        response
    })
    .await;
    if let Some(span) = span {
        end_span(*span, response.status());
    }
    app.metrics.http(info.method, info.route(), response.status().as_str(), info.at.elapsed());
    response.headers_mut().insert(REQUEST_ID, info.id.clone());
    info.origin.write(response.headers_mut());
    if let Some(ErrorCode(code)) = response.extensions().get() {
        app.metrics.refusal(*code);
        app.refusals.note(*code);
    }
    response
}

/// Whether a path is for operators or their tools.
fn is_for_operators(path: &str) -> bool {
    ["/api/admin/", "/metrics", "/readyz"].iter().any(|prefix| path.starts_with(prefix))
}

/// A method as a label. Unknown methods share one label, because a client can send any.
fn known(method: &Method) -> &'static str {
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

/// The request's own id if it has 1 to 128 visible ASCII characters, or a new one.
fn request_id(app: &App, request: &Request) -> HeaderValue {
    let given = request
        .headers()
        .get(REQUEST_ID)
        .filter(|id| (1..=128).contains(&id.len()) && id.as_bytes().iter().all(u8::is_ascii_graphic));
    let make = || {
        let mut text = Uuid::encode_buffer();
        let text = app.clock.new_id().hyphenated().encode_lower(&mut text);
        HeaderValue::from_str(text).unwrap_or(HeaderValue::from_static("-"))
    };
    given.cloned().unwrap_or_else(make)
}

/// Runs the handler with the rate limit per address, the time-out and the panic handler.
async fn guard(
    app: &App,
    info: &RequestInfo,
    handler: Pin<Box<impl Future<Output = Result<Response, Infallible>>>>,
) -> Response {
    if info.is_limited
        && let Err(refusal) = app.rate_limiter.address(info.from.counted_as()).await
    {
        app.abuse_signals.note(Some(AbuseSignal::Flooding), None, info.from.counted_as());
        return refusal.into_response();
    }
    let handler = AssertUnwindSafe(handler).catch_unwind();
    let outcome = if info.is_long_poll {
        handler.await
    } else {
        let limit = Duration::from_millis(app.config.server.request_timeout_ms);
        let Ok(outcome) = tokio::time::timeout(limit, handler).await else {
            return Refusal::Unavailable("The request took too long, please try again").into_response();
        };
        outcome
    };
    outcome.map_or_else(after_panic, |Ok(response)| response)
}

fn after_panic(panic: Box<dyn Any + Send>) -> Response {
    let text = panic
        .downcast_ref::<String>()
        .cloned()
        .or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).into()));
    let text: String = text.unwrap_or_else(|| "panic without a message".into());
    Error::Fault(Fault::new("answer_request", text)).into_response()
}

/// Begins the server span of an API request, if tracing is on. Health checks and pages are not traced. The attributes are set at once,
/// because a client that disconnects ends the span without a response. The path and the query are left out: they may hold secrets.
fn begin_span(app: &App, request: &Request, route: &str, id: &str) -> Option<traces::Request> {
    let traces = app.traces.as_ref().filter(|_| request.uri().path().starts_with("/api/"))?;
    let headers = request.headers();
    let mut span = traces.request(only(headers, "traceparent"), only(headers, "tracestate"));
    if span.span.is_sampled() {
        describe(&mut span.span, request.method(), route, id);
    }
    Some(span)
}

fn describe(span: &mut Span, method: &Method, route: &str, id: &str) {
    // OpenTelemetry's names for an unknown method.
    let (method, name) = match known(method) {
        "other" => ("_OTHER", "HTTP"),
        known => (known, known),
    };
    span.set("http.request.method", method);
    if route == UNMATCHED {
        span.name(|| name.to_owned());
    } else {
        span.name(|| format!("{name} {route}"));
        span.set("http.route", route.to_owned());
    }
    span.set("laurel.request.id", id.to_owned());
}

/// A header that occurs exactly once: a span has one parent.
fn only<'a>(headers: &'a HeaderMap, name: &'static str) -> Option<&'a str> {
    let mut values = headers.get_all(HeaderName::from_static(name)).iter();
    let value = values.next().filter(|_| values.next().is_none())?;
    value.to_str().ok()
}

/// Ends the span with the response's status.
fn end_span(mut request: traces::Request, status: StatusCode) {
    let span = &mut request.span;
    if !span.is_sampled() {
        return;
    }
    span.set("http.response.status_code", i64::from(status.as_u16()));
    if status.is_server_error() {
        span.fail(status.as_str().to_owned());
    }
}
