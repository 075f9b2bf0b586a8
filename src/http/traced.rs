//! A request as a span, in OpenTelemetry's words for HTTP servers. The path and the query stay out of it: they may carry what
//! only the client should know, and the route says which door it was.

use axum::http::{HeaderMap, HeaderName, Method, StatusCode};

use super::edge::{UNMATCHED, known};
use crate::app::App;
use crate::traces;

/// Begins the span, if tracing is on and somebody may want to know: what looks after a node asks it every few seconds.
pub fn begin(app: &App, headers: &HeaderMap, path: &str) -> Option<traces::Request> {
    let traces = app.traces.as_ref().filter(|_| path.starts_with("/api/"))?;
    Some(traces.request(only(headers, "traceparent"), only(headers, "tracestate")))
}

/// A header that is there once: two callers cannot both be the parent.
fn only<'a>(headers: &'a HeaderMap, name: &'static str) -> Option<&'a str> {
    let mut values = headers.get_all(HeaderName::from_static(name)).iter();
    let value = values.next().filter(|_| values.next().is_none())?;
    value.to_str().ok()
}

/// Says what it was, and how it was answered.
pub fn answered(mut request: traces::Request, method: &Method, route: &str, id: &str, status: StatusCode) {
    let span = &mut request.span;
    if !span.is_live() {
        return;
    }
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
    span.set("http.response.status_code", i64::from(status.as_u16()));
    span.set("laurel.request.id", id.to_owned());
    if status.is_server_error() {
        span.fail(status.as_str().to_owned());
    }
}
