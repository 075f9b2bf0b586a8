//! Distributed tracing: OpenTelemetry over OTLP, across nodes. Off unless an endpoint is configured.
//!
//! An unsampled request costs only its ids, which the logs need. The SDK's own context is not used: whether a task is traced is one
//! read of a task-local value, and an unsampled span is never built. Sampling 1 % of requests has no measurable cost.

mod context;
mod export;
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
use export::{CollectorClient, Limited, QueueLimit};

/// Most queued spans, about 8 MB; more are dropped and counted.
const MAX_QUEUED: usize = 8192;
/// Spans per request to the collector.
const EXPORT_BATCH: usize = 512;
/// Time between exports.
const EXPORT_INTERVAL: Duration = Duration::from_secs(1);
/// Timeout of a request to the collector.
const EXPORT_TIMEOUT: Duration = Duration::from_secs(5);
/// How long the last export may take when the node stops.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(2);

/// A node's tracer.
#[derive(Debug)]
pub struct Traces {
    provider: SdkTracerProvider,
    tracer: SdkTracer,
    ids: RandomIdGenerator,
    sample_ratio: f64,
    trust_parent: bool,
}

impl Traces {
    /// A tracer for the configured endpoint; `None` without one.
    ///
    /// # Errors
    /// The exporter cannot be built. An unreachable collector is no error.
    pub fn new(config: &config::Traces, metrics: &Metrics) -> Result<Option<Arc<Self>>, Fault> {
        if config.endpoint.is_empty() {
            return Ok(None);
        }
        let failed = |error: String| Fault::new("start the traces", error);
        let exporter = SpanExporter::builder()
            .with_http()
            .with_http_client(CollectorClient::new(EXPORT_TIMEOUT).map_err(failed)?)
            .with_endpoint(format!("{}/v1/traces", config.endpoint.trim_end_matches('/')))
            .with_protocol(Protocol::HttpBinary)
            .with_timeout(EXPORT_TIMEOUT)
            .build()
            .map_err(|error| failed(error.to_string()))?;
        let limit = QueueLimit::new(MAX_QUEUED, metrics.trace_spans.clone());
        let batches = BatchConfigBuilder::default()
            .with_max_queue_size(MAX_QUEUED)
            .with_max_export_batch_size(EXPORT_BATCH)
            .with_scheduled_delay(EXPORT_INTERVAL)
            .build();
        let exporter = Limited { inner: exporter, limit: limit.clone() };
        let processor = BatchSpanProcessor::builder(exporter).with_batch_config(batches).build();
        let provider = SdkTracerProvider::builder()
            .with_resource(resource())
            // Only spans of sampled requests reach the SDK.
            .with_sampler(Sampler::AlwaysOn)
            .with_span_processor(Limited { inner: processor, limit })
            .build();
        Ok(Some(Arc::new(Self {
            tracer: provider.tracer("laurel"),
            provider,
            ids: RandomIdGenerator::default(),
            sample_ratio: config.sample_ratio,
            trust_parent: config.trust_parent,
        })))
    }

    /// Starts the trace of a request, which continues the caller's if there are W3C trace headers. The sampling decision is ours unless
    /// callers are trusted: otherwise a player could have a flood of requests traced, by the sampled flag or by chosen ids.
    pub fn request(&self, parent: Option<&str>, state: Option<&str>) -> Request {
        let parent = parent.and_then(context::read);
        let sampled = match &parent {
            Some(parent) if self.trust_parent => parent.is_sampled(),
            _ => rand::random_bool(self.sample_ratio),
        };
        let state = state.filter(|_| self.trust_parent).and_then(|it| it.parse().ok()).unwrap_or_default();
        if sampled {
            let parent = parent.map_or(SpanContext::NONE, |parent| context::with_state(&parent, state));
            return Request::sampled(&self.tracer, &parent);
        }
        let trace = parent.map_or_else(|| self.ids.new_trace_id(), |it| it.trace_id());
        let span = self.ids.new_span_id();
        Request::unsampled(SpanContext::new(trace, span, TraceFlags::default(), false, state))
    }

    /// A span that continues a trace context from Redis. Only sampled requests write one.
    pub fn resume(&self, parent: &str, kind: SpanKind, name: &'static str) -> Span {
        match context::read(parent) {
            Some(parent) if parent.is_sampled() => Span::resumed(&self.tracer, &parent, kind, name),
            _ => Span::default(),
        }
    }

    /// Exports the remaining spans and shuts down.
    pub async fn stop(self: Arc<Self>) {
        // Shutdown blocks its thread until the last response.
        let stopping = move || self.provider.shutdown_with_timeout(SHUTDOWN_TIMEOUT);
        if let Ok(Err(error)) = tokio::task::spawn_blocking(stopping).await {
            tracing::warn!(%error, "last span export failed, spans lost");
        }
    }
}

/// The resource of all spans; `OTEL_SERVICE_NAME` and `OTEL_RESOURCE_ATTRIBUTES` override our values.
fn resource() -> Resource {
    let from_env = Resource::builder().build();
    let defaults = [
        KeyValue::new("service.name", "laurel"),
        KeyValue::new("service.version", env!("CARGO_PKG_VERSION")),
        KeyValue::new("service.instance.id", Uuid::new_v4().to_string()),
    ];
    let is_unset = |default: &KeyValue| {
        let value = from_env.get(&default.key);
        value.is_none_or(|it| it.as_str().starts_with("unknown_service"))
    };
    let defaults: Vec<KeyValue> = defaults.into_iter().filter(is_unset).collect();
    Resource::builder().with_attributes(defaults).build()
}
