//! Logs: one line per event, as text or JSON. `RUST_LOG` filters. Lines of a request have its id and trace, from a task-local value that is
//! read only when a line is written; fields of a `tracing` span would be formatted for every request.

mod queue;

use std::fmt;
use std::io::{self, IsTerminal, Write};

use serde_json::{Map, Value};
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::field::RecordFields;
use tracing_subscriber::fmt::format::{DefaultFields, JsonFields, Writer};
use tracing_subscriber::fmt::time::{FormatTime, SystemTime};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

use crate::config;
use queue::Queue;

tokio::task_local! {
    /// The request that this task answers. Spawned tasks do not inherit it.
    static REQUEST: RequestContext;
}

/// The request fields of a log line.
#[derive(Debug)]
pub struct RequestContext {
    /// Its id.
    pub request_id: String,
    /// Trace id and span id in hex, if tracing is on.
    pub trace: Option<(String, String)>,
    /// Its method.
    pub method: &'static str,
    /// Its route.
    pub route: String,
}

impl RequestContext {
    fn fields(&self) -> impl Iterator<Item = (&'static str, &str)> {
        let trace =
            self.trace.iter().flat_map(|(trace, span)| [("trace_id", trace.as_str()), ("span_id", span)]);
        let request = [("method", self.method), ("route", self.route.as_str())];
        std::iter::once(("request_id", self.request_id.as_str())).chain(trace).chain(request)
    }
}

/// Runs a future that answers a request: its log lines have the request's fields.
pub async fn with_request<T>(request: RequestContext, answer: impl Future<Output = T>) -> T {
    REQUEST.scope(request, answer).await
}

/// The log of this process, on standard error, because standard output is for a command's results. A line that cannot be written is
/// dropped.
pub struct Log {
    json: bool,
    queue: Queue,
}

impl Log {
    /// Starts the log. `RUST_LOG` overrides `filter`.
    pub fn start(settings: &config::Log, filter: &str) -> Self {
        let log = Self { json: settings.format == "json", queue: Queue::start() };
        let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(filter));
        let queue = log.queue.clone();
        let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(move || queue.clone());
        // Colors are for terminals.
        let builder = if io::stderr().is_terminal() { builder } else { builder.with_ansi(false) };
        let started = if log.json {
            std::panic::set_hook(Box::new(|panic| tracing::error!(%panic, "task panicked")));
            builder.fmt_fields(JsonFields::new()).event_format(JsonLines).try_init()
        } else {
            builder.fmt_fields(TextFields).with_target(false).try_init()
        };
        // A second start in one process, as in tests, keeps the first one.
        drop(started);
        log
    }

    /// A message for standard output as a JSON object; `None` if the log is text.
    pub fn json(&self, level: Level, message: &str, fields: &[(&str, Option<&str>)]) -> Option<String> {
        self.json.then(|| {
            let mut line = JsonLine::new(level);
            line.put("message", message);
            let present = fields.iter().filter_map(|(name, value)| Some((name, (*value)?)));
            present.for_each(|(name, value)| line.put(name, value));
            Value::Object(line.0).to_string()
        })
    }

    /// Writes the error that ends the process, whatever the filter.
    pub fn fail(&mut self, error: &str) {
        let line = self.json(Level::ERROR, error, &[]).unwrap_or_else(|| format!("laurel: {error}"));
        let _ = self.queue.write(format!("{line}\n").as_bytes());
    }
}

/// Waits until all lines are written.
impl Drop for Log {
    fn drop(&mut self) {
        self.queue.flush_all();
    }
}

/// The request's fields, then those of the event.
struct TextFields;

impl<'w> FormatFields<'w> for TextFields {
    fn format_fields<R: RecordFields>(&self, mut writer: Writer<'w>, fields: R) -> fmt::Result {
        let written = REQUEST.try_with(|request| {
            let fields: Vec<_> = request.fields().map(|(name, value)| format!("{name}={value:?}")).collect();
            write!(writer, "request{{{}}}: ", fields.join(" "))
        });
        written.unwrap_or(Ok(()))?;
        DefaultFields::new().format_fields(writer, fields)
    }
}

/// One flat object per line. `trace_id` and `span_id` are top-level fields, as OpenTelemetry specifies for logs in other formats.
struct JsonLines;

impl<S: Subscriber + for<'a> LookupSpan<'a>> FormatEvent<S, JsonFields> for JsonLines {
    fn format_event(
        &self,
        _: &FmtContext<'_, S, JsonFields>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let meta = event.metadata();
        let mut line = JsonLine::new(*meta.level());
        event.record(&mut line);
        line.put("target", meta.target());
        // Outside a request there are no request fields.
        let _ = REQUEST.try_with(|it| it.fields().for_each(|(name, value)| line.put(name, value)));
        writeln!(writer, "{}", Value::Object(line.0))
    }
}

/// A line under construction.
struct JsonLine(Map<String, Value>);

impl JsonLine {
    /// A line with its time and level.
    fn new(level: Level) -> Self {
        let mut time = String::new();
        // Writing into a string does not fail.
        let _ = SystemTime.format_time(&mut Writer::new(&mut time));
        let mut line = Self(Map::new());
        line.put("timestamp", time);
        line.put("level", level.as_str());
        line
    }

    fn put(&mut self, name: &str, value: impl Into<Value>) {
        self.0.insert(name.to_owned(), value.into());
    }
}

impl Visit for JsonLine {
    fn record_f64(&mut self, field: &Field, value: f64) {
        self.put(field.name(), value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.put(field.name(), value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.put(field.name(), value);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.put(field.name(), value);
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.put(field.name(), value);
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.put(field.name(), format!("{value:?}"));
    }
}
