//! What becomes of spans, counted on their way through the SDK: it drops what does not fit without telling how much that was.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use opentelemetry::Context;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{BatchSpanProcessor, Span, SpanData, SpanExporter, SpanProcessor};
use prometheus::IntCounterVec;

/// How many more spans may wait.
#[derive(Debug)]
pub struct Room {
    most: usize,
    waiting: AtomicUsize,
    failing: AtomicBool,
    results: IntCounterVec,
}

impl Room {
    /// Room for so many.
    pub fn new(most: usize, results: IntCounterVec) -> Arc<Self> {
        Arc::new(Self { most, waiting: AtomicUsize::new(0), failing: AtomicBool::new(false), results })
    }

    fn count(&self, result: &str, spans: usize) {
        self.results.with_label_values(&[result]).inc_by(spans as u64);
    }

    /// Takes a place, if there is one.
    fn take(&self) -> bool {
        let taken = self.waiting.fetch_add(1, Ordering::Relaxed) < self.most;
        if !taken {
            self.waiting.fetch_sub(1, Ordering::Relaxed);
            self.count("dropped", 1);
        }
        taken
    }

    /// Gives places back. That it goes wrong, or well again, is said once.
    fn give_back(&self, spans: usize, result: &OTelSdkResult) {
        self.waiting.fetch_sub(spans, Ordering::Relaxed);
        self.count(if result.is_ok() { "sent" } else { "failed" }, spans);
        let failed_before = self.failing.swap(result.is_err(), Ordering::Relaxed);
        match result {
            Err(error) if !failed_before => tracing::warn!(%error, "spans do not come to the collector"),
            Ok(()) if failed_before => tracing::info!("spans come to the collector again"),
            _ => {}
        }
    }
}

/// The way into the SDK's queue, and the way out of it.
#[derive(Debug)]
pub struct Counted<T> {
    /// What is counted.
    pub inner: T,
    /// By whom.
    pub room: Arc<Room>,
}

impl SpanProcessor for Counted<BatchSpanProcessor> {
    fn on_start(&self, span: &mut Span, context: &Context) {
        self.inner.on_start(span, context);
    }

    fn on_end(&self, span: SpanData) {
        if self.room.take() {
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

impl<E: SpanExporter> SpanExporter for Counted<E> {
    async fn export(&self, spans: Vec<SpanData>) -> OTelSdkResult {
        let count = spans.len();
        let result = self.inner.export(spans).await;
        self.room.give_back(count, &result);
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::Metrics;

    #[test]
    fn what_finds_no_room_is_dropped_and_counted() {
        let results = Metrics::default().trace_spans;
        let room = Room::new(2, results.clone());
        assert_eq!([room.take(), room.take(), room.take()], [true, true, false]);
        room.give_back(2, &Ok(()));
        assert!(room.take());
        let counted = |result: &str| results.with_label_values(&[result]).get();
        assert_eq!((counted("sent"), counted("dropped")), (2, 1));
    }
}
