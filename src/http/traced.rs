//! A request as a span, in OpenTelemetry's words for HTTP servers. The path and the query stay out of it: they may carry what
//! only the client should know, and the route says which door it was.

use axum::extract::Request;
use axum::http::{HeaderMap, HeaderName, Method, StatusCode};

use super::edge::{UNMATCHED, known};
use crate::app::App;
use crate::traces::{self, Span};

/// Begins the span, if tracing is on and somebody may want to know: what looks after a node asks it every few seconds. It says
/// what it is at once, for a client that hangs up ends it without an answer.
pub fn begin(app: &App, asked: &Request, route: &str, id: &str) -> Option<traces::Request> {
    let traces = app.traces.as_ref().filter(|_| asked.uri().path().starts_with("/api/"))?;
    let headers = asked.headers();
    let mut request = traces.request(only(headers, "traceparent"), only(headers, "tracestate"));
    if request.span.is_live() {
        describe(&mut request.span, asked.method(), route, id);
    }
    Some(request)
}

fn describe(span: &mut Span, method: &Method, route: &str, id: &str) {
    // Anybody can make up a method.
    let (method, shown) = match known(method) {
        "other" => ("_OTHER", "HTTP"),
        known => (known, known),
    };
    span.set("http.request.method", method);
    if route == UNMATCHED {
        span.name(|| shown.to_owned());
    } else {
        span.name(|| format!("{shown} {route}"));
        span.set("http.route", route.to_owned());
    }
    span.set("laurel.request.id", id.to_owned());
}

/// A header that is there once: two callers cannot both be the parent.
fn only<'a>(headers: &'a HeaderMap, name: &'static str) -> Option<&'a str> {
    let mut values = headers.get_all(HeaderName::from_static(name)).iter();
    let value = values.next().filter(|_| values.next().is_none())?;
    value.to_str().ok()
}

/// Says how it was answered.
pub fn answered(mut request: traces::Request, status: StatusCode) {
    let span = &mut request.span;
    if !span.is_live() {
        return;
    }
    span.set("http.response.status_code", i64::from(status.as_u16()));
    if status.is_server_error() {
        span.fail(status.as_str().to_owned());
    }
}
