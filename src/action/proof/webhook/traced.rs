//! A question as a span, in OpenTelemetry's words for HTTP clients. Of the URL there is the host alone: the rest may be secret.

use reqwest::Url;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use tokio::time::error::Elapsed;

use super::{Judgement, NoAnswer};
use crate::traces::{self, Span, SpanKind};

/// It begins.
pub fn begin(url: &Url) -> Span {
    let mut span = traces::child(SpanKind::Client, || "POST".into());
    if span.is_live() {
        span.set("http.request.method", "POST");
        span.set("server.address", url.host_str().unwrap_or_default().to_owned());
        span.set("server.port", i64::from(url.port_or_known_default().unwrap_or_default()));
    }
    span
}

/// The backend may go on with the trace, drawn or not.
pub fn pass_on(headers: &mut HeaderMap) {
    let Some((parent, state)) = traces::headers() else { return };
    for (name, value) in [("traceparent", Some(parent)), ("tracestate", state)] {
        if let Some(Ok(value)) = value.map(HeaderValue::try_from) {
            headers.insert(HeaderName::from_static(name), value);
        }
    }
}

/// What came of it.
pub fn end(mut span: Span, answer: &Result<Result<Judgement, NoAnswer>, Elapsed>) {
    match answer {
        Ok(Ok(_)) => span.set("http.response.status_code", 200),
        Ok(Err(NoAnswer::Refused(status))) => {
            span.set("http.response.status_code", i64::from(*status));
            span.fail(status.to_string());
        }
        Ok(Err(NoAnswer::Failed(_))) => span.fail("_OTHER"),
        Err(_) => span.fail("timeout"),
    }
}
