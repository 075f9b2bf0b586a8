//! Spans, and the current span of a task.

use std::borrow::Cow;
use std::time::{Duration, SystemTime};

use opentelemetry::trace::{Span as _, SpanBuilder, SpanContext, SpanKind, Status, TraceContextExt, Tracer};
use opentelemetry::{Context, KeyValue, Value};
use opentelemetry_sdk::trace::SdkTracer;

use super::context;

tokio::task_local! {
    /// The span of this task, if tracing is on. Spawned tasks do not inherit it.
    static CURRENT: CurrentSpan;
}

/// The parent of new spans.
#[derive(Clone, Debug)]
struct CurrentSpan {
    context: SpanContext,
    /// `None` if the request is not sampled.
    tracer: Option<SdkTracer>,
}

/// A span, which ends when it is dropped. In an unsampled request it is empty and costs nothing.
#[derive(Debug, Default)]
pub struct Span(Option<Box<SampledSpan>>);

#[derive(Debug)]
struct SampledSpan {
    span: opentelemetry_sdk::trace::Span,
    tracer: SdkTracer,
    /// When its work ended, if it stays open for its outcome.
    ended_at: Option<SystemTime>,
}

impl Drop for SampledSpan {
    fn drop(&mut self) {
        if let Some(ended_at) = self.ended_at {
            self.span.end_with_timestamp(ended_at);
        }
    }
}

impl SampledSpan {
    fn start(
        tracer: &SdkTracer,
        parent: &SpanContext,
        kind: SpanKind,
        name: Cow<'static, str>,
        began_ago: Option<Duration>,
    ) -> Self {
        let mut builder = SpanBuilder::from_name(name).with_kind(kind);
        builder.start_time = began_ago.map(|ago| opentelemetry::time::now() - ago);
        let parent = Context::new().with_remote_span_context(parent.clone());
        let span = tracer.build_with_context(builder, &parent);
        Self { span, tracer: tracer.clone(), ended_at: None }
    }
}

impl From<SampledSpan> for Span {
    fn from(span: SampledSpan) -> Self {
        Self(Some(Box::new(span)))
    }
}

impl Span {
    pub(super) fn resumed(
        tracer: &SdkTracer,
        parent: &SpanContext,
        kind: SpanKind,
        name: &'static str,
    ) -> Self {
        SampledSpan::start(tracer, parent, kind, name.into(), None).into()
    }

    /// Sets an attribute; never a token, a name or user input.
    pub fn set(&mut self, key: &'static str, value: impl Into<Value>) {
        if let Some(live) = &mut self.0 {
            live.span.set_attribute(KeyValue::new(key, value));
        }
    }

    /// Renames it, once its name is known.
    pub fn name(&mut self, name: impl FnOnce() -> String) {
        if let Some(live) = &mut self.0 {
            live.span.update_name(name());
        }
    }

    /// Marks it as failed. `error` is one of a few words, or a status code.
    pub fn fail(&mut self, error: impl Into<Value>) {
        if let Some(live) = &mut self.0 {
            live.span.set_attribute(KeyValue::new("error.type", error));
            live.span.set_status(Status::error(""));
        }
    }

    /// Whether it is sampled.
    pub fn is_sampled(&self) -> bool {
        self.0.is_some()
    }

    /// The `traceparent` to pass on. A node whose exporter has shut down has none.
    pub fn traceparent(&self) -> Option<String> {
        let context = self.0.as_ref()?.span.span_context();
        context.is_valid().then(|| context::write(context))
    }

    /// Ends it; it can still be a parent.
    pub fn end(&mut self) {
        if let Some(live) = &mut self.0 {
            live.span.end();
        }
    }

    /// Ends it now, but allows attributes until it is dropped: its outcome comes later.
    pub fn await_outcome(&mut self) {
        if let Some(live) = &mut self.0 {
            live.ended_at = Some(opentelemetry::time::now());
        }
    }

    /// Adds a child that took this long and ends now.
    pub fn add_past(&self, kind: SpanKind, name: &'static str, took: Duration) -> Self {
        self.0.as_ref().map_or_else(Self::default, |it| {
            SampledSpan::start(&it.tracer, it.span.span_context(), kind, name.into(), Some(took)).into()
        })
    }

    fn as_current(&self) -> Option<CurrentSpan> {
        let live = self.0.as_ref()?;
        Some(CurrentSpan { context: live.span.span_context().clone(), tracer: Some(live.tracer.clone()) })
    }
}

/// The trace of a request: its ids, for the logs, and its span if it is sampled.
#[derive(Debug)]
pub struct Request {
    /// Its span.
    pub span: Span,
    current: CurrentSpan,
}

impl Request {
    pub(super) fn sampled(tracer: &SdkTracer, parent: &SpanContext) -> Self {
        let span = SampledSpan::start(tracer, parent, SpanKind::Server, "HTTP".into(), None);
        let current = CurrentSpan { context: span.span.span_context().clone(), tracer: Some(tracer.clone()) };
        Self { span: span.into(), current }
    }

    pub(super) fn unsampled(context: SpanContext) -> Self {
        Self { span: Span::default(), current: CurrentSpan { context, tracer: None } }
    }

    /// The trace id in hex.
    pub fn trace_id(&self) -> String {
        self.current.context.trace_id().to_string()
    }

    /// The span id in hex, also if it is not sampled.
    pub fn span_id(&self) -> String {
        self.current.context.span_id().to_string()
    }

    /// Runs a future in it.
    pub async fn run<F: Future>(&self, future: F) -> F::Output {
        CURRENT.scope(self.current.clone(), future).await
    }
}

/// A child of this task's span; empty without one.
pub fn child(kind: SpanKind, name: impl FnOnce() -> Cow<'static, str>) -> Span {
    let start = |current: &CurrentSpan| {
        let tracer = current.tracer.as_ref()?;
        Some(SampledSpan::start(tracer, &current.context, kind, name(), None).into())
    };
    CURRENT.try_with(start).ok().flatten().unwrap_or_default()
}

/// Runs a future in a span.
pub async fn within<F: Future>(span: &Span, future: F) -> F::Output {
    match span.as_current() {
        Some(current) => CURRENT.scope(current, future).await,
        None => future.await,
    }
}

/// The headers that continue this task's trace in another service, sampled or not: `traceparent`, and `tracestate` unless it is empty.
pub fn headers() -> Option<(String, Option<String>)> {
    CURRENT
        .try_with(|current| {
            let state = current.context.trace_state().header();
            (context::write(&current.context), (!state.is_empty()).then_some(state))
        })
        .ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn unsampled_requests_build_no_spans() {
        let mut span = child(SpanKind::Internal, || panic!("an empty span has no name"));
        span.set("key", "value");
        span.name(|| panic!("an empty span has no name"));
        assert!(!span.is_sampled() && span.traceparent().is_none() && headers().is_none());
        let context = context::read("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00").unwrap();
        let request = Request::unsampled(context);
        let inside = async {
            assert!(!child(SpanKind::Internal, || panic!("not sampled")).is_sampled());
            within(&Span::default(), async { headers() }).await
        };
        let (parent, state) = request.run(inside).await.unwrap();
        assert_eq!(
            (parent.as_str(), state),
            ("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00", None)
        );
    }
}
