//! The queue of log lines. A thread writes them to standard error, so that no task waits for a blocked reader; lines that cannot be written
//! are dropped. (`tracing-appender` is not used: its guard prints to standard output when its queue is full, which hangs or panics if
//! the same reader is behind it.)

use std::io::{self, Write};
use std::sync::mpsc::{self, SyncSender};
use std::time::Duration;

/// Most queued lines; more are dropped.
const MAX_LINES: usize = 10_000;
/// How long the process waits for queued lines at its end.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(1);

enum Message {
    Line(Vec<u8>),
    Flush(SyncSender<()>),
}

/// Takes lines: each `write` is one.
#[derive(Clone)]
pub struct Queue(SyncSender<Message>);

impl Queue {
    /// Starts the thread.
    pub fn start() -> Self {
        let (sender, receiver) = mpsc::sync_channel(MAX_LINES);
        std::thread::spawn(move || {
            for message in receiver {
                match message {
                    Message::Line(line) => drop(io::stderr().write_all(&line)),
                    Message::Flush(done) => drop(done.send(())),
                }
            }
        });
        Self(sender)
    }

    /// Waits until all queued lines are written.
    pub fn flush_all(&self) {
        let (done, flushed) = mpsc::sync_channel(1);
        if self.0.try_send(Message::Flush(done)).is_ok() {
            let _ = flushed.recv_timeout(FLUSH_TIMEOUT);
        }
    }
}

impl Write for Queue {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let _ = self.0.try_send(Message::Line(line.to_vec()));
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
