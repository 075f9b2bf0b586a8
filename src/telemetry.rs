//! Logs: one line an event, as text for people or JSON for machines. `RUST_LOG` filters. What belongs to a request says which one:
//! that is kept beside the task and only read when a line is written, since a span's fields are written for every request.

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
    /// The request that a task answers. Tasks that it spawns answer none.
    static ANSWERED: About;
}

/// What a line says of the request that it belongs to.
#[derive(Debug)]
pub struct About {
    /// Its id.
    pub request_id: String,
    /// The ids of its trace and its span in hex, if tracing is on.
    pub trace: Option<(String, String)>,
    /// Its method.
    pub method: &'static str,
    /// The door it came to.
    pub route: String,
}

impl About {
    fn fields(&self) -> impl Iterator<Item = (&'static str, &str)> {
        let trace =
            self.trace.iter().flat_map(|(trace, span)| [("trace_id", trace.as_str()), ("span_id", span)]);
        let ours = [("method", self.method), ("route", self.route.as_str())];
        std::iter::once(("request_id", self.request_id.as_str())).chain(trace).chain(ours)
    }
}

/// Answers a request: what is logged meanwhile says which one.
pub async fn about<T>(about: About, answer: impl Future<Output = T>) -> T {
    ANSWERED.scope(about, answer).await
}

/// The log of this process, on standard error, so that standard output is a command's own. It is best effort: a line that cannot be
/// written is dropped.
pub struct Log {
    json: bool,
    queue: Queue,
}

impl Log {
    /// Starts it. `RUST_LOG` overrides `filter`.
    pub fn start(settings: &config::Log, filter: &str) -> Self {
        let log = Self { json: settings.format == "json", queue: Queue::start() };
        let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(filter));
        let queue = log.queue.clone();
        let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(move || queue.clone());
        // Colours are for a terminal: in a file they are noise, and every request's span would be written with them.
        let builder = if io::stderr().is_terminal() { builder } else { builder.with_ansi(false) };
        let started = if log.json {
            std::panic::set_hook(Box::new(|panic| tracing::error!(%panic, "a task panicked")));
            builder.fmt_fields(JsonFields::new()).event_format(JsonLines).try_init()
        } else {
            builder.fmt_fields(TextFields).with_target(false).try_init()
        };
        // A second start in one process, as in tests, keeps the first subscriber.
        drop(started);
        log
    }

    /// Something to say on standard output, as an object where the log has these.
    pub fn json(&self, level: Level, message: &str, fields: &[(&str, Option<&str>)]) -> Option<String> {
        self.json.then(|| {
            let mut line = JsonLine::new(level);
            line.put("message", message);
            let there = fields.iter().filter_map(|(name, value)| Some((name, (*value)?)));
            there.for_each(|(name, value)| line.put(name, value));
            Value::Object(line.0).to_string()
        })
    }

    /// Says why the process fails, whatever `RUST_LOG` says.
    pub fn fail(&mut self, why: &str) {
        let line = self.json(Level::ERROR, why, &[]).unwrap_or_else(|| format!("laurel: {why}"));
        let _ = self.queue.write(format!("{line}\n").as_bytes());
    }
}

/// Waits for the lines so far.
impl Drop for Log {
    fn drop(&mut self) {
        self.queue.flush_all();
    }
}

/// The request's ids, then the event's own fields.
struct TextFields;

impl<'w> FormatFields<'w> for TextFields {
    fn format_fields<R: RecordFields>(&self, mut writer: Writer<'w>, fields: R) -> fmt::Result {
        let written = ANSWERED.try_with(|it| {
            let fields: Vec<_> = it.fields().map(|(name, value)| format!("{name}={value:?}")).collect();
            write!(writer, "request{{{}}}: ", fields.join(" "))
        });
        written.unwrap_or(Ok(()))?;
        DefaultFields::new().format_fields(writer, fields)
    }
}

/// One flat object a line: the request's ids stand beside the message, as OpenTelemetry wants `trace_id` and `span_id` in logs
/// that are not its own.
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
        // Outside of a request there is nothing to say of one.
        let _ = ANSWERED.try_with(|it| it.fields().for_each(|(name, value)| line.put(name, value)));
        writeln!(writer, "{}", Value::Object(line.0))
    }
}

/// An event's fields.
struct JsonLine(Map<String, Value>);

impl JsonLine {
    /// One that has its time and its level.
    fn new(level: Level) -> Self {
        let mut time = String::new();
        // Text takes whatever is written.
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
