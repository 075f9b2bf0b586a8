//! Traces: what became of one request, on whichever node (OpenTelemetry, over OTLP). Off unless an endpoint is set, and then
//! nothing is made, written or asked. A request that was not drawn costs its ids, for the logs, and nothing below them.
//!
//! The SDK's own context is not used: whether there is a span is one look at the task, and one that was not drawn is never built.

mod context;
mod count;
mod http_client;
mod span;

use std::sync::Arc;
use std::time::Duration;

use opentelemetry::KeyValue;
use opentelemetry::trace::{SpanContext, TraceFlags, TracerProvider};
use opentelemetry_otlp::{Protocol, SpanExporter, WithExportConfig, WithHttpConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{
    BatchConfigBuilder, BatchSpanProcessor, IdGenerator, RandomIdGenerator, Sampler, SdkTracer,
    SdkTracerProvider,
};
use uuid::Uuid;

pub use opentelemetry::trace::SpanKind;
pub use span::{Request, Span, child, headers, within};

use crate::config;
use crate::error::Fault;
use crate::metrics::Metrics;
use count::{Counted, Room};
use http_client::Collector;

/// Spans that wait for the collector; what comes beyond is dropped and counted. About 8 MB.
const MOST_WAITING: usize = 8192;
/// Spans a message to the collector.
const AT_ONCE: usize = 512;
/// How often they go out.
const EXPORT_EVERY: Duration = Duration::from_secs(1);
/// A message to the collector that takes longer is given up.
const EXPORT_TIMEOUT: Duration = Duration::from_secs(5);
/// How long the last spans may take when the node stops.
const LAST_SPANS: Duration = Duration::from_secs(2);

/// One node's tracing, if it is on.
#[derive(Debug)]
pub struct Traces {
    provider: SdkTracerProvider,
    tracer: SdkTracer,
    ids: RandomIdGenerator,
    sample_ratio: f64,
    trust_parent: bool,
}

impl Traces {
    /// As the settings say: `None` without an endpoint.
    ///
    /// # Errors
    /// The exporter cannot be made. A collector that is away is no error.
    pub fn new(config: &config::Traces, metrics: &Metrics) -> Result<Option<Arc<Self>>, Fault> {
        if config.endpoint.is_empty() {
            return Ok(None);
        }
        let impossible = |error: String| Fault::new("start the traces", error);
        let exporter = SpanExporter::builder()
            .with_http()
            .with_http_client(Collector::new(EXPORT_TIMEOUT).map_err(impossible)?)
            .with_endpoint(format!("{}/v1/traces", config.endpoint.trim_end_matches('/')))
            .with_protocol(Protocol::HttpBinary)
            .with_timeout(EXPORT_TIMEOUT)
            .build()
            .map_err(|error| impossible(error.to_string()))?;
        let room = Room::new(MOST_WAITING, metrics.trace_spans.clone());
        let batches = BatchConfigBuilder::default()
            .with_max_queue_size(MOST_WAITING)
            .with_max_export_batch_size(AT_ONCE)
            .with_scheduled_delay(EXPORT_EVERY)
            .build();
        let exporter = Counted { inner: exporter, room: room.clone() };
        let processor = BatchSpanProcessor::builder(exporter).with_batch_config(batches).build();
        let provider = SdkTracerProvider::builder()
            .with_resource(resource())
            // Whether a request is traced was drawn before anything comes to the SDK.
            .with_sampler(Sampler::AlwaysOn)
            .with_span_processor(Counted { inner: processor, room })
            .build();
        Ok(Some(Arc::new(Self {
            tracer: provider.tracer("laurel"),
            provider,
            ids: RandomIdGenerator::default(),
            sample_ratio: config.sample_ratio,
            trust_parent: config.trust_parent,
        })))
    }

    /// A request from outside begins, perhaps in a trace that its caller began (the W3C's headers). Whoever calls may name a
    /// trace; whether we take part in it is for us to draw, unless callers are trusted: else a player could switch tracing on for a
    /// flood, by the flag or by ids that a ratio of the ids would choose.
    pub fn request(&self, parent: Option<&str>, state: Option<&str>) -> Request {
        let parent = parent.and_then(context::read);
        let drawn = match &parent {
            Some(parent) if self.trust_parent => parent.is_sampled(),
            _ => rand::random_bool(self.sample_ratio),
        };
        let state = state.filter(|_| self.trust_parent).and_then(|it| it.parse().ok()).unwrap_or_default();
        if drawn {
            let parent = parent.map_or(SpanContext::NONE, |it| context::with_state(&it, state));
            return Request::drawn(&self.tracer, &parent);
        }
        let trace = parent.map_or_else(|| self.ids.new_trace_id(), |it| it.trace_id());
        let span = self.ids.new_span_id();
        Request::passed_by(SpanContext::new(trace, span, TraceFlags::default(), false, state))
    }

    /// A span that goes on with what another node, or this one, left in Redis: only what was sampled leaves anything there.
    pub fn resume(&self, parent: &str, kind: SpanKind, name: &'static str) -> Span {
        match context::read(parent) {
            Some(parent) if parent.is_sampled() => Span::resumed(&self.tracer, &parent, kind, name),
            _ => Span::default(),
        }
    }

    /// Sends what is left, for as long as that may take.
    pub async fn stop(self: Arc<Self>) {
        // It blocks its thread until the last message is answered.
        let stopping = move || self.provider.shutdown_with_timeout(LAST_SPANS);
        if let Ok(Err(error)) = tokio::task::spawn_blocking(stopping).await {
            tracing::warn!(%error, "the last spans did not come to the collector");
        }
    }
}

/// Who sends: the environment's word (`OTEL_SERVICE_NAME`, `OTEL_RESOURCE_ATTRIBUTES`) counts more than ours.
fn resource() -> Resource {
    let given = Resource::builder().build();
    let ours = [
        KeyValue::new("service.name", "laurel"),
        KeyValue::new("service.version", env!("CARGO_PKG_VERSION")),
        KeyValue::new("service.instance.id", Uuid::new_v4().to_string()),
    ];
    let unknown = |it: &KeyValue| {
        let value = given.get(&it.key);
        value.is_none_or(|it| it.as_str().starts_with("unknown_service"))
    };
    let ours: Vec<KeyValue> = ours.into_iter().filter(unknown).collect();
    Resource::builder().with_attributes(ours).build()
}
