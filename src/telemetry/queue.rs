//! Lines on their way to standard error. A thread of its own writes them: whoever logs does not wait for a reader that is stuck, and a
//! line that cannot be written is dropped. (The guard of `tracing-appender` prints to standard output where its queue is full, which
//! hangs or panics if that leads to the same reader.)

use std::io::{self, Write};
use std::sync::mpsc::{self, SyncSender};
use std::time::Duration;

/// Lines that wait to be written, at most: more are dropped.
const MAX_LINES: usize = 10_000;
/// How long the end of the process waits for the lines that are left.
const FLUSH_WITHIN: Duration = Duration::from_secs(1);

enum Message {
    Line(Vec<u8>),
    Flush(SyncSender<()>),
}

/// Takes lines; each `write` is one.
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

    /// Waits until the lines so far are written.
    pub fn flush_all(&self) {
        let (done, flushed) = mpsc::sync_channel(1);
        if self.0.try_send(Message::Flush(done)).is_ok() {
            let _ = flushed.recv_timeout(FLUSH_WITHIN);
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
