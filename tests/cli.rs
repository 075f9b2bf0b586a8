//! The `laurel` program as a process: commands, output, signals, log and settings.

mod commands;
mod log;
mod output;
mod settings;
mod signals;

use std::os::fd::OwnedFd;
use std::path::Path;
use std::process::{Child, Command, Output};

use crate::harness::{eventually, free_port};

/// A node that the tests use over HTTP only: its output is part of the test.
struct Node {
    child: Child,
    base: String,
}

impl Node {
    /// Starts the node and waits until it accepts awards.
    async fn start(mut command: Command) -> Self {
        let port = free_port().to_string();
        command.arg("serve").env("PORT", &port).env("LAUREL_SERVER__DRAIN_SECONDS", "1");
        let mut node = Self { child: command.spawn().unwrap(), base: format!("http://127.0.0.1:{port}") };
        node.wait_for_awards().await;
        node
    }

    async fn wait_for_awards(&mut self) {
        let awards = format!("{}/readyz/awards", self.base);
        eventually("awards to be accepted", || {
            assert!(self.child.try_wait().unwrap().is_none(), "the node must not end");
            let request = reqwest::get(awards.clone());
            async { request.await.is_ok_and(|response| response.status() == 200).then_some(()) }
        })
        .await;
    }

    fn send_signal(&self, signal: i32) {
        // SAFETY: the child is not reaped yet.
        unsafe { libc::kill(self.child.id() as libc::pid_t, signal) };
    }

    /// Waits until the process ends. Returns its exit code.
    async fn exit_code(&mut self) -> Option<i32> {
        let status = || std::future::ready(self.child.try_wait().unwrap());
        eventually("the node to end", status).await.code()
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The write end of a pipe without a reader.
fn broken_pipe() -> OwnedFd {
    std::io::pipe().unwrap().1.into()
}

async fn run(mut command: Command) -> Output {
    tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn read(path: &Path) -> String {
    text(&std::fs::read(path).unwrap())
}
