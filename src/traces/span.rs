//! One span, and which one a task is in.

use std::borrow::Cow;
use std::time::{Duration, SystemTime};

use opentelemetry::trace::{Span as _, SpanBuilder, SpanContext, SpanKind, Status, TraceContextExt, Tracer};
use opentelemetry::{Context, KeyValue, Value};
use opentelemetry_sdk::trace::SdkTracer;

use super::context;

tokio::task_local! {
    /// Where a task is, if tracing is on. Tasks that it spawns are nowhere.
    static HERE: Here;
}

/// What new spans are children of.
#[derive(Clone, Debug)]
struct Here {
    context: SpanContext,
    /// There if the trace was drawn.
    tracer: Option<SdkTracer>,
}

/// Something that takes time. It ends when it is dropped. Of a trace that was not drawn it is nothing, and costs nothing.
#[derive(Debug, Default)]
pub struct Span(Option<Box<Live>>);

#[derive(Debug)]
struct Live {
    span: opentelemetry_sdk::trace::Span,
    tracer: SdkTracer,
    /// When its work was done, if it is kept open for its outcome.
    worked_until: Option<SystemTime>,
}

impl Drop for Live {
    fn drop(&mut self) {
        if let Some(moment) = self.worked_until {
            self.span.end_with_timestamp(moment);
        }
    }
}

impl Live {
    fn start(
        tracer: &SdkTracer,
        parent: &SpanContext,
        kind: SpanKind,
        name: Cow<'static, str>,
        began: Option<Duration>,
    ) -> Self {
        let mut builder = SpanBuilder::from_name(name).with_kind(kind);
        builder.start_time = began.map(|ago| opentelemetry::time::now() - ago);
        let parent = Context::new().with_remote_span_context(parent.clone());
        let span = tracer.build_with_context(builder, &parent);
        Self { span, tracer: tracer.clone(), worked_until: None }
    }
}

impl From<Live> for Span {
    fn from(live: Live) -> Self {
        Self(Some(Box::new(live)))
    }
}

impl Span {
    pub(super) fn resumed(
        tracer: &SdkTracer,
        parent: &SpanContext,
        kind: SpanKind,
        name: &'static str,
    ) -> Self {
        Live::start(tracer, parent, kind, name.into(), None).into()
    }

    /// Says something about it; never a token, a name or what somebody wrote.
    pub fn set(&mut self, key: &'static str, value: impl Into<Value>) {
        if let Some(live) = &mut self.0 {
            live.span.set_attribute(KeyValue::new(key, value));
        }
    }

    /// Names it anew, once it is known what it is.
    pub fn name(&mut self, name: impl FnOnce() -> String) {
        if let Some(live) = &mut self.0 {
            live.span.update_name(name());
        }
    }

    /// It failed: with one of a few words, or a status.
    pub fn fail(&mut self, why: impl Into<Value>) {
        if let Some(live) = &mut self.0 {
            live.span.set_attribute(KeyValue::new("error.type", why));
            live.span.set_status(Status::error(""));
        }
    }

    /// Whether there is anything to be told.
    pub fn is_live(&self) -> bool {
        self.0.is_some()
    }

    /// As a `traceparent`, for who goes on with it. A node that has sent its last spans begins none any more.
    pub fn traceparent(&self) -> Option<String> {
        let context = self.0.as_ref()?.span.span_context();
        context.is_valid().then(|| context::write(context))
    }

    /// It is over, and can still be gone on with.
    pub fn end(&mut self) {
        if let Some(live) = &mut self.0 {
            live.span.end();
        }
    }

    /// Its work is done, but its outcome comes later: attributes can be set until it is dropped, and it ends at this moment.
    pub fn await_outcome(&mut self) {
        if let Some(live) = &mut self.0 {
            live.worked_until = Some(opentelemetry::time::now());
        }
    }

    /// A child that began a while ago and is over.
    pub fn add_past(&self, kind: SpanKind, name: &'static str, took: Duration) -> Self {
        self.0.as_ref().map_or_else(Self::default, |it| {
            Live::start(&it.tracer, it.span.span_context(), kind, name.into(), Some(took)).into()
        })
    }

    fn here(&self) -> Option<Here> {
        let live = self.0.as_ref()?;
        Some(Here { context: live.span.span_context().clone(), tracer: Some(live.tracer.clone()) })
    }
}

/// A request from outside: its ids, for the logs, and its span if it was drawn.
#[derive(Debug)]
pub struct Request {
    /// Its span.
    pub span: Span,
    here: Here,
}

impl Request {
    pub(super) fn drawn(tracer: &SdkTracer, parent: &SpanContext) -> Self {
        let span = Live::start(tracer, parent, SpanKind::Server, "HTTP".into(), None);
        let here = Here { context: span.span.span_context().clone(), tracer: Some(tracer.clone()) };
        Self { span: span.into(), here }
    }

    pub(super) fn passed_by(context: SpanContext) -> Self {
        Self { span: Span::default(), here: Here { context, tracer: None } }
    }

    /// The trace's id in hex.
    pub fn trace_id(&self) -> String {
        self.here.context.trace_id().to_string()
    }

    /// The span's id in hex, also of one that was not drawn.
    pub fn span_id(&self) -> String {
        self.here.context.span_id().to_string()
    }

    /// What happens in it.
    pub async fn run<F: Future>(&self, future: F) -> F::Output {
        HERE.scope(self.here.clone(), future).await
    }
}

/// A child of the span that this task is in, if it is in one.
pub fn child(kind: SpanKind, name: impl FnOnce() -> Cow<'static, str>) -> Span {
    let start =
        |here: &Here| Some(Live::start(here.tracer.as_ref()?, &here.context, kind, name(), None).into());
    HERE.try_with(start).ok().flatten().unwrap_or_default()
}

/// What happens in a span.
pub async fn within<F: Future>(span: &Span, future: F) -> F::Output {
    match span.here() {
        Some(here) => HERE.scope(here, future).await,
        None => future.await,
    }
}

/// The headers with which another service goes on with this task's trace, drawn or not: `traceparent`, and `tracestate` unless it is
/// empty.
pub fn headers() -> Option<(String, Option<String>)> {
    HERE.try_with(|here| {
        let state = here.context.trace_state().header();
        (context::write(&here.context), (!state.is_empty()).then_some(state))
    })
    .ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn where_nothing_is_traced_nothing_is_made() {
        let mut span = child(SpanKind::Internal, || panic!("a name was made for a span that is not there"));
        span.set("key", "value");
        span.name(|| panic!("a name was made for a span that is not there"));
        assert!(!span.is_live() && span.traceparent().is_none() && headers().is_none());
        let context = context::read("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00").unwrap();
        let request = Request::passed_by(context);
        let inside = async {
            assert!(!child(SpanKind::Internal, || panic!("not drawn")).is_live());
            within(&Span::default(), async { headers() }).await
        };
        let (parent, state) = request.run(inside).await.unwrap();
        assert_eq!(
            (parent.as_str(), state),
            ("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00", None)
        );
    }
}
