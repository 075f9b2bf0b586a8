//! A batch's writing, as it looks from each traced award in it: a span from the moment it is taken up until it is committed.

use super::commit::NotWritten;
use crate::app::App;
use crate::store::Entry;
use crate::traces::{Span, SpanKind};

/// Begins them; the most that is not traced costs a look at an empty field.
pub fn begin(app: &App, entries: &[Entry]) -> Vec<Span> {
    let Some(traces) = &app.traces else { return Vec::new() };
    let parents = entries.iter().filter_map(|it| it.trace.as_deref());
    let begin = |parent| {
        let mut span = traces.resume(parent, SpanKind::Consumer, "process outbox");
        span.set("messaging.system", "redis");
        span.set("messaging.operation.name", "process");
        span.set("messaging.operation.type", "process");
        span.set("messaging.destination.name", "outbox");
        span.set("messaging.batch.message_count", entries.len() as i64);
        span
    };
    parents.map(begin).collect()
}

/// Ends them: committed, or to be tried again.
pub fn end(spans: Vec<Span>, why_not: Option<&NotWritten>) {
    let why = match why_not {
        None => return,
        Some(NotWritten::Store(fault)) if fault.retryable => "away",
        Some(_) => "refused",
    };
    spans.into_iter().for_each(|mut it| it.fail(why));
}
