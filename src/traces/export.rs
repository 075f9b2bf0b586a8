//! Export of finished spans to the collector: a limit on the SDK's queue, whose drops the SDK itself does not count, and the HTTP client.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use opentelemetry::Context;
use opentelemetry_http::{Bytes, HttpClient, HttpError, Request, Response};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{BatchSpanProcessor, Span, SpanData, SpanExporter, SpanProcessor};
use prometheus::IntCounterVec;
use tokio::runtime::Handle;

/// A collector's response has a few bytes; a longer body is not read.
const MAX_RESPONSE_BYTES: u64 = 64 * 1024;

/// Limits the queued spans, and counts what becomes of them.
#[derive(Debug)]
pub struct QueueLimit {
    max: usize,
    queued: AtomicUsize,
    failing: AtomicBool,
    results: IntCounterVec,
}

impl QueueLimit {
    /// A limit of `max` queued spans.
    pub fn new(max: usize, results: IntCounterVec) -> Arc<Self> {
        Arc::new(Self { max, queued: AtomicUsize::new(0), failing: AtomicBool::new(false), results })
    }

    fn count(&self, result: &str, spans: usize) {
        self.results.with_label_values(&[result]).inc_by(spans as u64);
    }

    /// Counts a span in; `false` if the queue is full.
    fn try_enqueue(&self) -> bool {
        let fits = self.queued.fetch_add(1, Ordering::Relaxed) < self.max;
        if !fits {
            self.queued.fetch_sub(1, Ordering::Relaxed);
            self.count("dropped", 1);
        }
        fits
    }

    /// Counts exported spans out. Logs only when the export starts to fail or recovers.
    fn exported(&self, spans: usize, result: &OTelSdkResult) {
        self.queued.fetch_sub(spans, Ordering::Relaxed);
        self.count(if result.is_ok() { "sent" } else { "failed" }, spans);
        let failed_before = self.failing.swap(result.is_err(), Ordering::Relaxed);
        match result {
            Err(error) if !failed_before => {
                tracing::warn!(%error, runbook = "LaurelSpansLost", "span export failed");
            }
            Ok(()) if failed_before => tracing::info!("span export recovered"),
            _ => {}
        }
    }
}

/// A span processor or exporter with a queue limit.
#[derive(Debug)]
pub struct Limited<T> {
    /// The processor, before the queue, or the exporter, behind it.
    pub inner: T,
    /// The limit of the queue between them.
    pub limit: Arc<QueueLimit>,
}

impl SpanProcessor for Limited<BatchSpanProcessor> {
    fn on_start(&self, span: &mut Span, context: &Context) {
        self.inner.on_start(span, context);
    }

    fn on_end(&self, span: SpanData) {
        if self.limit.try_enqueue() {
            self.inner.on_end(span);
        }
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.inner.force_flush()
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.inner.shutdown_with_timeout(timeout)
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.inner.set_resource(resource);
    }
}

impl<E: SpanExporter> SpanExporter for Limited<E> {
    async fn export(&self, spans: Vec<SpanData>) -> OTelSdkResult {
        let count = spans.len();
        let result = self.inner.export(spans).await;
        self.limit.exported(count, &result);
        result
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.inner.shutdown_with_timeout(timeout)
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.inner.force_flush()
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.inner.set_resource(resource);
    }
}

/// Sends spans to the collector. The SDK exports from a thread without a reactor, so requests run on the node's runtime.
#[derive(Debug)]
pub struct CollectorClient {
    client: reqwest::Client,
    runtime: Handle,
}

impl CollectorClient {
    /// A client with a timeout per request.
    ///
    /// # Errors
    /// TLS cannot be set up.
    pub fn new(timeout: Duration) -> Result<Self, String> {
        let client = reqwest::Client::builder().timeout(timeout).redirect(reqwest::redirect::Policy::none());
        let client = client.no_proxy().build().map_err(|error| error.to_string())?;
        Ok(Self { client, runtime: Handle::current() })
    }
}

#[async_trait]
impl HttpClient for CollectorClient {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let client = self.client.clone();
        self.runtime.spawn(async move { send(&client, request).await }).await?
    }
}

async fn send(client: &reqwest::Client, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
    let received = client.execute(request.try_into()?).await?;
    let mut response = Response::new(Bytes::new());
    *response.status_mut() = received.status();
    if received.content_length().is_some_and(|it| it <= MAX_RESPONSE_BYTES) {
        *response.body_mut() = received.bytes().await?;
    }
    Ok(response)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::Metrics;

    #[test]
    fn spans_beyond_the_limit_are_dropped_and_counted() {
        let results = Metrics::default().trace_spans;
        let limit = QueueLimit::new(2, results.clone());
        assert_eq!([limit.try_enqueue(), limit.try_enqueue(), limit.try_enqueue()], [true, true, false]);
        limit.exported(2, &Ok(()));
        assert!(limit.try_enqueue());
        let counted = |result: &str| results.with_label_values(&[result]).get();
        assert_eq!((counted("sent"), counted("dropped")), (2, 1));
    }
}
