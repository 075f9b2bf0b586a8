//! Logs: one line an event, as text for people or JSON for machines. `RUST_LOG` filters.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;

use crate::config;

/// Sends logs to standard error, so that standard output is a command's own.
pub fn start(log: &config::Log) {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("laurel=info,warn"));
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    // Colours are for a terminal: in a file they are noise, and every request's span would be written with them.
    let builder = if std::io::stderr().is_terminal() { builder } else { builder.with_ansi(false) };
    let started = match log.format.as_str() {
        "json" => builder.json().flatten_event(true).with_current_span(true).with_span_list(false).try_init(),
        _ => builder.with_target(false).try_init(),
    };
    // A second start in one process, as in tests, keeps the first subscriber.
    drop(started);
}
