//! How long a call to Postgres takes.

use std::time::Instant;

use super::Metrics;

/// A call to Postgres that is under way. It is noted when it is dropped, so that one that was given up is in the times too: as
/// an error, unless Postgres has answered.
pub struct PostgresCall<'a> {
    metrics: &'a Metrics,
    operation: &'static str,
    began: Instant,
    answered: bool,
}

impl<'a> PostgresCall<'a> {
    pub(super) fn begin(metrics: &'a Metrics, operation: &'static str) -> Self {
        Self { metrics, operation, began: Instant::now(), answered: false }
    }

    /// Postgres has done what was asked, or has said why that cannot be.
    pub fn answered(mut self) {
        self.answered = true;
    }
}

impl Drop for PostgresCall<'_> {
    fn drop(&mut self) {
        let labels = [self.operation, if self.answered { "ok" } else { "error" }];
        let took = self.began.elapsed();
        self.metrics.postgres_seconds.with_label_values(&labels).observe(took.as_secs_f64());
    }
}
