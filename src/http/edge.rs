//! What every request passes: a request id, the client's address, a limit for it, a time-out, a net under panics, a line in the log,
//! a count. One layer has it all, and it is a bare tower service: each layer of a router costs a request an allocation and a copy of all
//! that is below it, and a middleware of axum's takes the request apart and puts it together again.

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
use axum::http::{HeaderName, HeaderValue, Method, StatusCode};
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
use super::envelope::Told;
use super::{query, traced};
use crate::app::App;
use crate::config::networks;
use crate::connections::{Busy, Slot};
use crate::error::{Error, Fault, Refusal};
use crate::suspicion::Sign;
use crate::telemetry::{self, About};
use crate::traces;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// As a route, of a path that leads nowhere.
pub const UNMATCHED: &str = "unmatched";

/// What the edge knows.
#[derive(Clone)]
struct Edge {
    app: Arc<App>,
    /// Proxies whose word counts on whom they speak for.
    trusted: Arc<[IpNet]>,
    /// The listener is the operators' own.
    is_admin: bool,
}

/// Puts the edge around the routes.
pub fn wrap(routes: Router<Arc<App>>, app: Arc<App>, is_admin: bool) -> Router<Arc<App>> {
    // The settings were checked when they were read; of others nobody is trusted.
    let trusted = networks(&app.config.server.trusted_proxies).unwrap_or_default().into();
    let edge = Edge { app, trusted, is_admin };
    routes.layer(layer_fn(move |routes| Guarded { edge: edge.clone(), routes }))
}

/// Routes behind the edge.
#[derive(Clone)]
struct Guarded<S> {
    edge: Edge,
    routes: S,
}

impl<S> Service<Request> for Guarded<S>
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
        // The listener marks every request; one that it did not would share its limits with all of its kind. Nobody else needs the mark.
        let peer = request.extensions_mut().remove::<Peer>();
        debug_assert!(peer.is_some(), "a listener does not say who is there");
        let busy = peer.as_ref().and_then(|it| it.slot.as_ref()).map(Slot::begin);
        let mut asked = Asked::read(&self.edge, peer.as_ref(), &mut request);
        let preflight = asked.origin.preflight(&request);
        // It costs no more than its refusal, which a browser would hide.
        asked.is_limited &= preflight.is_none();
        let early = preflight.or_else(|| {
            let read = query::check_read(asked.method, asked.route(), request.uri().query());
            read.err().map(Refusal::into_response)
        });
        let traced = traced::begin(&app, &request, asked.route(), asked.id()).map(Box::new);
        // A future does nothing before it is polled, so nothing is asked of the routes yet. In a box, for it has room for the request,
        // and would be moved each time that it is handed on.
        let answering = self.routes.call(request);
        let answering = Box::pin(async move {
            if let Some(response) = early {
                return Ok(response);
            }
            let response = answering.await?;
            let stays = !goes_on(&response) || busy.is_none_or(Busy::stay);
            Ok(if stays { response } else { Refusal::NoSocket.into_response() })
        });
        Box::pin(async move { Ok(pass(&app, &asked, traced, answering).await) })
    }
}

/// Whether the connection is the response's own from its head on: a stream of unknown length, or another protocol.
fn goes_on(response: &Response) -> bool {
    response.status() == StatusCode::SWITCHING_PROTOCOLS || response.body().size_hint().exact().is_none()
}

/// What the edge has to know of a request.
struct Asked {
    at: Instant,
    from: ClientAddress,
    id: HeaderValue,
    method: &'static str,
    route: Option<MatchedPath>,
    origin: OriginAccess,
    /// Operators' own paths are not limited: a flood must not hide the node from them.
    is_limited: bool,
    /// A poll of Socket.IO waits for as long as there is nothing to say.
    waits: bool,
}

impl Asked {
    /// Reads it, and tells the handler where the request comes from.
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
            waits: polls && request.method() == Method::GET,
        }
    }

    fn id(&self) -> &str {
        self.id.to_str().unwrap_or_default()
    }

    fn route(&self) -> &str {
        self.route.as_ref().map_or(UNMATCHED, MatchedPath::as_str)
    }
}

/// The routes' answer, with the request's id, noted.
async fn pass(
    app: &App,
    asked: &Asked,
    traced: Option<Box<traces::Request>>,
    answering: Pin<Box<impl Future<Output = Result<Response, Infallible>>>>,
) -> Response {
    let about = About {
        request_id: asked.id().to_owned(),
        trace: traced.as_ref().map(|it| (it.trace_id(), it.span_id())),
        method: asked.method,
        route: asked.route().to_owned(),
    };
    let mut response = telemetry::about(about, async {
        let answer = pin!(answer(app, asked, answering));
        let response = match &traced {
            Some(traced) => traced.run(answer).await,
            None => answer.await,
        };
        let told = response.extensions().get::<Told>().map(|it| it.0.as_str());
        let took_us = asked.at.elapsed().as_micros() as u64;
        tracing::debug!(status = response.status().as_u16(), code = told, took_us, "answered");
        response
    })
    .await;
    if let Some(traced) = traced {
        traced::answered(*traced, response.status());
    }
    app.metrics.http(asked.method, asked.route(), response.status().as_str(), asked.at.elapsed());
    response.headers_mut().insert(REQUEST_ID, asked.id.clone());
    asked.origin.write(response.headers_mut());
    if let Some(Told(code)) = response.extensions().get() {
        app.metrics.refusal(*code);
        app.refusals.note(*code);
    }
    response
}

/// Whether operators ask there, or their tools.
fn is_for_operators(path: &str) -> bool {
    ["/api/admin/", "/metrics", "/readyz"].iter().any(|it| path.starts_with(it))
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
    let make = || {
        let mut text = Uuid::encode_buffer();
        let text = app.clock.new_id().hyphenated().encode_lower(&mut text);
        HeaderValue::from_str(text).unwrap_or(HeaderValue::from_static("-"))
    };
    given.cloned().unwrap_or_else(make)
}

/// The routes' answer, unless the address has asked for too much, it takes too long, or there is a panic.
async fn answer(
    app: &App,
    asked: &Asked,
    answering: Pin<Box<impl Future<Output = Result<Response, Infallible>>>>,
) -> Response {
    if asked.is_limited
        && let Err(refusal) = app.rate_limiter.address(asked.from.counted_as()).await
    {
        app.note(Some(Sign::Flooding), None, asked.from.counted_as());
        return refusal.into_response();
    }
    let answering = AssertUnwindSafe(answering).catch_unwind();
    let answered = if asked.waits {
        answering.await
    } else {
        let limit = Duration::from_millis(app.config.server.request_timeout_ms);
        let Ok(answered) = tokio::time::timeout(limit, answering).await else {
            return Refusal::Unavailable("The request took too long, please try again").into_response();
        };
        answered
    };
    answered.map_or_else(after_panic, |Ok(response)| response)
}

fn after_panic(panic: Box<dyn Any + Send>) -> Response {
    let text = panic
        .downcast_ref::<String>()
        .cloned()
        .or_else(|| panic.downcast_ref::<&str>().map(|it| (*it).into()));
    let text: String = text.unwrap_or_else(|| "a panic without words".into());
    Error::Fault(Fault::new("answer a request", text)).into_response()
}
