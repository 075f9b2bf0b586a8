//! Standard output of a command. The reader may close the pipe early: `laurel verify | head -1`.

use std::fmt::Display;
use std::io::{self, ErrorKind, Write};
use std::process::ExitCode;

use anyhow::{Context, Result};

/// The exit code that a shell shows after a broken pipe: 128 + SIGPIPE.
const READER_GONE: u8 = 141;

/// Writes lines until one cannot be written. The command continues to its end all the same.
#[derive(Default)]
pub struct Output {
    failed: Option<io::Error>,
}

impl Output {
    /// Writes a line.
    pub fn line(&mut self, text: impl Display) {
        if self.failed.is_none() {
            self.failed = writeln!(io::stdout(), "{text}").err();
        }
    }

    /// Whether a line could not be written.
    pub fn has_failed(&self) -> bool {
        self.failed.is_some()
    }

    /// The exit code of a command that ends with `code`.
    ///
    /// # Errors
    /// A line could not be written for another reason than a broken pipe.
    pub fn finish(self, code: ExitCode) -> Result<ExitCode> {
        match self.failed {
            None => Ok(code),
            Some(error) if error.kind() == ErrorKind::BrokenPipe => Ok(ExitCode::from(READER_GONE)),
            Some(error) => Err(error).context("cannot write to standard output"),
        }
    }
}
