//! How long a browser takes to open the live page and show the board, and what it loads for it.

use std::fmt;
use std::process::{Command, Stdio};

use crate::report;
use crate::server::{Server, UNLIMITED};

/// What the part begins with, so that it can be written anew alone.
pub const HEADING: &str = "## The live page";

const USERS: usize = 1000;

pub struct Page {
    rows: String,
}

/// Opens it in Chromium, which `make test-deps` installs.
pub fn measure() -> Page {
    let server = Server::start(USERS, UNLIMITED);
    let mut browser = Command::new("node");
    browser.args(["loadtest/page.mjs", &format!("http://{}", server.address)]).stderr(Stdio::inherit());
    let output = browser.output().expect("make test-deps installs it");
    assert!(output.status.success());
    Page { rows: String::from_utf8(output.stdout).unwrap() }
}

impl fmt::Display for Page {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(to, "{HEADING}\n\n{}\n", report::provenance("make bench-page"))?;
        writeln!(
            to,
            "A headless Chromium with nothing kept, on the same two cores, opens `/` on a phone's screen; medians of 20 loads. KiB are what \
             came over\nthe wire, heads included. Times are from the start of the navigation until the first text, and until the ten best, \
             are painted.\n\n\
             | network | requests | KiB | first text ms | board ms | worst |\n|---|---|---|---|---|---|\n{}",
            self.rows
        )
    }
}
